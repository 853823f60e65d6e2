"""Which Oura field is which reading or series.

Names and units: Oura's OpenAPI description, version 1.37
(cloud.ouraring.com/v2/static/json/openapi-1.37.json). It gives no unit for HRV; Oura's
support pages (article 360025441974) call it RMSSD in milliseconds, over 5-minute windows
of sleep, `average_hrv` being the mean of the night's windows.
"""

from __future__ import annotations

from datetime import timedelta

from biometrics.catalogue import Metric
from biometrics.vendors.fields import Field
from biometrics.vendors.oura import facts
from biometrics.vendors.oura.kinds import Kind, SampleSeries

# Every sleep that is one, the nap included. Durations are seconds.
SLEEP = (
    Field(path="average_hrv", metric=Metric.HRV_RMSSD, context="sleep"),
    Field(path="average_heart_rate", metric=Metric.HEART_RATE_AVERAGE, context="sleep"),
    Field(path="lowest_heart_rate", metric=Metric.HEART_RATE_MIN, context="sleep"),
    Field(path="average_breath", metric=Metric.RESPIRATORY_RATE, context="sleep"),
    Field(path="total_sleep_duration", metric=Metric.SLEEP_DURATION),
    Field(path="deep_sleep_duration", metric=Metric.SLEEP_DEEP),
    Field(path="light_sleep_duration", metric=Metric.SLEEP_LIGHT),
    Field(path="rem_sleep_duration", metric=Metric.SLEEP_REM),
    Field(path="awake_time", metric=Metric.SLEEP_AWAKE),
    Field(path="time_in_bed", metric=Metric.TIME_IN_BED),
    Field(path="latency", metric=Metric.SLEEP_LATENCY),
    Field(path="efficiency", metric=Metric.SLEEP_EFFICIENCY),
    Field(path="restless_periods", metric=Metric.SLEEP_RESTLESS_PERIODS),
    Field(path="readiness.score", metric=Metric.READINESS_SCORE),
    Field(
        path="readiness.temperature_deviation",
        metric=Metric.SKIN_TEMPERATURE_DEVIATION,
    ),
    Field(
        path="readiness.temperature_trend_deviation",
        metric=Metric.SKIN_TEMPERATURE_TREND_DEVIATION,
    ),
)

# Only the main sleep (`long_sleep`): the lowest rate of a nap is no resting rate.
MAIN_SLEEP = (Field(path="lowest_heart_rate", metric=Metric.RESTING_HEART_RATE),)

SLEEP_SERIES = (
    SampleSeries(path="heart_rate", metric=Metric.HEART_RATE, context="sleep"),
    SampleSeries(path="hrv", metric=Metric.HRV_RMSSD, context="sleep"),
)

DAILY_SLEEP = (Field(path="score", metric=Metric.SLEEP_SCORE),)

DAILY_READINESS = (
    Field(path="score", metric=Metric.READINESS_SCORE),
    Field(path="temperature_deviation", metric=Metric.SKIN_TEMPERATURE_DEVIATION),
    Field(
        path="temperature_trend_deviation",
        metric=Metric.SKIN_TEMPERATURE_TREND_DEVIATION,
    ),
)

# Energy in kcal, times in seconds, distance in metres of walking that would have cost
# as much energy: no distance that anybody covered.
DAILY_ACTIVITY = (
    Field(path="score", metric=Metric.ACTIVITY_SCORE),
    Field(path="steps", metric=Metric.STEPS),
    Field(
        path="equivalent_walking_distance",
        metric=Metric.DISTANCE,
        context="equivalent_walking",
    ),
    Field(path="active_calories", metric=Metric.ACTIVE_ENERGY),
    Field(path="total_calories", metric=Metric.TOTAL_ENERGY),
    Field(path="high_activity_time", metric=Metric.HIGH_ACTIVITY_DURATION),
    Field(path="medium_activity_time", metric=Metric.MEDIUM_ACTIVITY_DURATION),
    Field(path="low_activity_time", metric=Metric.LOW_ACTIVITY_DURATION),
    Field(path="sedentary_time", metric=Metric.SEDENTARY_DURATION),
    Field(path="resting_time", metric=Metric.RESTING_DURATION),
    Field(path="non_wear_time", metric=Metric.NON_WEAR_DURATION),
    Field(path="average_met_minutes", metric=Metric.MET_AVERAGE),
    Field(
        path="high_activity_met_minutes",
        metric=Metric.MET_MINUTES,
        context="high_activity",
    ),
    Field(
        path="medium_activity_met_minutes",
        metric=Metric.MET_MINUTES,
        context="medium_activity",
    ),
    Field(
        path="low_activity_met_minutes",
        metric=Metric.MET_MINUTES,
        context="low_activity",
    ),
    Field(path="sedentary_met_minutes", metric=Metric.MET_MINUTES, context="sedentary"),
)

# Revised all day long, each time filled up with 0.9 to the end of the day.
DAILY_ACTIVITY_SERIES = (SampleSeries(path="met", metric=Metric.MET, padding=0.9),)

DAILY_SPO2 = (
    Field(
        path="spo2_percentage.average",
        metric=Metric.OXYGEN_SATURATION,
        context="sleep",
    ),
    Field(
        path="breathing_disturbance_index",
        metric=Metric.BREATHING_DISTURBANCE_INDEX,
        context="sleep",
    ),
)

DAILY_STRESS = (
    Field(path="stress_high", metric=Metric.STRESS_DURATION),
    Field(path="recovery_high", metric=Metric.STRESS_RECOVERY_DURATION),
)

DAILY_CARDIOVASCULAR_AGE = (
    Field(path="vascular_age", metric=Metric.VASCULAR_AGE),
    Field(path="pulse_wave_velocity", metric=Metric.PULSE_WAVE_VELOCITY),
)

VO2_MAX = (Field(path="vo2_max", metric=Metric.VO2_MAX),)

# Oura does not say whether the energy of a workout includes that of resting, so it is
# not called active.
WORKOUT = (
    Field(path="calories", metric=Metric.TOTAL_ENERGY, context="workout"),
    Field(path="distance", metric=Metric.DISTANCE, context="workout"),
)

SESSION_SERIES = (
    SampleSeries(path="heart_rate", metric=Metric.HEART_RATE, context="session"),
    SampleSeries(
        path="heart_rate_variability", metric=Metric.HRV_RMSSD, context="session"
    ),
)

PERSONAL_INFO = (
    Field(path="weight", metric=Metric.WEIGHT),
    Field(path="height", metric=Metric.HEIGHT),
)

KINDS: dict[str, Kind] = {
    "sleep": Kind(
        record_type="sleep",
        collection="sleep",
        fields=SLEEP,
        series=SLEEP_SERIES,
        facts=facts.SLEEP,
        start="bedtime_start",
        end="bedtime_end",
        dated_by="end",
    ),
    "daily_sleep": Kind(
        record_type="daily_sleep",
        collection="daily_sleep",
        fields=DAILY_SLEEP,
        facts=facts.DAILY_SLEEP,
        start="timestamp",
    ),
    "daily_readiness": Kind(
        record_type="daily_readiness",
        collection="daily_readiness",
        fields=DAILY_READINESS,
        facts=facts.DAILY_READINESS,
        start="timestamp",
    ),
    "daily_activity": Kind(
        record_type="daily_activity",
        collection="daily_activity",
        fields=DAILY_ACTIVITY,
        series=DAILY_ACTIVITY_SERIES,
        facts=facts.DAILY_ACTIVITY,
        start="timestamp",
        length=timedelta(hours=24),
    ),
    "daily_spo2": Kind(
        record_type="daily_spo2", collection="daily_spo2", fields=DAILY_SPO2
    ),
    "daily_stress": Kind(
        record_type="daily_stress",
        collection="daily_stress",
        fields=DAILY_STRESS,
        facts=facts.DAILY_STRESS,
    ),
    "daily_resilience": Kind(
        record_type="daily_resilience",
        collection="daily_resilience",
        facts=facts.DAILY_RESILIENCE,
    ),
    "daily_cardiovascular_age": Kind(
        record_type="daily_cardiovascular_age",
        collection="daily_cardiovascular_age",
        fields=DAILY_CARDIOVASCULAR_AGE,
    ),
    "vo2_max": Kind(
        record_type="vo2_max",
        # Written so in the path, and only there.
        collection="vO2_max",
        fields=VO2_MAX,
        start="timestamp",
    ),
    "workout": Kind(
        record_type="workout",
        collection="workout",
        fields=WORKOUT,
        facts=facts.WORKOUT,
        start="start_datetime",
        end="end_datetime",
    ),
    "session": Kind(
        record_type="session",
        collection="session",
        series=SESSION_SERIES,
        facts=facts.SESSION,
        start="start_datetime",
        end="end_datetime",
    ),
    "sleep_time": Kind(
        record_type="sleep_time", collection="sleep_time", facts=facts.SLEEP_TIME
    ),
    "rest_mode_period": Kind(
        record_type="rest_mode_period",
        collection="rest_mode_period",
        start="start_time",
        end="end_time",
        day="start_day",
    ),
    "tag": Kind(
        record_type="tag", collection="tag", facts=facts.TAG, start="timestamp"
    ),
    "enhanced_tag": Kind(
        record_type="enhanced_tag",
        collection="enhanced_tag",
        facts=facts.ENHANCED_TAG,
        start="start_time",
        end="end_time",
        day="start_day",
    ),
    "ring_configuration": Kind(
        record_type="ring_configuration",
        collection="ring_configuration",
        facts=facts.RING_CONFIGURATION,
        start="set_up_at",
        day=None,
    ),
    "personal_info": Kind(
        record_type="profile",
        collection="personal_info",
        fields=PERSONAL_INFO,
        facts=facts.PERSONAL_INFO,
        day=None,
        only_id="profile",
        notifies=False,
    ),
}

# Announced by webhooks, but the API has no route to read them.
UNFETCHABLE = frozenset({"meal"})

# Rows without ids, only ever read as a list; see heart_rate.py.
HEART_RATE_COLLECTION = "heartrate"

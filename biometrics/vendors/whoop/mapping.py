"""Which WHOOP field is which reading or attribute.

Names and units: WHOOP's OpenAPI description of API v2
(api.prod.whoop.com/developer/doc/openapi.json). `_milli` are milliseconds everywhere;
in `hrv_rmssd_milli` they are the value itself and not scaled.
"""

from __future__ import annotations

from biometrics.catalogue import Metric
from biometrics.vendors.fields import Fact, Field
from biometrics.vendors.whoop.kinds import Kind

_SECONDS = 0.001
_KCAL_PER_KJ = 1 / 4.184

_SCORE_STATE = Fact(name="score_state", path="score_state")

RECOVERY = (
    Field(path="score.recovery_score", metric=Metric.RECOVERY_SCORE),
    Field(path="score.resting_heart_rate", metric=Metric.RESTING_HEART_RATE),
    Field(path="score.hrv_rmssd_milli", metric=Metric.HRV_RMSSD, context="sleep"),
    # Both only with WHOOP 4.0 or newer; the temperature is absolute.
    Field(
        path="score.spo2_percentage", metric=Metric.OXYGEN_SATURATION, context="sleep"
    ),
    Field(
        path="score.skin_temp_celsius", metric=Metric.SKIN_TEMPERATURE, context="sleep"
    ),
)

SLEEP = (
    Field(
        path="score.stage_summary.total_in_bed_time_milli",
        metric=Metric.TIME_IN_BED,
        scale=_SECONDS,
    ),
    Field(
        path="score.stage_summary.total_awake_time_milli",
        metric=Metric.SLEEP_AWAKE,
        scale=_SECONDS,
    ),
    Field(
        path="score.stage_summary.total_light_sleep_time_milli",
        metric=Metric.SLEEP_LIGHT,
        scale=_SECONDS,
    ),
    Field(
        path="score.stage_summary.total_slow_wave_sleep_time_milli",
        metric=Metric.SLEEP_DEEP,
        scale=_SECONDS,
    ),
    Field(
        path="score.stage_summary.total_rem_sleep_time_milli",
        metric=Metric.SLEEP_REM,
        scale=_SECONDS,
    ),
    Field(
        path="score.stage_summary.sleep_cycle_count",
        metric=Metric.SLEEP_CYCLES,
    ),
    Field(
        path="score.stage_summary.disturbance_count",
        metric=Metric.SLEEP_DISTURBANCES,
    ),
    Field(
        path="score.sleep_needed.baseline_milli",
        metric=Metric.SLEEP_NEED,
        scale=_SECONDS,
        context="baseline",
    ),
    Field(
        path="score.sleep_needed.need_from_sleep_debt_milli",
        metric=Metric.SLEEP_NEED,
        scale=_SECONDS,
        context="sleep_debt",
    ),
    Field(
        path="score.sleep_needed.need_from_recent_strain_milli",
        metric=Metric.SLEEP_NEED,
        scale=_SECONDS,
        context="recent_strain",
    ),
    # What naps took off the need: WHOOP writes it negative or zero.
    Field(
        path="score.sleep_needed.need_from_recent_nap_milli",
        metric=Metric.SLEEP_NEED,
        scale=-_SECONDS,
        context="recent_nap_credit",
    ),
    Field(
        path="score.respiratory_rate", metric=Metric.RESPIRATORY_RATE, context="sleep"
    ),
    # The score that the app shows for a sleep.
    Field(path="score.sleep_performance_percentage", metric=Metric.SLEEP_SCORE),
    Field(path="score.sleep_consistency_percentage", metric=Metric.SLEEP_CONSISTENCY),
    Field(path="score.sleep_efficiency_percentage", metric=Metric.SLEEP_EFFICIENCY),
)

# WHOOP gives no total: time asleep is the sum of these.
ASLEEP_STAGES = (Metric.SLEEP_LIGHT, Metric.SLEEP_DEEP, Metric.SLEEP_REM)

# Strain runs from 0 to 21. WHOOP does not say that its energy is active energy only.
CYCLE = (
    Field(path="score.strain", metric=Metric.STRAIN_SCORE),
    Field(path="score.kilojoule", metric=Metric.TOTAL_ENERGY, scale=_KCAL_PER_KJ),
    Field(path="score.average_heart_rate", metric=Metric.HEART_RATE_AVERAGE),
    Field(path="score.max_heart_rate", metric=Metric.HEART_RATE_MAX),
)

WORKOUT = (
    Field(path="score.strain", metric=Metric.STRAIN_SCORE, context="workout"),
    Field(
        path="score.kilojoule",
        metric=Metric.TOTAL_ENERGY,
        scale=_KCAL_PER_KJ,
        context="workout",
    ),
    Field(
        path="score.average_heart_rate",
        metric=Metric.HEART_RATE_AVERAGE,
        context="workout",
    ),
    Field(path="score.max_heart_rate", metric=Metric.HEART_RATE_MAX, context="workout"),
    Field(
        path="score.percent_recorded", metric=Metric.PERCENT_RECORDED, context="workout"
    ),
    Field(path="score.distance_meter", metric=Metric.DISTANCE, context="workout"),
    Field(
        path="score.altitude_gain_meter", metric=Metric.ALTITUDE_GAIN, context="workout"
    ),
    Field(
        path="score.altitude_change_meter",
        metric=Metric.ALTITUDE_CHANGE,
        context="workout",
    ),
    Field(
        path="score.zone_durations.zone_zero_milli",
        metric=Metric.DURATION,
        scale=_SECONDS,
        context="heart_rate_zone_0",
    ),
    Field(
        path="score.zone_durations.zone_one_milli",
        metric=Metric.DURATION,
        scale=_SECONDS,
        context="heart_rate_zone_1",
    ),
    Field(
        path="score.zone_durations.zone_two_milli",
        metric=Metric.DURATION,
        scale=_SECONDS,
        context="heart_rate_zone_2",
    ),
    Field(
        path="score.zone_durations.zone_three_milli",
        metric=Metric.DURATION,
        scale=_SECONDS,
        context="heart_rate_zone_3",
    ),
    Field(
        path="score.zone_durations.zone_four_milli",
        metric=Metric.DURATION,
        scale=_SECONDS,
        context="heart_rate_zone_4",
    ),
    Field(
        path="score.zone_durations.zone_five_milli",
        metric=Metric.DURATION,
        scale=_SECONDS,
        context="heart_rate_zone_5",
    ),
)

# The highest rate is WHOOP's estimate of what this body can do, nothing measured then.
BODY_MEASUREMENT = (
    Field(path="height_meter", metric=Metric.HEIGHT),
    Field(path="weight_kilogram", metric=Metric.WEIGHT),
    Field(path="max_heart_rate", metric=Metric.HEART_RATE_MAX, context="estimate"),
)

KINDS: dict[str, Kind] = {
    "recovery": Kind(
        record_type="recovery",
        path="/v2/recovery",
        fields=RECOVERY,
        facts=(
            _SCORE_STATE,
            Fact(name="user_calibrating", path="score.user_calibrating", form="flag"),
        ),
        # Webhooks name a recovery by its sleep; it has no id of its own.
        id_field="sleep_id",
    ),
    "sleep": Kind(
        record_type="sleep",
        path="/v2/activity/sleep",
        fields=SLEEP,
        facts=(_SCORE_STATE, Fact(name="nap", path="nap", form="flag")),
        dated_by="end",
    ),
    "cycle": Kind(
        record_type="cycle",
        path="/v2/cycle",
        fields=CYCLE,
        facts=(_SCORE_STATE,),
        dated_by="start",
    ),
    "workout": Kind(
        record_type="workout",
        path="/v2/activity/workout",
        fields=WORKOUT,
        facts=(_SCORE_STATE, Fact(name="sport_name", path="sport_name")),
        dated_by="start",
    ),
    "body_measurement": Kind(
        record_type="body",
        path="/v2/user/measurement/body",
        fields=BODY_MEASUREMENT,
        only_id="body_measurement",
        scored=False,
    ),
    # Name, address and account: nothing in it is for anybody else.
    "profile": Kind(
        record_type="profile",
        path="/v2/user/profile/basic",
        only_id="profile",
        scored=False,
    ),
}

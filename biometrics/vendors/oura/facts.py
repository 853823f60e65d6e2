"""Which Oura field is which attribute of a record.

Contributors are scores from 1 to 100, also where they bear the name of a measurement
(`resting_heart_rate`, `hrv_balance`, `body_temperature`), so their attributes say score.
Free text of the person (comments, labels, names of own tags) is not taken over.
"""

from __future__ import annotations

from biometrics.vendors.fields import Fact

_DAY_S = 86_400.0

SLEEP = (
    Fact(name="type", path="type"),
    Fact(name="period", path="period", form="number"),
    Fact(name="low_battery_alert", path="low_battery_alert", form="flag"),
    Fact(name="sleep_algorithm_version", path="sleep_algorithm_version"),
    Fact(name="sleep_analysis_reason", path="sleep_analysis_reason"),
)

DAILY_SLEEP = (
    Fact(name="score_deep_sleep", path="contributors.deep_sleep", form="number"),
    Fact(name="score_efficiency", path="contributors.efficiency", form="number"),
    Fact(name="score_latency", path="contributors.latency", form="number"),
    Fact(name="score_rem_sleep", path="contributors.rem_sleep", form="number"),
    Fact(name="score_restfulness", path="contributors.restfulness", form="number"),
    Fact(name="score_timing", path="contributors.timing", form="number"),
    Fact(name="score_total_sleep", path="contributors.total_sleep", form="number"),
)

DAILY_READINESS = (
    Fact(
        name="score_activity_balance",
        path="contributors.activity_balance",
        form="number",
    ),
    Fact(
        name="score_body_temperature",
        path="contributors.body_temperature",
        form="number",
    ),
    Fact(name="score_hrv_balance", path="contributors.hrv_balance", form="number"),
    Fact(
        name="score_previous_day_activity",
        path="contributors.previous_day_activity",
        form="number",
    ),
    Fact(
        name="score_previous_night", path="contributors.previous_night", form="number"
    ),
    Fact(
        name="score_recovery_index", path="contributors.recovery_index", form="number"
    ),
    Fact(
        name="score_resting_heart_rate",
        path="contributors.resting_heart_rate",
        form="number",
    ),
    Fact(name="score_sleep_balance", path="contributors.sleep_balance", form="number"),
    Fact(
        name="score_sleep_regularity",
        path="contributors.sleep_regularity",
        form="number",
    ),
)

DAILY_ACTIVITY = (
    Fact(
        name="score_meet_daily_targets",
        path="contributors.meet_daily_targets",
        form="number",
    ),
    Fact(
        name="score_move_every_hour", path="contributors.move_every_hour", form="number"
    ),
    Fact(name="score_recovery_time", path="contributors.recovery_time", form="number"),
    Fact(name="score_stay_active", path="contributors.stay_active", form="number"),
    Fact(
        name="score_training_frequency",
        path="contributors.training_frequency",
        form="number",
    ),
    Fact(
        name="score_training_volume", path="contributors.training_volume", form="number"
    ),
    Fact(
        name="inactivity_alerts",
        path="inactivity_alerts",
        form="number",
        bounds=(0, 1440),
    ),
)

DAILY_STRESS = (Fact(name="day_summary", path="day_summary"),)

DAILY_RESILIENCE = (
    Fact(name="level", path="level"),
    Fact(
        name="score_sleep_recovery", path="contributors.sleep_recovery", form="number"
    ),
    Fact(
        name="score_daytime_recovery",
        path="contributors.daytime_recovery",
        form="number",
    ),
    Fact(name="score_stress", path="contributors.stress", form="number"),
)

SLEEP_TIME = (
    Fact(name="recommendation", path="recommendation"),
    Fact(name="status", path="status"),
    # Seconds from midnight, before it when negative; day_tz is the zone's offset.
    Fact(
        name="optimal_bedtime_start_s",
        path="optimal_bedtime.start_offset",
        form="number",
        bounds=(-_DAY_S, _DAY_S),
    ),
    Fact(
        name="optimal_bedtime_end_s",
        path="optimal_bedtime.end_offset",
        form="number",
        bounds=(-_DAY_S, _DAY_S),
    ),
    Fact(
        name="optimal_bedtime_zone_s",
        path="optimal_bedtime.day_tz",
        form="number",
        bounds=(-_DAY_S, _DAY_S),
    ),
)

WORKOUT = (
    Fact(name="activity", path="activity"),
    Fact(name="intensity", path="intensity"),
    Fact(name="source", path="source"),
)

SESSION = (
    Fact(name="type", path="type"),
    Fact(name="mood", path="mood"),
)

TAG = (Fact(name="tags", path="tags", form="labels"),)

ENHANCED_TAG = (Fact(name="tag_type_code", path="tag_type_code"),)

RING_CONFIGURATION = (
    Fact(name="color", path="color"),
    Fact(name="design", path="design"),
    Fact(name="firmware_version", path="firmware_version"),
    Fact(name="hardware_type", path="hardware_type"),
    Fact(name="size", path="size", form="number"),
)

PERSONAL_INFO = (
    Fact(name="age", path="age", form="number", bounds=(0, 130)),
    Fact(name="biological_sex", path="biological_sex"),
)

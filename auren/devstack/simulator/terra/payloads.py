"""Terra's payloads: the data itself, in Terra's schema, from a watch behind it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from auren.devstack.simulator.days import Day, Workout
from auren.devstack.simulator.people import Person
from auren.devstack.simulator.physiology import Night
from auren.devstack.simulator.stages import AWAKE, DEEP, EPOCH_S, LIGHT, REM
from auren.devstack.simulator.wire import stable_uuid

PROVIDER = "GARMIN"
VERSION = "2022-03-16"
_LEVEL = {AWAKE: 1, LIGHT: 4, DEEP: 5, REM: 6}
_ACTIVITY_TYPE = {"running": 8, "cycling": 1, "walking": 7, "strength_training": 80}
_DEVICE = {
    "name": "Forerunner 265",
    "manufacturer": "Garmin",
    "software_version": "23.1",
}


def user(person: Person, *, at: datetime | None = None) -> dict[str, Any]:
    """Return the user block; `at` is the time of the last webhook."""
    return {
        "user_id": person.account,
        "provider": PROVIDER,
        "last_webhook_update": _utc(at) if at else None,
        "scopes": "ACTIVITY_EXPORT,HEALTH_EXPORT",
        "reference_id": person.slug,
        "active": True,
    }


def sleep(person: Person, night: Night) -> dict[str, Any]:
    """Return one entry of `data` for a main sleep."""
    times = [
        _stamp(night.start + timedelta(seconds=EPOCH_S * place))
        for place in range(len(night.stages))
    ]
    return {
        "metadata": {
            "summary_id": stable_uuid(
                person.seed, person.slug, "terra-sleep", night.on
            ),
            "start_time": _stamp(night.start),
            "end_time": _stamp(night.end),
            "is_nap": False,
            "upload_type": 2,
            "timestamp_localization": 1,
        },
        "device_data": _DEVICE,
        "heart_rate_data": _night_heart(night, times),
        "readiness_data": {"readiness": night.readiness, "recovery_level": None},
        "respiration_data": {
            "breaths_data": {"avg_breaths_per_min": night.breaths},
            "oxygen_saturation_data": {"avg_saturation_percentage": night.spo2},
        },
        "scores": {"sleep": night.score},
        "sleep_durations_data": _durations(night, times),
        "temperature_data": {"delta": night.temperature_deviation_c},
    }


def daily(day: Day, *, resting_bpm: int) -> dict[str, Any]:
    """Return one entry of `data` for a calendar day as it stands."""
    return {
        "metadata": {
            "start_time": _stamp(day.midnight),
            "end_time": _stamp(day.midnight + timedelta(days=1)),
            "upload_type": 1,
            "timestamp_localization": 1,
        },
        "device_data": _DEVICE,
        "distance_data": {"steps": day.steps, "distance_meters": day.distance_m},
        "calories_data": {
            "total_burned_calories": day.total_kcal,
            "net_activity_calories": day.active_kcal,
            "BMR_calories": day.basal_kcal,
        },
        "active_durations_data": {
            "activity_seconds": day.high_s + day.medium_s + day.low_s,
            "low_intensity_seconds": day.low_s,
            "moderate_intensity_seconds": day.medium_s,
            "vigorous_intensity_seconds": day.high_s,
        },
        "heart_rate_data": {
            "summary": {
                "avg_hr_bpm": day.average_bpm,
                "resting_hr_bpm": resting_bpm,
            }
        },
        "stress_data": {"stress_duration_seconds": day.stress_high_s},
    }


def activity(person: Person, bout: Workout) -> dict[str, Any]:
    """Return one entry of `data` for a workout."""
    return {
        "metadata": {
            "name": bout.sport.replace("_", " ").title(),
            "summary_id": stable_uuid(
                person.seed, person.slug, "terra-activity", bout.start, bout.number
            ),
            "start_time": _stamp(bout.start),
            "end_time": _stamp(bout.end),
            "type": _ACTIVITY_TYPE[bout.sport],
            "upload_type": 1,
            "timestamp_localization": 1,
        },
        "device_data": _DEVICE,
        "active_durations_data": {"activity_seconds": bout.seconds},
        "calories_data": {"total_burned_calories": bout.kcal},
        "distance_data": {"summary": {"distance_meters": bout.distance_m}},
        "heart_rate_data": {
            "summary": {"avg_hr_bpm": bout.average_bpm, "max_hr_bpm": bout.max_bpm}
        },
    }


def body(
    day: Day, *, rates: Sequence[tuple[datetime, int]], weight_kg: float | None
) -> dict[str, Any]:
    """Return one entry of `data` with spot heart rates and, if measured, the weight."""
    entry: dict[str, Any] = {
        "metadata": {
            "start_time": _stamp(day.midnight),
            "end_time": _stamp(day.midnight + timedelta(days=1)),
            "timestamp_localization": 1,
        },
        "device_data": _DEVICE,
        "heart_data": {
            "heart_rate_data": {
                "detailed": {
                    "hr_samples": [
                        {"timestamp": _stamp(at), "bpm": bpm, "context": 0}
                        for at, bpm in rates
                    ]
                }
            }
        },
    }
    if weight_kg is not None and rates:
        measured = {"measurement_time": _stamp(rates[0][0]), "weight_kg": weight_kg}
        entry["measurements_data"] = {"measurements": [measured]}
    return entry


def _night_heart(night: Night, times: Sequence[str]) -> dict[str, Any]:
    return {
        "summary": {
            "avg_hr_bpm": night.average_bpm,
            "min_hr_bpm": night.resting_bpm,
            "max_hr_bpm": max(night.heart_rates),
            "resting_hr_bpm": night.resting_bpm,
            "avg_hrv_rmssd": night.rmssd_ms,
            "avg_hrv_sdnn": None,
        },
        "detailed": {
            "hr_samples": [
                {"timestamp": at, "bpm": bpm, "context": 2}
                for at, bpm in zip(times, night.heart_rates, strict=True)
            ],
            "hrv_samples_rmssd": [
                {"timestamp": at, "hrv_rmssd": value}
                for at, value in zip(times, night.rmssd_series, strict=True)
                if value is not None
            ],
        },
    }


def _durations(night: Night, times: Sequence[str]) -> dict[str, Any]:
    return {
        "asleep": {
            "duration_asleep_state_seconds": night.asleep_s,
            "duration_deep_sleep_state_seconds": night.seconds(DEEP),
            "duration_light_sleep_state_seconds": night.seconds(LIGHT),
            "duration_REM_sleep_state_seconds": night.seconds(REM),
        },
        "awake": {
            "duration_awake_state_seconds": night.seconds(AWAKE),
            "sleep_latency_seconds": night.latency_s,
            "num_wakeup_events": night.stages.count(LIGHT + AWAKE),
        },
        "other": {"duration_in_bed_seconds": night.in_bed_s},
        "sleep_efficiency": float(night.efficiency),
        "hypnogram_samples": [
            {"timestamp": at, "level": _LEVEL[stage]}
            for at, stage in zip(times, night.stages, strict=True)
        ],
    }


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")

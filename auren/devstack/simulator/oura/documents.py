"""Oura's documents: what the API serves for a night, a day, a workout.

Fields as in the vendor's OpenAPI 1.37; `id` and `day` are added where they are announced.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from auren.devstack.simulator.days import Day, Workout
from auren.devstack.simulator.people import Person
from auren.devstack.simulator.physiology import Night, night_of
from auren.devstack.simulator.stages import AWAKE, DEEP, EPOCH_S, LIGHT, REM
from auren.devstack.simulator.wire import stable_uuid

_MINUTES = 1440


def profile(person: Person) -> dict[str, Any]:
    """Return `personal_info`, whose id is the user id of the webhooks."""
    return {
        "id": person.account,
        "age": person.traits.age,
        "weight": person.traits.weight_kg,
        "height": person.traits.height_m,
        "biological_sex": person.traits.sex,
        "email": f"{person.slug}@people.invalid",
    }


def sleep(person: Person, night: Night) -> dict[str, Any]:
    start = night.start.isoformat()
    series = {
        "interval": EPOCH_S,
        "timestamp": night.start.isoformat("T", "milliseconds"),
    }
    return {
        "average_breath": night.breaths,
        "average_heart_rate": night.average_bpm,
        "average_hrv": round(night.rmssd_ms),
        "awake_time": night.seconds(AWAKE),
        "bedtime_end": night.end.isoformat(),
        "bedtime_start": start,
        "deep_sleep_duration": night.seconds(DEEP),
        "efficiency": night.efficiency,
        "heart_rate": {**series, "items": [None, *night.heart_rates[1:]]},
        "hrv": {**series, "items": list(night.rmssd_series)},
        "latency": night.latency_s,
        "light_sleep_duration": night.seconds(LIGHT),
        "low_battery_alert": False,
        "lowest_heart_rate": night.resting_bpm,
        "movement_30_sec": "".join(
            "2111111111" if s == AWAKE else "1" * 10 for s in night.stages
        ),
        "period": 0,
        "readiness": _readiness_of(night),
        "readiness_score_delta": 0,
        "rem_sleep_duration": night.seconds(REM),
        "restless_periods": 40 + 4 * night.stages.count(AWAKE),
        "ring_id": stable_uuid(person.seed, person.slug, "oura", "ring"),
        "sleep_algorithm_version": "v2",
        "sleep_analysis_reason": "foreground_sleep_analysis",
        "sleep_phase_5_min": night.stages,
        "sleep_score_delta": 0,
        "time_in_bed": night.in_bed_s,
        "total_sleep_duration": night.asleep_s,
        "type": "long_sleep",
    }


def _readiness_of(night: Night) -> dict[str, Any]:
    return {
        "contributors": _readiness_contributors(night),
        "score": night.readiness,
        "temperature_deviation": night.temperature_deviation_c,
        "temperature_trend_deviation": round(night.temperature_deviation_c / 3, 2),
    }


def daily_sleep(night: Night) -> dict[str, Any]:
    score = night.score
    return {
        "contributors": {
            "deep_sleep": _near(score, 4),
            "efficiency": night.efficiency,
            "latency": _near(score, -6),
            "rem_sleep": _near(score, 2),
            "restfulness": _near(score, -9),
            "timing": _near(score, 6),
            "total_sleep": _near(score, 1),
        },
        "score": score,
        "timestamp": f"{night.on.isoformat()}T00:00:00+00:00",
    }


def daily_readiness(person: Person, night: Night) -> dict[str, Any]:
    before = night_of(person, night.on - timedelta(days=1))
    earlier = before.temperature_deviation_c if before else 0.0
    return {
        "contributors": _readiness_contributors(night),
        "score": night.readiness,
        "temperature_deviation": night.temperature_deviation_c,
        "temperature_trend_deviation": round(
            (night.temperature_deviation_c + earlier) / 2, 2
        ),
        "timestamp": f"{night.on.isoformat()}T00:00:00+00:00",
    }


def _readiness_contributors(night: Night) -> dict[str, int | None]:
    score = night.readiness
    return {
        "activity_balance": _near(score, 3),
        "body_temperature": _near(100, -round(40 * abs(night.temperature_deviation_c))),
        "hrv_balance": _near(score, -2),
        "previous_day_activity": None,
        "previous_night": night.score,
        "recovery_index": _near(score, -5),
        "resting_heart_rate": _near(score, 5),
        "sleep_balance": _near(night.score, -3),
        "sleep_regularity": _near(night.score, 4),
    }


def _near(score: int, step: int) -> int:
    return max(1, min(100, score + step))


def daily_spo2(night: Night, disturbance: float) -> dict[str, Any]:
    return {
        "spo2_percentage": {"average": night.spo2},
        "breathing_disturbance_index": round(disturbance),
    }


def vo2_max(person: Person, night: Night) -> dict[str, Any]:
    return {
        "timestamp": f"{night.on.isoformat()}T00:00:00+00:00",
        "vo2_max": person.traits.vo2_max,
    }


def daily_stress(day: Day) -> dict[str, Any]:
    summary = "stressful" if day.stress_high_s > 2 * day.recovery_high_s else "normal"
    return {
        "stress_high": day.stress_high_s,
        "recovery_high": day.recovery_high_s,
        "day_summary": summary,
    }


def daily_activity(day: Day) -> dict[str, Any]:
    high_met, medium_met = round(day.high_s / 60 * 7), round(day.medium_s / 60 * 4)
    start = (day.midnight + timedelta(hours=4)).isoformat("T", "milliseconds")
    return {
        "class_5_min": None,
        "score": _near(60, min(38, day.steps // 350)),
        "active_calories": round(day.active_kcal),
        "average_met_minutes": round(1.15 + day.steps / 14_000, 5),
        "contributors": {
            "meet_daily_targets": _near(40, min(60, day.steps // 150)),
            "move_every_hour": 95,
            "recovery_time": 90,
            "stay_active": 78,
            "training_frequency": 80,
            "training_volume": 85,
        },
        "equivalent_walking_distance": round(day.distance_m),
        "high_activity_met_minutes": high_met,
        "high_activity_time": day.high_s,
        "inactivity_alerts": 1,
        "low_activity_met_minutes": round(day.low_s / 60 * 1.4),
        "low_activity_time": day.low_s,
        "medium_activity_met_minutes": medium_met,
        "medium_activity_time": day.medium_s,
        "met": {"interval": 60, "items": _mets(day), "timestamp": start},
        "meters_to_target": 9_000 - round(day.distance_m),
        "non_wear_time": 600,
        "resting_time": day.resting_s,
        "sedentary_met_minutes": round(day.sedentary_s / 60 * 0.3),
        "sedentary_time": day.sedentary_s,
        "steps": day.steps,
        "target_calories": 450,
        "target_meters": 9_000,
        "total_calories": round(day.total_kcal),
        "timestamp": start,
    }


def _mets(day: Day) -> list[float]:
    """Return one value a minute from four in the morning, padded as Oura pads.

    What is not measured yet is 0.9 to the end of the day; a closed day has no padding.
    """
    passed = (day.until - day.midnight) / timedelta(minutes=1) - 240
    whole = day.until - day.midnight >= timedelta(days=1)
    measured = _MINUTES if whole else max(0, round(passed))
    # One seed a day: later states of the day repeat the earlier minutes.
    draw = random.Random(f"met/{day.on.isoformat()}/{day.zone}")
    values = [
        round(draw.uniform(2.2, 4.5), 1) if draw.random() < 0.2 else 1.1
        for _ in range(measured)
    ]
    return values + [0.9] * (_MINUTES - measured)


def workout(bout: Workout) -> dict[str, Any]:
    return {
        "activity": bout.sport,
        "calories": bout.kcal,
        "distance": bout.distance_m or None,
        "end_datetime": bout.end.isoformat(timespec="milliseconds"),
        "intensity": "hard" if bout.average_bpm > 150 else "moderate",
        "label": None,
        "source": "autodetected",
        "start_datetime": bout.start.isoformat(timespec="milliseconds"),
    }

"""WHOOP's documents (API v2): sleeps, cycles, recoveries, workouts.

`score` is there only when the state is SCORED.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from auren.devstack.simulator.days import Day, Workout, day_of
from auren.devstack.simulator.people import Person
from auren.devstack.simulator.physiology import Night, night_of
from auren.devstack.simulator.stages import AWAKE, DEEP, LIGHT, REM
from auren.devstack.simulator.wire import stable_uuid, utc_ms

_KJ_PER_KCAL = 4.184
# Names of the vendor where they differ from ours.
_SPORT = {"strength_training": "weightlifting"}


def sleep_id(person: Person, on: date) -> str:
    return stable_uuid(person.seed, person.slug, "whoop", "sleep", on)


def workout_id(person: Person, bout: Workout) -> str:
    return stable_uuid(
        person.seed, person.slug, "whoop", "workout", bout.start.date(), bout.number
    )


def cycle_id(person: Person, on: date) -> int:
    """Return the integer id of the physiological day that began with this sleep."""
    return int(person.account) % 100_000 * 1_000_000 + on.toordinal()


def sleep(
    person: Person, night: Night, *, updated: datetime, scored: bool = True
) -> dict[str, Any]:
    """Return the sleep; before it is scored, without its score."""
    document = _base(person, created=night.end, updated=updated) | {
        "id": sleep_id(person, night.on),
        "cycle_id": cycle_id(person, night.on),
        "start": utc_ms(night.start),
        "end": utc_ms(night.end),
        "timezone_offset": _offset(night.end),
        "nap": False,
        "score_state": "SCORED" if scored else "PENDING_SCORE",
    }
    if scored:
        document["score"] = _sleep_score(person, night)
    return document


def recovery(
    person: Person, night: Night, *, updated: datetime, skin_shift: float = 0.0
) -> dict[str, Any]:
    """Return the recovery that belongs to a sleep; rMSSD is in milliseconds."""
    return _base(person, created=night.end, updated=updated) | {
        "cycle_id": cycle_id(person, night.on),
        "sleep_id": sleep_id(person, night.on),
        "score_state": "SCORED",
        "score": {
            "user_calibrating": False,
            "recovery_score": float(night.readiness),
            "resting_heart_rate": float(night.resting_bpm),
            "hrv_rmssd_milli": night.rmssd_ms,
            "spo2_percentage": night.spo2,
            "skin_temp_celsius": round(night.skin_c + skin_shift, 2),
        },
    }


def cycle(person: Person, on: date, *, updated: datetime) -> dict[str, Any] | None:
    """Return the cycle; the running one has neither end nor a final score."""
    night, day = night_of(person, on), day_of(person, on)
    if night is None or day is None:
        return None
    document = _base(person, created=night.end, updated=updated) | {
        "id": cycle_id(person, on),
        "start": utc_ms(night.start),
        "timezone_offset": _offset(night.end),
        "score_state": "SCORED",
        "score": _cycle_score(day),
    }
    following = night_of(person, on + timedelta(days=1))
    if following is not None and following.start <= updated:
        document["end"] = utc_ms(following.start)
    return document


def workout(person: Person, bout: Workout, *, updated: datetime) -> dict[str, Any]:
    """Return a scored workout; energy is in kilojoules."""
    zones = (0.06, 0.16, 0.30, 0.30, 0.14, 0.04)
    names = ("zero", "one", "two", "three", "four", "five")
    return _base(person, created=bout.end, updated=updated) | {
        "id": workout_id(person, bout),
        "start": utc_ms(bout.start),
        "end": utc_ms(bout.end),
        "timezone_offset": _offset(bout.end),
        "sport_name": _SPORT.get(bout.sport, bout.sport),
        "score_state": "SCORED",
        "score": {
            "strain": round(min(20.5, 2 + bout.seconds / 420), 4),
            "average_heart_rate": bout.average_bpm,
            "max_heart_rate": bout.max_bpm,
            "kilojoule": round(bout.kcal * _KJ_PER_KCAL, 3),
            "percent_recorded": 100.0,
            "distance_meter": bout.distance_m,
            "altitude_gain_meter": round(bout.distance_m / 180, 2),
            "altitude_change_meter": 0.4,
            "zone_durations": {
                f"zone_{name}_milli": round(bout.seconds * 1000 * share)
                for name, share in zip(names, zones, strict=True)
            },
        },
    }


def profile(person: Person) -> dict[str, Any]:
    """Return the answer of /v2/user/profile/basic."""
    first, _, last = person.label.partition(" ")
    return {
        "user_id": int(person.account),
        "email": f"{person.slug}@people.invalid",
        "first_name": first,
        "last_name": last,
    }


def body_measurement(person: Person) -> dict[str, Any]:
    """Return the answer of /v2/user/measurement/body."""
    return {
        "height_meter": person.traits.height_m,
        "weight_kilogram": person.traits.weight_kg,
        "max_heart_rate": round(208 - 0.7 * person.traits.age),
    }


def _base(person: Person, *, created: datetime, updated: datetime) -> dict[str, Any]:
    return {
        "user_id": int(person.account),
        "created_at": utc_ms(created),
        "updated_at": utc_ms(updated),
    }


def _sleep_score(person: Person, night: Night) -> dict[str, Any]:
    need_h = person.traits.sleep_h
    return {
        "stage_summary": {
            "total_in_bed_time_milli": night.in_bed_s * 1000,
            "total_awake_time_milli": night.seconds(AWAKE) * 1000,
            "total_no_data_time_milli": 0,
            "total_light_sleep_time_milli": night.seconds(LIGHT) * 1000,
            "total_slow_wave_sleep_time_milli": night.seconds(DEEP) * 1000,
            "total_rem_sleep_time_milli": night.seconds(REM) * 1000,
            "sleep_cycle_count": max(1, night.in_bed_s // 5_700),
            "disturbance_count": night.stages.count(AWAKE),
        },
        "sleep_needed": {
            "baseline_milli": round(need_h * 3_600_000),
            "need_from_sleep_debt_milli": 600_000,
            "need_from_recent_strain_milli": 240_000,
            "need_from_recent_nap_milli": 0,
        },
        "respiratory_rate": night.breaths,
        "sleep_performance_percentage": float(night.score),
        "sleep_consistency_percentage": float(max(40, night.score - 8)),
        "sleep_efficiency_percentage": round(100 * night.asleep_s / night.in_bed_s, 4),
    }


def _cycle_score(day: Day) -> dict[str, Any]:
    return {
        "strain": day.strain,
        "kilojoule": round(day.total_kcal * _KJ_PER_KCAL, 3),
        "average_heart_rate": day.average_bpm,
        "max_heart_rate": max((w.max_bpm for w in day.workouts), default=128),
    }


def _offset(moment: datetime) -> str:
    """Return the zone as WHOOP writes it, `Z` for UTC."""
    text = moment.strftime("%z")
    return "Z" if text == "+0000" else f"{text[:3]}:{text[3:]}"

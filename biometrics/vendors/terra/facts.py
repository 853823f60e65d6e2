"""Short facts of a Terra document that are not measurements, and nothing that names."""

from __future__ import annotations

from dataclasses import replace

from biometrics.vendors.fields import Fact, Facts, collect_facts, dig, text
from biometrics.vendors.records import JsonScalar
from biometrics.vendors.times import parse_day

# No cycle is longer; a number beyond is none of days.
_DAYS = (0, 400)
_YEARS = range(2000, 2100)

FACTS: dict[str, tuple[Fact, ...]] = {
    "sleep": (
        Fact(name="is_nap", path="metadata.is_nap", form="flag"),
        # 0 is Terra's "unknown"; 1 to 6 are the provider's levels, poorest first.
        Fact(
            name="recovery_level",
            path="readiness_data.recovery_level",
            form="number",
            bounds=(0, 6),
        ),
    ),
    # Terra's number of the activity; 0 (in a vehicle) is one like any other.
    "workout": (
        Fact(
            name="activity_type",
            path="metadata.type",
            form="number",
            bounds=(0, 10_000),
        ),
    ),
    "menstruation": (
        *(
            Fact(
                name=name, path=f"menstruation_data.{name}", form="number", bounds=_DAYS
            )
            for name in (
                "day_in_cycle",
                "period_length_days",
                "cycle_length_days",
                "predicted_cycle_length_days",
                "length_of_current_phase_days",
                "days_until_next_phase",
            )
        ),
        Fact(
            name="current_phase",
            path="menstruation_data.current_phase",
            form="number",
            bounds=(0, 20),
        ),
        Fact(
            name="is_predicted_cycle",
            path="menstruation_data.is_predicted_cycle",
            form="flag",
        ),
    ),
}
_DATES = (
    "period_start_date",
    "fertility_window_start",
    "fertility_window_end",
    "ovulation_day",
)

# The numbers mean different things: a sleep's say how it was recorded and how sure the
# provider is, every other model's how the record came about.
_SLEEP_UPLOADS = ("unknown", "manual", "automatic", "tentative", "indeterminate")
_UPLOADS = (
    "unknown",
    "automatic",
    "manual",
    "update",
    "delete",
    "pending",
    "third_party",
)
_SEXES = frozenset({"male", "female", "other"})


def facts_of(item: object, *, record_type: str, where: str) -> Facts:
    """Return the facts of a data item; problems name their field below `where`."""
    found = collect_facts(item, FACTS.get(record_type, ()))
    attributes = {**_upload(item, record_type=record_type), **found.attributes}
    if record_type == "menstruation":
        attributes |= _dates(item)
    problems = tuple(
        replace(problem, field=f"{where}.{problem.field}") for problem in found.problems
    )
    return Facts(attributes=attributes, problems=problems)


def facts_of_athlete(athlete: object) -> dict[str, JsonScalar]:
    """Return the sex; names, birthday, e-mail and place identify and are not kept."""
    sex = (text(athlete, "sex") or text(athlete, "gender") or "").lower()
    return {"sex": sex} if sex in _SEXES else {}


def _upload(item: object, *, record_type: str) -> dict[str, JsonScalar]:
    names = _SLEEP_UPLOADS if record_type == "sleep" else _UPLOADS
    number = dig(item, "metadata.upload_type")
    if isinstance(number, bool) or not isinstance(number, int):
        return {}
    return {"upload": names[number]} if 0 <= number < len(names) else {}


def _dates(item: object) -> dict[str, JsonScalar]:
    days = {name: parse_day(dig(item, f"menstruation_data.{name}")) for name in _DATES}
    return {
        name: day.isoformat()
        for name, day in days.items()
        if day and day.year in _YEARS
    }

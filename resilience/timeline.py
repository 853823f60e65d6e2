"""The last day of a circuit in slots, each coloured by the worst that it saw."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from resilience.models import BreakerTransition
from resilience.states import Mode

HOURS = 24
SLOTS = 48
# From harmless to bad.
COLOURS = {
    "closed": "bg-green-500",
    "observe": "bg-blue-500",
    "disabled": "bg-blue-700",
    "half open": "bg-orange-500",
    "open": "bg-red-500",
    "forced open": "bg-red-700",
}
_END = datetime.max.replace(tzinfo=UTC)


def timeline(name: str, *, now: datetime) -> list[dict[str, str]]:
    """Return the slots, oldest first, as the tracker component takes them."""
    start = now - timedelta(hours=HOURS)
    spans = _spans(name, start=start)
    width = timedelta(hours=HOURS) / SLOTS
    slots = []
    for number in range(SLOTS):
        opens, closes = start + number * width, start + (number + 1) * width
        seen = [what for begin, end, what in spans if begin < closes and end > opens]
        worst = max(seen, key=list(COLOURS).index)
        slots.append(
            {"color": COLOURS[worst], "tooltip": f"{opens:%H:%M} UTC: {worst}"}
        )
    return slots


def _spans(name: str, *, start: datetime) -> list[tuple[datetime, datetime, str]]:
    history = BreakerTransition.objects.filter(breaker=name).order_by("epoch")
    before = history.filter(at__lte=start).last()
    rows = list(history.filter(at__gt=start))
    begins = [start, *(row.at for row in rows)]
    ends = [*begins[1:], _END]
    words = [_word(before) if before else "closed", *(_word(row) for row in rows)]
    return list(zip(begins, ends, words, strict=True))


def _word(row: BreakerTransition) -> str:
    word = row.new_state if row.new_mode == Mode.AUTO else row.new_mode
    return word.replace("_", " ")

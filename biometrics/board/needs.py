"""What needs a person: open alarms, the oldest first."""

from __future__ import annotations

from django.urls import reverse

from biometrics import alarms, waiting
from biometrics.board.parts import Board, Cell, cell
from biometrics.models import StaffAlarm

_MOST = 8


def needs(opened: str) -> Board:
    """Tell of the oldest open alarms what to do; `opened` is how many there are."""
    open_ones = StaffAlarm.objects.filter(cleared_at=None)
    rows = [_row(alarm) for alarm in open_ones.order_by("since", "id")[:_MOST]]
    is_cut = waiting.read(opened) > _MOST
    return Board(
        numbers={"alarms_told": f"The {_MOST} oldest of {opened}." if is_cut else ""},
        tables={"alarms": rows},
        charts={},
    )


def _row(alarm: StaffAlarm) -> list[Cell]:
    page = reverse("admin:biometrics_staffalarm_change", args=[alarm.pk])
    return [
        cell(f"{alarm.since:%Y-%m-%d %H:%M:%S}", href=page),
        cell(alarms.title_of(alarm.kind), tone="bad"),
        cell(alarm.key or "-"),
        cell(alarm.text),
    ]

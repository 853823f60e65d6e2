"""What needs a person: open alarms, the oldest first."""

from __future__ import annotations

from django.urls import reverse

from biometrics import alarms
from biometrics.board.parts import Board, Cell, cell
from biometrics.models import StaffAlarm

_MOST = 8


def needs() -> Board:
    """Tell how many alarms are open, and of the oldest what to do."""
    open_ones = StaffAlarm.objects.filter(cleared_at=None)
    count = open_ones.count()
    rows = [_row(alarm) for alarm in open_ones.order_by("since", "id")[:_MOST]]
    told = f"The {_MOST} oldest of {count}." if count > _MOST else ""
    return Board(
        numbers={"alarms_open": str(count), "alarms_told": told},
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

"""Look at circuits and operate them: ``manage.py breaker open kafka --reason "…"``."""

from __future__ import annotations

import getpass
import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from resilience import control
from resilience.errors import ResilienceError
from resilience.models import BreakerTransition
from resilience.registry import current
from resilience.states import Action, Mode, State
from resilience.storage.memory import MemoryStore

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from resilience.snapshot import Snapshot

HISTORY_LINES = 10
ACTIONS = {
    "open": (Action.FORCE_OPEN, "refuse every call until auto or reset"),
    "disable": (Action.DISABLE, "let every call pass, uncounted"),
    "observe": (Action.OBSERVE, "count and log, but refuse no call"),
    "auto": (Action.AUTO, "leave the operator mode; the machine decides again"),
    "reset": (Action.RESET, "leave the operator mode and close the circuit"),
}


class Command(BaseCommand):
    help = "Show the circuit breakers of the whole fleet and operate them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take one verb, a name, and a reason where something changes."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        listing = verbs.add_parser("list", help="show every circuit in one line")
        listing.add_argument("--json", action="store_true", help="for other programs")
        show = verbs.add_parser("show", help="show one circuit and its last changes")
        show.add_argument("name")
        for verb, (_action, effect) in ACTIONS.items():
            operating = verbs.add_parser(verb, help=effect)
            operating.add_argument("name")
            operating.add_argument(
                "--reason", required=True, help="kept in the history"
            )
            operating.add_argument(
                "--unseen",
                action="store_true",
                help="admit a name that has never been used",
            )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what the verb says; any failure is an error with a message."""
        verb: str = options["verb"]
        try:
            if verb == "list":
                self._list(as_json=options["json"])
            elif verb == "show":
                self._show(options["name"])
            else:
                self._operate(verb, options)
        except ResilienceError as error:
            raise CommandError(str(error)) from error

    def _list(self, *, as_json: bool) -> None:
        names = control.known_names()
        snapshots = [current().get(name).snapshot() for name in names]
        if as_json:
            self.stdout.write(json.dumps([_as_dict(s) for s in snapshots], indent=2))
            return
        width = max([len(name) for name in names], default=0)
        for snapshot in snapshots:
            self.stdout.write(f"{snapshot.name:<{width}}  {describe(snapshot)}")
        if not snapshots:
            self.stdout.write("No circuit is in the settings or in use.")

    def _show(self, name: str) -> None:
        control.require_known(name)
        snapshot = current().get(name).snapshot()
        self.stdout.write(f"{name}: {describe(snapshot)}")
        rows = BreakerTransition.objects.filter(breaker=name).order_by("-epoch")
        for row in rows[:HISTORY_LINES]:
            said = f" by {row.actor}: {row.reason}" if row.actor else ""
            self.stdout.write(
                f"  {row.at:%Y-%m-%d %H:%M:%S.%f} {row.old_state} -> {row.new_state}"
                f" [{row.new_mode}] {row.cause} {row.error}".rstrip()
                + said
            )

    def _operate(self, verb: str, options: dict[str, Any]) -> None:
        if isinstance(current().store, MemoryStore):
            msg = (
                "RESILIENCE_REDIS_URL is not set: circuits live in each process, and "
                "this one ends at once."
            )
            raise CommandError(msg)
        action, effect = ACTIONS[verb]
        done = control.operate(
            options["name"],
            action=action,
            actor=f"shell:{getpass.getuser()}",
            reason=options["reason"],
            unseen=options["unseen"],
        )
        self.stdout.write(
            f"{done.breaker}: {done.old_state} [{done.old_mode}] -> "
            f"{done.new_state} [{done.new_mode}] ({effect})"
        )


def describe(snapshot: Snapshot) -> str:
    """Return a circuit in one line, for people."""
    parts = [f"{snapshot.state} since {snapshot.since:%F %T} UTC"]
    if snapshot.mode is not Mode.AUTO:
        parts.insert(0, f"{snapshot.mode} since {snapshot.mode_since:%F %T} UTC")
    if snapshot.state is State.CLOSED:
        parts.append(f"{snapshot.failures} failures in a row")
    elif snapshot.retry_after:
        parts.append(f"next probe in {snapshot.retry_after:.1f} s")
    if snapshot.mode_reason:
        parts.append(f"operator: {snapshot.mode_reason}")
    if not snapshot.store_up:
        parts.append("THE STORE IS AWAY: this is what this process thinks")
    return ", ".join(parts)


def _as_dict(snapshot: Snapshot) -> dict[str, object]:
    return {
        "name": snapshot.name,
        "state": str(snapshot.state),
        "mode": str(snapshot.mode),
        "since": snapshot.since.isoformat(),
        "retry_after": round(snapshot.retry_after, 3),
        "failures": snapshot.failures,
        "reason": snapshot.reason,
        "mode_reason": snapshot.mode_reason,
        "store_up": snapshot.store_up,
    }

"""Circuits in this process alone: for tests, scripts and single-process use."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections import deque
from typing import TYPE_CHECKING

from resilience.machine import Machine
from resilience.protocol import LOG_LENGTH, LOG_START, LogEntry, Question, Reply
from resilience.rules import decide

if TYPE_CHECKING:
    from collections.abc import Callable


class MemoryStore:
    """A store without a server. It never fails and is shared by threads."""

    def __init__(self, *, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._machines: dict[str, Machine] = {}
        self._logs: dict[str, deque[LogEntry]] = {}

    def decide(self, *questions: Question) -> list[Reply]:
        """Answer the questions, each in one atomic step."""
        with self._own_lock():
            return [self._decide(question) for question in questions]

    def log(self, *, name: str, after: str) -> list[LogEntry]:
        """Return the logged transitions that follow the entry `after`, oldest first."""
        with self._own_lock():
            entries = list(self._logs.get(name, ()))
        return [entry for entry in entries if _order(entry.entry_id) > _order(after)]

    def last_entry(self, *, name: str) -> str:
        """Return the id of the newest log entry, or `LOG_START` for an empty log."""
        with self._own_lock():
            entries = self._logs.get(name)
            return entries[-1].entry_id if entries else LOG_START

    def names(self) -> list[str]:
        """Return every circuit that the store has heard of, sorted."""
        with self._own_lock():
            return sorted(self._machines)

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _own_lock(self) -> threading.Lock:
        # A forked child goes on with a copy, whose lock it may have inherited locked.
        if self._pid != os.getpid():
            self._pid, self._lock = os.getpid(), threading.Lock()
        return self._lock

    def _decide(self, question: Question) -> Reply:
        name, policy = question.name, question.policy
        now_ms = self._now_ms()
        machine = self._machines.get(name)
        created = machine is None
        if machine is None:
            machine = Machine.fresh(
                breaker=name, mode=policy.initial_mode, now_ms=now_ms
            )
            self._machines[name] = machine
        reply = decide(machine, command=question.command, policy=policy, now_ms=now_ms)
        self._append(name, reply)
        return dataclasses.replace(reply, created=created)

    def _append(self, name: str, reply: Reply) -> None:
        transition = reply.transition
        if transition is None:
            return
        entries = self._logs.setdefault(name, deque(maxlen=LOG_LENGTH))
        # The epoch of a circuit only grows, so it orders the log like a stream's id.
        entry_id = f"{transition.epoch}-0"
        entries.append(LogEntry(entry_id=entry_id, transition=transition))


def _order(entry_id: str) -> tuple[int, int]:
    major, _, minor = entry_id.partition("-")
    return int(major), int(minor or 0)

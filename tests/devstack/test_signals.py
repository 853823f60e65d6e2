"""Ctrl-C interrupts waiting, never the start of a process, and never twice."""

from __future__ import annotations

import signal

import pytest

from auren.devstack.signals import StopRequested, StopSignals


def test_a_signal_interrupts_what_waits() -> None:
    signals = StopSignals()
    with signals.watching(), pytest.raises(StopRequested):
        signal.raise_signal(signal.SIGTERM)


def test_a_held_block_is_finished_first() -> None:
    signals = StopSignals()
    done: list[str] = []

    def start() -> None:
        with signals.held():
            signal.raise_signal(signal.SIGINT)
            done.append("started")

    with signals.watching(), pytest.raises(StopRequested):
        start()
    assert done == ["started"]


def test_a_held_block_without_signal_goes_on() -> None:
    signals = StopSignals()
    with signals.watching(), signals.held():
        pass


def test_while_stopping_a_second_ctrl_c_changes_nothing() -> None:
    signals = StopSignals()
    with signals.watching():
        with pytest.raises(StopRequested):
            signal.raise_signal(signal.SIGINT)
        signals.hold_for_good()
        signal.raise_signal(signal.SIGINT)


def test_the_former_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals().watching():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before

"""Signals for other apps. `transitioned` comes once in the fleet for each transition."""

from __future__ import annotations

from django.dispatch import Signal

# Sent with `transition` (a `resilience.protocol.Transition`) in the process that caused it.
# Receivers must be quick; what they raise is logged and dropped.
transitioned = Signal()

# Sent with `transition` after an operator's action was carried out and kept. What
# receivers raise is logged and dropped: the action stands.
operated = Signal()

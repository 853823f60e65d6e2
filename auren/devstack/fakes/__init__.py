"""Fake Oura, WHOOP and Terra: one server that behaves as their documents say.

It holds no data of its own: accounts, documents and faults come in through the control
API (`control`), by the simulator or by a test. Everything is in memory.
"""

from __future__ import annotations

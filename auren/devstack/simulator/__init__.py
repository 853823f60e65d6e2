"""People who wear things: their nights and days, and the deliveries that follow.

`people` and `physiology` say how a body behaves (pure functions of seed, person and
date), one module for each sender turns that into its wire format, `timeline` puts it in
order, `sender` signs and sends as that vendor does, `player` plays it against a bridge.
"""

from __future__ import annotations

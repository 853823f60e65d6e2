"""Sleep stages of a night: one character each five minutes."""

from __future__ import annotations

import random

EPOCH_S = 300
DEEP = "1"
LIGHT = "2"
REM = "3"
AWAKE = "4"

# Minutes of deep and REM sleep, in epochs, of the first, second, ... cycle of a night:
# deep sleep comes early, REM late.
_DEEP = (7, 5, 3, 1, 0, 0, 0)
_REM = (1, 3, 5, 6, 6, 6, 5)
_CYCLE = 19


def stages(*, draw: random.Random, hours: float, restless: bool) -> str:
    """Return a night of about `hours` in bed; a restless one is awake more often."""
    wanted = round(max(4.2, min(10.5, hours)) * 3600 / EPOCH_S)
    night = AWAKE * draw.randint(1, 4 if restless else 3)
    cycle = 0
    while len(night) < wanted:
        night += _cycle(cycle, draw=draw, restless=restless)
        cycle += 1
    return night[: wanted - 1] + AWAKE


def _cycle(number: int, *, draw: random.Random, restless: bool) -> str:
    place = min(number, len(_DEEP) - 1)
    deep = max(0, _DEEP[place] + draw.randint(-1, 1) - (2 if restless else 0))
    rem = max(0, _REM[place] + draw.randint(-1, 1))
    light = max(2, _CYCLE + draw.randint(-2, 2) - deep - rem)
    before = draw.randint(1, max(1, light // 2))
    woke = draw.random() < (0.9 if restless else 0.75)
    awake = AWAKE * draw.randint(1, 3 if restless else 2) if woke else ""
    return LIGHT * before + DEEP * deep + LIGHT * (light - before) + REM * rem + awake

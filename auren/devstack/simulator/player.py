"""Playing people's lives against a bridge: the past at full speed, then day by day.

Three parts: a history (the final state of each night and day, as fast as the bridge takes
it), the last days in order at a steady rate, and from then on small updates of today at
the same rate, together with whatever really falls due meanwhile.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from auren.devstack.simulator import timeline
from auren.devstack.simulator.control import VendorControl
from auren.devstack.simulator.people import Person
from auren.devstack.simulator.pulse import Pulse
from auren.devstack.simulator.sender import Sender
from auren.devstack.simulator.terra import events as terra
from auren.devstack.simulator.wire import Delivery

RECENT_DAYS = 3
_LOOK_AHEAD = timedelta(minutes=5)
_DUPLICATE_CHANCE = 0.02
# Shortened as retries are.
_DELAYED_S = 600.0
# Deliveries on their way at once, those that wait for a retry included.
_MAX_OPEN = 500


@dataclass(slots=True, kw_only=True)
class Player:
    """Plays until `count` deliveries were made, or until it is told to stop."""

    people: Sequence[Person]
    sender: Sender
    vendors: VendorControl | None
    clock: Callable[[], datetime]
    seed: int
    rate: float
    history_days: int
    count: int | None = None
    _draw: random.Random = field(init=False)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _begun: int = 0
    _failure: BaseException | None = None
    _open: set[asyncio.Task[object]] = field(default_factory=set)
    _recent: deque[Delivery] = field(default_factory=lambda: deque(maxlen=50))
    _held: dict[str, Delivery] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)

    def stop(self) -> None:
        """End soon: nothing new is begun, what is under way may finish."""
        self._stop.set()

    async def play(self) -> None:
        """Play all three parts, then wait for the last answers."""
        now = self.clock()
        try:
            await self.play_past()
            await self._steadily(self._days(since=self._turn(now), until=now))
            await self._steadily(self._today(now))
            await self._settle()
            if self._failure is not None:
                raise self._failure
        finally:
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def play_past(self) -> None:
        """Send the history up to the last days: everybody at once, each in order."""
        now = self.clock()
        planned = timeline.between(
            self.people,
            since=now - timedelta(days=self.history_days),
            until=self._turn(now),
        )
        lives: dict[str, list[Delivery]] = {p.slug: [] for p in self.people}
        for person in self.people:
            # Terra tells of a new connection before it sends anything.
            if person.sender == "terra":
                lives[person.slug].append(terra.connected(person, at=now))
        for person, item in planned:
            if item.essential:
                lives[person.slug].append(item.delivery)
        await self._until_stopped(*(self._life(life) for life in lives.values()))

    def _turn(self, now: datetime) -> datetime:
        """Return where the history ends and the last days begin."""
        return now - timedelta(days=min(RECENT_DAYS, self.history_days))

    async def _life(self, deliveries: Sequence[Delivery]) -> None:
        if self.vendors is not None and _announces(deliveries):
            await self.vendors.publish(deliveries)
        for delivery in deliveries:
            if not self._more():
                return
            self._begun += 1
            await self.sender.send(delivery)

    async def _until_stopped(self, *work: Coroutine[object, object, None]) -> None:
        """Do all of it, but not longer than until `stop`."""
        stopped = asyncio.create_task(self._stop.wait())
        tasks = [asyncio.create_task(item) for item in work]
        try:
            for task in tasks:
                await asyncio.wait({task, stopped}, return_when="FIRST_COMPLETED")
                if stopped.done():
                    return
                await task
        finally:
            for one in (*tasks, stopped):
                one.cancel()
            await asyncio.gather(*tasks, stopped, return_exceptions=True)

    def _days(self, *, since: datetime, until: datetime) -> Iterable[Delivery]:
        planned = timeline.between(self.people, since=since, until=until)
        return (item.delivery for _, item in planned)

    def _today(self, began: datetime) -> Iterable[Delivery | None]:
        """Return what falls due from now on, and small updates in between."""
        pulse = Pulse(people=self.people, draw=self._draw)
        seen, due = began, deque[tuple[datetime, Delivery]]()
        while True:
            now = self.clock()
            if now >= seen:
                # Looked up some minutes at a time: making up days costs a little.
                fresh = timeline.between(
                    self.people, since=seen, until=seen + _LOOK_AHEAD
                )
                due.extend((item.at, item.delivery) for _, item in fresh)
                seen += _LOOK_AHEAD
            if due and due[0][0] <= now:
                yield due.popleft()[1]
            else:
                yield pulse.next(now)

    async def _steadily(self, deliveries: Iterable[Delivery | None]) -> None:
        """Begin one delivery after another, `rate` of them a second."""
        loop = asyncio.get_running_loop()
        slot = loop.time()
        for delivery in deliveries:
            if not self._more():
                return
            if delivery is not None:
                await self._begin(delivery)
            # A pause that was slept through is not made up for with a burst.
            slot = max(slot + 1 / self.rate, loop.time() - 1)
            await self._sleep_until(slot)

    async def _begin(self, delivery: Delivery) -> None:
        shown: list[str] = []
        if self.vendors is not None and _announces((delivery,)):
            shown = await self.vendors.announce(delivery)
        if "missing" in shown:
            self.sender.tally.skipped += 1
            return
        if "reordered" in shown:
            self._held[delivery.sender] = delivery
            return
        delay = _DELAYED_S * self.sender.retry_scale if "delayed" in shown else 0
        await self._spawn(delivery, delay=delay)
        if "duplicate" in shown:
            await self._spawn(delivery)
        held = self._held.pop(delivery.sender, None)
        if held is not None:
            await self._spawn(held)
        if self._recent and self._draw.random() < _DUPLICATE_CHANCE and self._more():
            await self._spawn(self._draw.choice(self._recent))
        self._recent.append(delivery)

    async def _spawn(self, delivery: Delivery, *, delay: float = 0) -> None:
        self._begun += 1
        while len(self._open) >= _MAX_OPEN and not self._stop.is_set():
            await asyncio.wait(self._open, timeout=0.2, return_when="FIRST_COMPLETED")
        task: asyncio.Task[object] = asyncio.create_task(self._later(delivery, delay))
        self._open.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[object]) -> None:
        """Forget a delivery's task; a mistake of ours ends the play."""
        self._open.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()
            self.stop()

    async def _later(self, delivery: Delivery, delay: float) -> None:
        await asyncio.sleep(delay)
        await self.sender.send(delivery)

    async def _sleep_until(self, slot: float) -> None:
        pause = slot - asyncio.get_running_loop().time()
        try:
            await asyncio.wait_for(self._stop.wait(), timeout=max(0.0, pause))
        except TimeoutError:
            return

    async def _settle(self) -> None:
        """Wait for open deliveries; when told to stop, only a moment."""
        if self._open:
            patience = 0.5 if self._stop.is_set() else None
            await asyncio.wait(self._open, timeout=patience)

    def _more(self) -> bool:
        if self._stop.is_set():
            return False
        return self.count is None or self._begun < self.count


def _announces(deliveries: Iterable[Delivery]) -> bool:
    """Say whether a fake vendor has to know of these."""
    return any(d.sender in {"oura", "whoop", "terra"} for d in deliveries)

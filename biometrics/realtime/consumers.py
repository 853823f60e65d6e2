"""The live socket: staff see numbers change without asking."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.sessions.backends.db import SessionStore

from biometrics import sittings
from biometrics.board import Board, for_viewer
from biometrics.realtime.broadcast import GROUP, note_watched

_FORBIDDEN = 4403
_RECHECK_S = 60.0


class LiveConsumer(AsyncJsonWebsocketConsumer):  # type: ignore[misc]
    """One browser tab of a staff member. Sends parts of the board, takes nothing."""

    _watch: asyncio.Task[None] | None = None
    _granted: frozenset[str] = frozenset()

    async def connect(self) -> None:
        """Accept staff; accept and close others, so that the browser sees the code."""
        if not await self._may_watch():
            await self.accept()
            await self.close(_FORBIDDEN)
            return
        # First: whoever is told that the socket is open misses nothing from then on.
        await self._join()
        await self.accept()
        self._watch = asyncio.create_task(self._recheck())

    async def disconnect(self, code: int) -> None:
        """Leave the group."""
        if self._watch is not None:
            self._watch.cancel()
            await self.channel_layer.group_discard(GROUP, self.channel_name)

    async def receive(self, *_args: Any, **_kwargs: Any) -> None:
        """Ignore what a browser sends: this socket only shows."""

    async def live_numbers(self, message: dict[str, Any]) -> None:
        """Pass on what this person may see of one group message."""
        told = Board(
            numbers=message["numbers"],
            tables=message.get("tables", {}),
            charts=message.get("charts", {}),
        )
        await self.send_json(for_viewer(told, may=self._granted.__contains__))

    async def _join(self) -> None:
        """Be in the group, and let the workers know: a wiped Redis forgets both."""
        await self.channel_layer.group_add(GROUP, self.channel_name)
        await sync_to_async(note_watched, thread_sensitive=False)()

    async def _recheck(self) -> None:
        """Close when the account is gone: the session's user is fixed at connect."""
        while True:
            await asyncio.sleep(_RECHECK_S)
            if not await self._may_watch():
                await self.close(_FORBIDDEN)
                return
            await self._join()

    async def _may_watch(self) -> bool:
        """Say whether this is staff who is still signed in; learn what they may see."""
        user, session = self.scope.get("user"), self.scope.get("session")
        if user is None or session is None or not user.is_authenticated:
            return False
        granted = await database_sync_to_async(_granted_to)(
            user.pk, session.session_key
        )
        self._granted = granted or frozenset()
        return granted is not None


def _granted_to(pk: int, session_key: str | None) -> frozenset[str] | None:
    """Return the permissions of staff whose session holds, None for anybody else.

    An open socket is no sign of life: it closes when its person's time is over.
    """
    kept = SessionStore(session_key).load()
    if SESSION_KEY not in kept or sittings.is_over(kept, now=datetime.now(tz=UTC)):
        return None
    users = get_user_model().objects.filter(pk=pk, is_active=True, is_staff=True)
    user = users.first()
    return None if user is None else frozenset(user.get_all_permissions())

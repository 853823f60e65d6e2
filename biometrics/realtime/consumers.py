"""The live socket: staff see numbers change without asking."""

from __future__ import annotations

import asyncio
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.contrib.auth import get_user_model

from biometrics.realtime.broadcast import GROUP

_FORBIDDEN = 4403
_RECHECK_S = 60.0


class LiveConsumer(AsyncJsonWebsocketConsumer):  # type: ignore[misc]
    """One browser tab of a staff member. Sends {"numbers": {key: text}}, takes nothing."""

    _watch: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Accept staff; accept and close others, so that the browser sees the code."""
        await self.accept()
        if not await self._is_staff():
            await self.close(_FORBIDDEN)
            return
        await self.channel_layer.group_add(GROUP, self.channel_name)
        self._watch = asyncio.create_task(self._recheck())

    async def disconnect(self, code: int) -> None:
        """Leave the group."""
        if self._watch is not None:
            self._watch.cancel()
            await self.channel_layer.group_discard(GROUP, self.channel_name)

    async def receive(self, *_args: Any, **_kwargs: Any) -> None:
        """Ignore what a browser sends: this socket only shows."""

    async def live_numbers(self, message: dict[str, Any]) -> None:
        """Pass one group message on."""
        await self.send_json({"numbers": message["numbers"]})

    async def _recheck(self) -> None:
        """Close when the account is gone: the session's user is fixed at connect."""
        while True:
            await asyncio.sleep(_RECHECK_S)
            if not await self._is_staff():
                await self.close(_FORBIDDEN)
                return

    async def _is_staff(self) -> bool:
        user = self.scope.get("user")
        if user is None or not user.is_authenticated:
            return False
        users = get_user_model().objects.filter(
            pk=user.pk, is_active=True, is_staff=True
        )
        return bool(await database_sync_to_async(users.exists)())

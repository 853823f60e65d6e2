"""Django's request for webhooks: what nobody reads is not made."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from django.core.handlers.asgi import ASGIRequest


class SlimRequest(ASGIRequest):
    """A request whose body is at hand; META and what follows from it come when asked for.

    Filling META was a tenth of a webhook's processor time, and adapters read the raw
    headers. Error pages and the views of phone sessions find everything in its place.
    """

    def __init__(self, scope: Mapping[str, Any], body: bytes) -> None:
        self._is_filled = False
        self.scope = scope
        self.method = str(scope["method"]).upper()
        self.path = self.path_info = scope["path"]
        self.resolver_match = None
        # Set directly: DATA_UPLOAD_MAX_MEMORY_SIZE is for forms, the cap was checked.
        self._body = body
        # REST framework asks every request for these.
        self._force_auth_user = self._force_auth_token = None

    def __getattr__(self, name: str) -> Any:
        """Fill the rest in at the first demand for it."""
        if self._is_filled or name == "_is_filled":
            msg = f"{type(self).__name__} has no attribute {name!r}"
            raise AttributeError(msg)
        self._is_filled = True
        match = self.resolver_match
        super().__init__(self.scope, io.BytesIO())
        self.resolver_match = match
        return getattr(self, name)

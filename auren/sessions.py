"""Sessions in the database, asked for by keys alone that a session can have."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    """Django's own. A cookie that is no key is no session, and reaches no database.

    PostgreSQL raises for the NUL that a quoted cookie can hold.
    """

    def _validate_session_key(self, key: Any) -> bool:
        return bool(key) and str(key).isascii() and str(key).isalnum() and len(key) >= 8

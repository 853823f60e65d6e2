"""The first person who can sign in."""

from __future__ import annotations

import secrets

from django.contrib.auth.models import User

USERNAME = "admin"


def make_admin() -> str | None:
    """Create the staff user and answer its password; None when it exists already.

    Only the hash is kept, so this is the one time that the password can be shown.
    """
    if User.objects.filter(username=USERNAME).exists():
        return None
    password = secrets.token_urlsafe(12)
    User.objects.create_superuser(username=USERNAME, password=password)
    return password

"""Plays the workers' part in pushing: a process that says when it pushed.

    python -m tests.bench.live.pusher

The first line is the cookie of somebody who may see everything; then one line for each
push: the time that it shows, and the moment at which it was begun by the machine's
monotonic clock.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta

# As often as busy workers ask for a turn; they get four a second.
_ASKED_S = 0.02


def main() -> None:
    """Push until standard output is closed or the process is ended."""
    import django  # noqa: PLC0415 - the settings come from the environment

    django.setup()
    from django.utils import timezone  # noqa: PLC0415

    from biometrics.realtime.broadcast import broadcast_numbers  # noqa: PLC0415

    _say(_cookie())
    # Pushes are told apart by the second that they show: each shows the next one.
    shown = timezone.now()
    while True:
        began = time.monotonic()
        if broadcast_numbers(now=shown):
            _say(f"{shown:%H:%M:%S} {began:.6f}")
            shown += timedelta(seconds=1)
        time.sleep(_ASKED_S)


def _cookie() -> str:
    from django.conf import settings  # noqa: PLC0415
    from django.contrib.auth.models import User  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415

    settings.ALLOWED_HOSTS = ["testserver"]
    boss, _ = User.objects.get_or_create(
        username="bench", defaults={"is_staff": True, "is_superuser": True}
    )
    client = Client()
    client.force_login(boss)
    name = settings.SESSION_COOKIE_NAME
    return json.dumps(f"{name}={client.cookies[name].value}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

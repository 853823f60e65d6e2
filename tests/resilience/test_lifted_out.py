"""The package in a project that has nothing of this one: no unfold, stock admin."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import resilience

_PROGRAM = """
import sys
sys.modules["unfold"] = None
import django
from django.conf import settings
settings.configure(
    SECRET_KEY="x",
    INSTALLED_APPS=[
        *("django.contrib.admin", "django.contrib.auth", "django.contrib.messages"),
        *("django.contrib.contenttypes", "django.contrib.sessions", "resilience"),
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": [
            "django.template.context_processors.request",
            "django.contrib.auth.context_processors.auth",
            "django.contrib.messages.context_processors.messages",
        ]},
    }],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db"}},
    RESILIENCE={"mail": {"failure_threshold": 1}},
)
django.setup()
from django.contrib import admin
from django.core.management import call_command
call_command("check", "--fail-level", "WARNING")
call_command("migrate", verbosity=0)
admin.autodiscover()
from resilience import CircuitBreakerOpen, get_breaker
try:
    get_breaker("mail").call(int, "no number")
except ValueError:
    pass
try:
    get_breaker("mail").call(int)
except CircuitBreakerOpen as error:
    print(error.name, error.state)
call_command("breaker", "list")
"""


def test_it_works_beside_the_stock_admin_alone(tmp_path: Path) -> None:
    shutil.copytree(Path(resilience.__file__).parent, tmp_path / "resilience")
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "mail open" in done.stdout

"""Settings of the test suite: the bridge's own, with safe values for the rest."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_HOME = Path(tempfile.mkdtemp(prefix="auren-tests-"))
_DEFAULTS = {
    "SECRET_KEY": "only-for-tests-0123456789-0123456789-0123456789-0123456789",
    "AUREN_MODE": "development",
    "DATABASE_URL": f"sqlite:///{_HOME / 'bridge.sqlite3'}",
    "PG_POOL": "false",
    # Refused at once: a test that needs a server asks for the fixture.
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    # Without Redis each process has a small share; tests that are about it lower this.
    "VENDOR_LIMIT_FACTOR": "1000",
    "AUREN_TOKEN_KEYS": "Zm9yLXRlc3RzLW9ubHktMDEyMzQ1Njc4OS0wMTIzNDU=",
    "AUREN_OURA_CLIENT_ID": "oura-client",
    "AUREN_OURA_CLIENT_SECRET": "oura-client-secret",
    "AUREN_OURA_VERIFICATION_TOKEN": "oura-verification-token",
    "AUREN_WHOOP_CLIENT_ID": "whoop-client",
    "AUREN_WHOOP_CLIENT_SECRET": "whoop-client-secret",
    "AUREN_TERRA_DEV_ID": "terra-dev",
    "AUREN_TERRA_API_KEY": "terra-api-key",
    "AUREN_WEBHOOK_SECRET_TERRA": "terra-old-secret,terra-signing-secret",
}
for _name, _value in _DEFAULTS.items():
    os.environ.setdefault(_name, _value)

from auren.settings import *

DATABASES = {**DATABASES}
DATABASES["default"]["TEST"] = (
    {"NAME": str(_HOME / "test.sqlite3")}
    if "sqlite" in str(DATABASES["default"]["ENGINE"])
    else {"NAME": f"test_auren_{os.getpid()}"}
)
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

"""Where the development stack keeps its state, and the environment it gives out."""

from __future__ import annotations

import base64
import os
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FAKED_VENDORS = ("OURA", "WHOOP", "TERRA")


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The files of one development stack; ``make clean`` deletes them all."""

    home: Path

    @property
    def secrets_file(self) -> Path:
        return self.home / "secrets.env"

    @property
    def services_file(self) -> Path:
        """Addresses of what runs now; absent while nothing does."""
        return self.home / "services.env"

    @property
    def lock_file(self) -> Path:
        return self.home / "lock"

    @property
    def database(self) -> Path:
        return self.home / "bridge.sqlite3"


def state() -> State:
    """Answer the state in AUREN_DEVSTACK_DIR, by default ``.devstack`` of this clone."""
    return State(home=Path(os.environ.get("AUREN_DEVSTACK_DIR") or ROOT / ".devstack"))


def adopt(*, command: str) -> None:
    """Fill in what the environment lacks for a command that is typed in a clone.

    ``devstack`` gets the stack's secrets, made when there are none. Any other command
    gets them, and the addresses of what runs now, only where nothing is configured
    (no SECRET_KEY) and ``make run`` has been here. What is set stays as it is.
    """
    here = state()
    if command == "devstack":
        # Addresses in the file are another copy's, or of one that was killed.
        values = _settled(here)
    elif _is_configured() or not here.secrets_file.exists():
        return
    else:
        values = environment(here)
    for name, value in values.items():
        os.environ.setdefault(name, value)


def _is_configured() -> bool:
    return bool(os.environ.get("SECRET_KEY") or os.environ.get("SECRET_KEY_FILE"))


def environment(here: State) -> dict[str, str]:
    """Compose what every process of the stack gets, secrets made at the first call."""
    return {**_settled(here), **read(here.services_file)}


def read(path: Path) -> dict[str, str]:
    """Read a file of shell assignments; nothing when it is not there."""
    try:
        words = shlex.split(path.read_text(), comments=True)
    except FileNotFoundError:
        return {}
    return dict(word.split("=", 1) for word in words)


def write(path: Path, values: Mapping[str, str], *, heading: str) -> None:
    """Write shell assignments that only the owner can read."""
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in values.items()]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = path.with_suffix(".new")
    scratch.unlink(missing_ok=True)
    scratch.touch(mode=0o600)
    scratch.write_text(f"# {heading}\n{''.join(lines)}")
    scratch.replace(path)


def _settled(here: State) -> dict[str, str]:
    return {
        "AUREN_MODE": "development",
        "DATABASE_URL": f"sqlite:///{here.database}",
        "STATIC_ROOT": str(here.home / "static"),
        **_kept_secrets(here),
    }


def _kept_secrets(here: State) -> dict[str, str]:
    kept = read(here.secrets_file)
    missing = {k: v for k, v in _new_secrets().items() if k not in kept}
    if missing:
        kept |= missing
        heading = "Secrets of this development stack, made at its first start."
        write(here.secrets_file, kept, heading=heading)
    return kept


def _new_secrets() -> dict[str, str]:
    made = {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "AUREN_TOKEN_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AUREN_OURA_VERIFICATION_TOKEN": secrets.token_urlsafe(24),
        "AUREN_TERRA_DEV_ID": f"devstack-{secrets.token_hex(4)}",
        "AUREN_TERRA_API_KEY": secrets.token_urlsafe(32),
        "AUREN_WEBHOOK_SECRET_TERRA": secrets.token_hex(32),
    }
    for vendor in ("OURA", "WHOOP"):
        # These two sign with the OAuth client secret.
        client_secret = secrets.token_hex(32)
        made[f"AUREN_{vendor}_CLIENT_ID"] = f"devstack-{secrets.token_hex(4)}"
        made[f"AUREN_{vendor}_CLIENT_SECRET"] = client_secret
        made[f"AUREN_WEBHOOK_SECRET_{vendor}"] = client_secret
    return made

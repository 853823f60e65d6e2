""".env.example names every variable, with the default that it has."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from biometrics.vendors.registry import VENDORS, all_adapters, get_adapter
from biometrics.vendors.wire import MIB

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("auren", "biometrics", "resilience")
# Read by docker-compose.yml alone.
NEEDS_NO_SETTING = {"POSTGRES_PASSWORD"}
# Not ours: other programs' variables that we honour or set.
FOREIGN = {
    "DJANGO_SETTINGS_MODULE",
    "FORCE_COLOR",
    "M2_REPO",
    "NO_COLOR",
    "OAUTHLIB_INSECURE_TRANSPORT",
    "XDG_CACHE_HOME",
}
SIGNING = [slug.upper() for slug in VENDORS if not get_adapter(slug).personal_tokens]
OF_A_VENDOR = re.compile(
    rf"AUREN_({'|'.join(SIGNING)})_"
    r"(CLIENT_ID|CLIENT_SECRET|API_BASE|DEV_ID|API_KEY|TOLERANCE_S"
    rf"|VERIFICATION_TOKEN|SCOPES|STATE_LENGTH|SUBSCRIPTIONS|PAYLOAD_HOSTS)|AUREN_WEBHOOK_SECRET_({'|'.join(SIGNING)})"
    r"|AUREN_HEALTHKIT_CLIENT_(ID|SECRET)"
)
REQUIRED = {
    "SECRET_KEY": "for-checks-only-0123456789-abcdefghijklmnopqrstuvwxyz-0123456789",
    "AUREN_TOKEN_KEYS": "Zm9yLWNoZWNrcy1vbmx5LTAxMjM0NTY3ODktMDEyMzQ=",
    "AUREN_OURA_CLIENT_SECRET": "check",
    "AUREN_WHOOP_CLIENT_SECRET": "check",
    **{f"AUREN_WEBHOOK_SECRET_{vendor}": "check" for vendor in SIGNING},
    "PUBLIC_URL": "https://bridge.example.org",
    "KAFKA_REPLICATION_FACTOR": "3",
}


def documented(*, commented: bool = False) -> dict[str, str]:
    """Return the assignments of the file; with `commented` those that are switched off."""
    text = (ROOT / ".env.example").read_text()
    pattern = r"^# ([A-Z0-9_]+)=(.*)$" if commented else r"^([A-Z0-9_]+)=(.*)$"
    return dict(re.findall(pattern, text, re.MULTILINE))


def readings() -> Iterator[tuple[str, str | None]]:
    """Yield each variable that the settings read, and its default where it is fixed."""
    tree = ast.parse((ROOT / "auren" / "settings.py").read_text())
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not call.args:
            continue
        name = call.args[0]
        of_env = re.fullmatch(r"env\.\w+", ast.unparse(call.func))
        if not of_env or not isinstance(name, ast.Constant):
            continue
        named = [word.value for word in call.keywords if word.arg == "default"]
        yield str(name.value), _written([*call.args[1:2], *named])


def _written(given: list[ast.expr]) -> str | None:
    if not given:
        return ""
    if not isinstance(given[0], ast.Constant):
        return None
    value = given[0].value
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_every_variable_that_is_read_is_documented_and_no_other() -> None:
    read = {name for name, _default in readings()}
    assert len(read) > 40, "the settings are read in another way"
    others = {name for name in documented() if not OF_A_VENDOR.fullmatch(name)}
    assert read <= others
    assert others - read == NEEDS_NO_SETTING


def test_what_is_read_outside_of_the_settings_is_documented() -> None:
    pattern = re.compile(r'os\.environ(?:\.get\(|\.setdefault\(|\[)"([A-Z0-9_]+)"')
    sources = [path for name in PACKAGES for path in (ROOT / name).rglob("*.py")]
    read = {name for path in sources for name in pattern.findall(path.read_text())}
    assert "AUREN_CACHE_DIR" in read, "the pattern no longer finds any variable"
    unnamed = {name.removesuffix("_FILE") for name in read - FOREIGN}
    assert unnamed <= documented().keys() | documented(commented=True).keys()


def test_the_documented_defaults_are_the_defaults() -> None:
    fixed = {name: value for name, value in readings() if value is not None}
    # Where these are put says what they are for; DATABASE_URL shows the form.
    wanted = {
        n: v for n, v in fixed.items() if n not in {"DATABASE_URL", "STATIC_ROOT"}
    }
    assert {name: documented()[name] for name in wanted} == wanted


def test_vendors_documented_defaults_are_their_adapters() -> None:
    named = set()
    for adapter in all_adapters():
        name = f"AUREN_{adapter.slug.upper()}"
        # A vendor need name its secret only.
        tolerance = documented().get(f"{name}_TOLERANCE_S")
        if tolerance is not None:
            named.add(adapter.slug)
            assert float(tolerance) == adapter.default_tolerance_s
        if adapter.api is not None:
            assert documented()[f"{name}_API_BASE"] == adapter.api.base
    assert named >= {"oura", "whoop", "terra"}


def test_vendors_who_only_notify_are_named_as_capped_lower() -> None:
    text = (ROOT / ".env.example").read_text()
    (meaning,) = re.findall(r"((?:^# .*\n)+)WEBHOOK_MAX_BODY_MB=", text, re.MULTILINE)
    assert "at 1 MiB" in meaning
    named = [a for a in all_adapters() if a.title in meaning]
    assert {a.max_body_bytes for a in named} == {MIB}
    # One vendor more that pushes needs no word here.
    assert named == [a for a in all_adapters() if a.notifies_only]


def test_each_signing_vendors_secret_is_named() -> None:
    wanted = {f"AUREN_WEBHOOK_SECRET_{vendor}" for vendor in SIGNING}
    assert wanted <= documented().keys()


def test_a_bridge_starts_from_the_example_with_its_gaps_filled() -> None:
    plain = {k: v for k, v in os.environ.items() if not OF_A_VENDOR.fullmatch(k)}
    plain |= {"DJANGO_SETTINGS_MODULE": "auren.settings"} | documented() | REQUIRED
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        capture_output=True,
        text=True,
        env=plain,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr

"""A fifth vendor: its folder, one line in the registry, one secret, and nothing else.

What docs/adding-a-vendor.md promises is tried with a vendor that does not exist. Its
folder lies in the tests; everything that serves it is the bridge as it is.
"""

from __future__ import annotations

import ast
import hashlib
import hmac
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.conf import settings as configured
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from pytest_django.fixtures import Settings

from auren import environment
from auren.safety.configured import CONFIGURED
from biometrics import pipeline
from biometrics.checks import check_secrets
from biometrics.ingest import credentials_of
from biometrics.models import (
    BiometricEvent,
    HrvAlert,
    OutboxMessage,
    Reading,
    WebhookDelivery,
)
from biometrics.vendors import registry
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.matrix import render
from tests.bridge import Answer, RunningBridge
from tests.vendors.acme.adapter import Acme
from tests.vendors.contract import VendorContract
from tests.vendors.deliveries import FIXTURES, SECRET, Case, fixture
from tests.vendors.vectors import Vector, load_vectors

_ROOT = Path(configured.BASE_DIR)


def acme_headers(body: bytes, *, secret: str, at: datetime) -> Mapping[str, str]:
    """Sign as Acme does, apart from the code under test."""
    time = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), f"{time}.".encode() + body, hashlib.sha256)
    return {"acme-time": time, "acme-signature": digest.hexdigest()}


class TestAcme(VendorContract):
    slug = "acme"
    unknown_type = b'{"kind": "mattress_turned", "bed": "bed-17", "id": "1"}'
    not_deliveries = {"signature_vectors.json": "verdicts on signatures"}

    @classmethod
    def adapter_of(cls) -> VendorAdapter:
        return Acme()

    def proof(self, body: bytes, *, at: datetime) -> Mapping[str, str]:
        return acme_headers(body, secret=SECRET, at=at)

    def vectors(self) -> Sequence[Vector]:
        return load_vectors(file=FIXTURES / "acme" / "signature_vectors.json")

    def cases(self) -> Sequence[Case]:
        names = ("night.json", "night_alone.json", "night_removed.json")
        return [
            Case(name=name, body=fixture("acme", name), fixtures=(name,))
            for name in names
        ]


@pytest.fixture
def _line_in_the_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(registry.VENDORS, "acme", "tests.vendors.acme.adapter.Acme")
    yield
    registry.get_adapter.cache_clear()


@pytest.fixture
def _secret(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[None]:
    monkeypatch.setenv("AUREN_WEBHOOK_SECRET_ACME", SECRET)
    settings.AUREN_WEBHOOK_SECRETS = environment.webhook_secrets(os.environ)
    credentials_of.cache_clear()
    yield
    credentials_of.cache_clear()


def a_night(day: date, **changes: Any) -> bytes:
    """Return the sample, told of the night that ended on a day."""
    said = json.loads((Path(__file__).parent / "acme" / "sample.json").read_bytes())
    before = day - timedelta(days=1)
    return orjson.dumps(
        {
            **said,
            "id": f"night-{day}",
            "changed_at": f"{day}T00:30:00+00:00",
            "from": f"{before}T16:00:00+00:00",
            "to": f"{day}T00:15:00+00:00",
            **changes,
        }
    )


@pytest.mark.usefixtures("_line_in_the_registry", "_secret")
class TestServed:
    @pytest.fixture
    def bridge(self, transactional_db: None) -> Iterator[RunningBridge]:
        running = RunningBridge()
        running.start()
        yield running
        running.stop()

    def deliver(self, bridge: RunningBridge, body: bytes, secret: str) -> Answer:
        headers = acme_headers(body, secret=secret, at=datetime.now(tz=UTC))
        return bridge.request("POST", "/webhooks/acme", body=body, headers=headers)

    def work(self) -> None:
        now = datetime.now(tz=UTC)
        for shard in pipeline.due_process_shards(now=now):
            pipeline.process_shard(
                shard=shard, now=lambda: datetime.now(tz=UTC), budget_s=60
            )

    def test_from_the_webhook_to_the_outbox_and_the_alert(
        self, bridge: RunningBridge
    ) -> None:
        body = a_night(datetime.now(tz=UTC).date())
        assert self.deliver(bridge, body, "forged").status == 401
        assert self.deliver(bridge, body, SECRET).json["status"] == "accepted"
        assert self.deliver(bridge, body, SECRET).json["status"] == "duplicate"
        self.work()
        assert WebhookDelivery.objects.get().status == "processed"
        assert BiometricEvent.objects.get().vendor == "acme"
        hrv = Reading.objects.get(metric="heart_rate_variability_rmssd")
        assert (hrv.value, hrv.unit) == (20.0, "ms")
        assert HrvAlert.objects.get().series_id == "RMSSD:acme:bed"
        sent = OutboxMessage.objects.order_by("id")
        assert [message.topic for message in sent] == [
            "biometric-events",
            "biometric-alerts",
        ]
        assert orjson.loads(bytes(sent[0].value or b""))["record"]["vendor"] == "acme"

    def test_bad_values_cost_themselves_and_are_named(
        self, bridge: RunningBridge
    ) -> None:
        body = a_night(datetime.now(tz=UTC).date(), hrv={"rmssd_ms": -4})
        assert self.deliver(bridge, body, SECRET).status == 200
        self.work()
        event = BiometricEvent.objects.get()
        assert [problem["field"] for problem in event.problems] == ["hrv.rmssd_ms"]
        assert {reading.metric for reading in Reading.objects.all()} == {
            "resting_heart_rate",
            "sleep_duration",
        }

    def test_staff_see_it(self, client: Client, db: None) -> None:
        client.force_login(User.objects.create_superuser("staff"))
        page = client.get("/admin/biometrics/webhookdelivery/?vendor=acme")
        assert page.status_code == 200
        assert "Acme" in page.content.decode()

    def test_its_tables_are_in_the_coverage(self) -> None:
        text = render(registry.all_adapters())
        assert "| Acme |" in text.splitlines()[2]
        assert "| sleep | `asleep_min` | `sleep_duration` | `s` |" in text

    def test_no_migration_is_needed(self, db: None) -> None:
        told = StringIO()
        call_command("makemigrations", "--check", "--dry-run", stdout=told)
        assert "No changes detected" in told.getvalue()

    def test_nothing_complains(self) -> None:
        assert not check_secrets()


@pytest.mark.usefixtures("_line_in_the_registry")
def test_a_forgotten_secret_is_named(settings: Settings) -> None:
    settings.AUREN_WEBHOOK_SECRETS = {}
    told = [said for guard in CONFIGURED if (said := guard.wrong())]
    assert any("AUREN_WEBHOOK_SECRET_ACME" in said for said in told)


@pytest.mark.usefixtures("_secret")
def test_a_forgotten_line_is_named() -> None:
    (complaint,) = check_secrets()
    assert "AUREN_WEBHOOK_SECRET_ACME" in complaint.msg


def test_make_check_asks_for_no_line_of_its_own(tmp_path: Path) -> None:
    shutil.copy(_ROOT / "Makefile", tmp_path)
    known = tmp_path / "biometrics" / "vendors" / "registry.py"
    known.parent.mkdir(parents=True)
    line = '    "acme": "biometrics.vendors.acme.adapter.Acme",\n}'
    written = (_ROOT / "biometrics" / "vendors" / "registry.py").read_text()
    known.write_text(written.replace("}", line, 1))
    done = subprocess.run(
        ["make", "--dry-run", "check"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=True,
    )
    (last,) = [line for line in done.stdout.splitlines() if "check --deploy" in line]
    for name in ("ACME", "TERRA"):
        assert f"AUREN_WEBHOOK_SECRET_{name}=" in last


def test_no_code_names_a_vendor_outside_its_folder() -> None:
    """The registry, settings, and what stands in for vendors are the exceptions."""
    exceptions = re.compile(
        r"auren/(devstack/.*|settings\.py|management/commands/(simulate|fake_vendors)\.py)"
        r"|biometrics/vendors/(registry\.py|(oura|whoop|terra)/.*)"
        # Examples for consumers speak of vendors that exist.
        r"|biometrics/publishing/examples\.py"
    )
    files = [
        path
        for package in ("auren", "biometrics", "resilience")
        for path in (_ROOT / package).rglob("*.py")
    ]
    named = {str(path.relative_to(_ROOT)) for path in files if _names_a_vendor(path)}
    assert "biometrics/vendors/registry.py" in named
    assert sorted(path for path in named if not exceptions.fullmatch(path)) == []


def _names_a_vendor(path: Path) -> bool:
    """Say whether code, not prose, holds a vendor's name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    words = " ".join(
        str(getattr(node, name))
        for node in ast.walk(tree)
        if id(node) not in prose
        for name in ("id", "attr", "name", "arg", "module", "value")
        if isinstance(getattr(node, name, None), str)
    )
    return (
        re.search(r"(?<![a-z])(oura|whoop|terra)(?![a-z])", words, re.IGNORECASE)
        is not None
    )

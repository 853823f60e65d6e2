"""A bridge full of secrets and health values says none of them where it should not.

Everything that it writes is searched: the logs of all processes, answers to good and bad
requests, metrics, the pages of the admin before a reveal, and what `ps` shows.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterable, Iterator
from html import unescape
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import orjson
import pytest
import redis
from cryptography.fernet import Fernet
from kafka.consumer.fetcher import ConsumerRecord

from auren.devstack.process import process_tree
from tests.databases import migrate
from tests.e2e.admin import StaffSession
from tests.e2e.bodies import terra_sleep
from tests.e2e.documents import DocumentServer
from tests.e2e.stack import ROOT, Stack, headers_of, running
from tests.leaks import SEARCH
from tests.newcomers import unused_but

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.redis]
ACCEPTED = "auren.E008,auren.E010,auren.E022,auren.E023"
# Values that no clock and no count shows. The first is low enough to alert.
RMSSD, RESTING, HEART, SLEEPING = 17.3391, 50.7193, 91.8273, 26_713
OURA_HRV, OURA_HEART = 83, 61.9473
# Not a part of a longer number, and not the seconds of a time.
_LAST_PLACE = r"(?<![\d.])(?<!\d:){}(?!\d)"
_MOST_PAGES = 160


def planted(name: str) -> str:
    """Return a secret that nothing else looks like."""
    return f"planted-{name}-{secrets.token_hex(20)}"


class PlantedStack(Stack):
    """A bridge in production mode whose every secret is known to the test."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.secrets = {
            name: planted(name.lower().replace("_", "-"))
            for name in (
                "SECRET_KEY",
                "AUREN_OURA_CLIENT_SECRET",
                "AUREN_OURA_VERIFICATION_TOKEN",
                "AUREN_WHOOP_CLIENT_SECRET",
                "AUREN_TERRA_API_KEY",
                "METRICS_TOKEN",
                "EMAIL_HOST_PASSWORD",
                "KAFKA_SECURITY_SASL_PASSWORD",
                "database password",
                "redis password",
                "terra old",
                "terra new",
                "oura access",
                "oura refresh",
            )
        }
        self.secrets["AUREN_TOKEN_KEYS"] = Fernet.generate_key().decode()
        for name, value in self.secrets.items():
            SEARCH.plant(name, value)

    @property
    def environment(self) -> dict[str, str]:
        known = self.secrets
        named = {name: value for name, value in known.items() if name.isupper()}
        return {
            **super().environment,
            **named,
            "AUREN_MODE": "production",
            "AUREN_ACCEPTED_RISKS": ACCEPTED,
            "AUREN_TLS": "false",
            "STATIC_ROOT": str(self.home / "static"),
            "LOG_LEVEL": "DEBUG",
            "DATABASE_URL": self.postgres.url.replace(
                "auren@", f"auren:{known['database password']}@"
            ),
            "REDIS_URL": self.valkey.url.replace(
                "//", f"//:{known['redis password']}@"
            ),
            "AUREN_WEBHOOK_SECRET_TERRA": (
                f"{known['terra old']},{known['terra new']}"
            ),
            "AUREN_UNUSED_VENDORS": unused_but({"oura", "whoop", "terra"}),
            "KAFKA_REPLICATION_FACTOR": "1",
            "INTAKE_COMMIT_TIMEOUT_S": "1",
        }

    def start(self) -> None:
        self.postgres.start()
        self.valkey.start()
        self.lock_redis(self.secrets["redis password"], known="")
        self.kafka.start()
        migrate(self.postgres.url)
        self.manage("collectstatic", "--noinput")
        self.manage("kafka_topics")
        self.start_web()
        self.start_worker()
        self.start_beat()

    def lock_redis(self, password: str, *, known: str) -> None:
        """Give Redis another password and end every session that had the last one."""
        with redis.Redis.from_url(self.valkey.url, password=known or None) as server:
            server.config_set("requirepass", password)
            server.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def is_processed(self) -> bool:
        """Return whether every delivery and every message has come to rest."""
        waiting = self.sql(
            "SELECT (SELECT count(*) FROM biometrics_webhookdelivery"
            " WHERE status IN ('pending', 'retrying'))"
            " + (SELECT count(*) FROM biometrics_outboxmessage"
            " WHERE status IN ('pending', 'in_batch'))"
        )
        return waiting == [(0,)]

    def everything_logged(self) -> str:
        return "\n".join(path.read_text() for path in self.home.glob("*.log"))

    def process_titles(self) -> str:
        titles = []
        for process in self.processes.values():
            for pid in process_tree(process.pid):
                raw = Path(f"/proc/{pid}/cmdline").read_bytes()
                titles.append(raw.replace(b"\0", b" ").decode(errors="replace"))
        return "\n".join(titles)


@pytest.fixture(scope="module")
def stack(services_dir: Path) -> Iterator[PlantedStack]:
    """Return a bridge that has had good traffic, bad traffic, and outages."""
    with running(PlantedStack, services_dir) as started:
        assert isinstance(started, PlantedStack)
        yield started


@pytest.fixture(scope="module")
def answers(stack: PlantedStack) -> list[str]:
    """Drive the bridge, and return all that it answered."""
    notice = orjson.dumps(
        {
            "event_type": "update",
            "data_type": "sleep",
            "object_id": "night-of-oura",
            "event_time": "2026-11-24T06:00:00+00:00",
            "user_id": "oura-account",
        }
    )
    vendor = DocumentServer(
        port=stack.vendors_port,
        documents={"/oura/v2/usercollection/sleep/night-of-oura": _oura_night()},
    )
    vendor.start()
    try:
        told = [*_connect(stack), *_good(stack, notice), *_bad(stack, notice)]
        _connect_links(stack)
        stack.until(stack.is_processed, "all is processed", seconds=120)
        told += _outages(stack)
        stack.until(stack.is_processed, "all is processed", seconds=120)
    finally:
        vendor.stop()
    return told


def _oura_night() -> bytes:
    path = ROOT / "tests/fixtures/oura/community_api_sleep_page1_mcp.json"
    night = orjson.loads(path.read_bytes())["data"][0]
    return orjson.dumps(
        {
            **night,
            "id": "night-of-oura",
            "average_hrv": OURA_HRV,
            "average_heart_rate": OURA_HEART,
        }
    )


def _connect(stack: PlantedStack) -> list[str]:
    tokens = {}
    for kind in ("access", "refresh"):
        tokens[kind] = stack.home / f"{kind}.txt"
        tokens[kind].write_text(f"{stack.secrets[f'oura {kind}']}\n")
    said = stack.manage(
        *("connections", "add", "--vendor", "oura", "--account", "oura-account"),
        *("--label", "Robin", "--access-token-file", str(tokens["access"])),
        *("--refresh-token-file", str(tokens["refresh"])),
        *("--expires-at", "2099-01-01T00:00:00Z"),
    )
    argv = ("healthkit-token", "--subject", "Robin")
    printed = stack.manage("connections", *argv).strip().splitlines()
    # Between log lines, which are JSON, the token is shown this once.
    stack.secrets["phone"] = [line for line in printed if line[0] != "{"][-1]
    return [said, stack.manage("connections", "list")]


def _night(user: str, **changes: object) -> bytes:
    body = orjson.loads(terra_sleep(user_id=user, rmssd=RMSSD))
    night = body["data"][0]
    night["heart_rate_data"]["summary"].update(
        avg_hr_bpm=HEART, resting_hr_bpm=RESTING, **changes
    )
    asleep = night["sleep_durations_data"]["asleep"]
    asleep["duration_asleep_state_seconds"] = SLEEPING
    return orjson.dumps(body)


def _phone_record(**changes: object) -> bytes:
    record = {
        "id": str(uuid4()),
        "type": "HKQuantityTypeIdentifierHeartRate",
        "startDate": "2026-11-24T06:00:00Z",
        "endDate": "2026-11-24T06:00:00Z",
        "value": HEART,
        "unit": "bpm",
        **changes,
    }
    return orjson.dumps(
        {
            "provider": "apple",
            "sdkVersion": "0.6.0",
            "syncTimestamp": "2026-11-24T06:01:00Z",
            "data": {"records": [record], "sleep": [], "workouts": []},
        }
    )


def _good(stack: PlantedStack, notice: bytes) -> list[str]:
    known = stack.secrets
    sent = [
        stack.deliver("terra", _night("calm"), secret=known["terra old"]),
        stack.deliver("terra", _night("calm", odd=1), secret=known["terra new"]),
        stack.deliver("oura", notice, secret=known["AUREN_OURA_CLIENT_SECRET"]),
        stack.deliver("healthkit", _phone_record(), secret=known["phone"]),
    ]
    assert [answer.status for answer in sent] == [200, 200, 200, 202]
    return [answer.body.decode() for answer in sent]


def _connect_links(stack: PlantedStack) -> None:
    """Use addresses that are secrets themselves; their answers may repeat them."""
    code = (
        "from biometrics.connections.invitations import *;"
        "from biometrics.models import Subject;"
        "print(make_link(Invitation(subject=Subject.objects.first().pk, vendor='oura')))"
    )
    printed = stack.manage("shell", "-c", code)
    ((token,),) = [re.findall(r"^http\S+/connect/(\S+)$", printed, re.MULTILINE)]
    stack.secrets["connect link"] = token
    known = stack.secrets["AUREN_OURA_VERIFICATION_TOKEN"]
    query = f"verification_token={known}&challenge=y"
    for method, path, status in (
        ("GET", f"/webhooks/oura?{query}", 200),
        ("GET", f"/connect/{token}", 200),
        ("POST", f"/connect/{token}", 403),
        ("GET", f"/connect/{token}/start", 302),
        ("GET", f"/connect/oura/callback?state={token}&code={token}", 400),
    ):
        assert stack.request(method, path).status == status, path


def _bad(stack: PlantedStack, notice: bytes) -> list[str]:
    """Send what is refused, what is parked, and what breaks inside."""
    terra, phone = stack.secrets["terra new"], stack.secrets["phone"]
    truncated = _night("odd")[:-40]
    bodies = [
        truncated,
        b"[" * 5000 + str(RMSSD).encode(),
        _night("odd", avg_hrv_rmssd=f"{RMSSD} ms"),
        _night("odd", avg_hrv_rmssd=[RMSSD]),
        _night("odd", avg_hrv_rmssd=RMSSD * 1e9),
        orjson.dumps(
            {"type": "sleep", "user": {"user_id": "odd"}, "data": [str(RMSSD)]}
        ),
    ]
    sent = [stack.deliver("terra", body, secret=terra) for body in bodies]
    sent += [
        stack.deliver("terra", _night("forged"), secret="guessed"),
        stack.deliver("oura", notice, secret=stack.secrets["terra new"]),
        stack.deliver("healthkit", _phone_record(value=str(HEART)), secret=phone),
        stack.deliver("healthkit", _phone_record(unit=str(HEART)), secret=phone),
        stack.deliver("healthkit", _phone_record(), secret=f"{phone}x"),
        stack.request("POST", "/webhooks/acme", body=_night("odd")),
        stack.request("GET", "/webhooks/oura?verification_token=x&challenge=y"),
        stack.request("GET", "/metrics", headers={"authorization": "Bearer x"}),
        stack.request("GET", "/no/such/page"),
        stack.request("GET", "/admin/", headers={"host": "elsewhere.example"}),
    ]
    refused = {400, 401, 403, 404}
    assert refused <= {answer.status for answer in sent}
    assert all(answer.status < 500 for answer in sent)
    return [answer.body.decode() for answer in sent]


def _outages(stack: PlantedStack) -> list[str]:
    """Take each service away, with deliveries coming in, and give it back."""
    terra, password = stack.secrets["terra new"], stack.secrets["redis password"]
    stack.lock_redis("another one", known=password)
    sent = [stack.deliver("terra", _night("no-redis"), secret=terra)]
    sent.append(stack.request("GET", "/ready"))
    stack.lock_redis(password, known="another one")

    stack.kafka.kill9()
    sent.append(stack.deliver("terra", _night("no-kafka"), secret=terra))
    stack.until(
        lambda: "publish." in stack.everything_logged(), "the relay misses Kafka"
    )
    stack.kafka.start()

    stack.postgres.kill9()
    sent.append(stack.deliver("terra", _night("no-postgres"), secret=terra))
    assert sent[-1].status == 503
    sent.append(stack.request("GET", "/ready"))
    sent.append(stack.request("GET", "/admin/login/"))
    code, failed = stack.run("doctor")
    assert code == 1
    stack.postgres.start()
    stack.until(
        lambda: stack.deliver("terra", _night("again"), secret=terra).status == 200,
        "intake works again",
    )
    return [failed, *(answer.body.decode() for answer in sent)]


def _found(text: str, stack: PlantedStack) -> list[str]:
    """Return the names of all that was planted and lies in a text."""
    found = [name for name, value in stack.secrets.items() if _holds(text, value)]
    forms = {
        "rmssd": (*_written(RMSSD), f"{RMSSD:.1f} ms"),
        "resting": (*_written(RESTING), f"{RESTING:.1f} /min"),
        "heart": (*_written(HEART), f"{HEART:.1f} /min"),
        "asleep": (str(SLEEPING),),
        "oura heart": (*_written(OURA_HEART), f"{OURA_HEART:.1f} /min"),
    }
    found += [
        name
        for name, written in forms.items()
        if any(re.search(_LAST_PLACE.format(re.escape(one)), text) for one in written)
    ]
    return found


def _written(value: float) -> list[str]:
    return [f"{value:.{digits}f}" for digits in (4, 3, 2)]


def _holds(text: str, secret: str) -> bool:
    forms: Iterable[str] = (
        secret,
        quote(secret, safe=""),
        base64.b64encode(secret.encode()).decode().rstrip("="),
    )
    return any(form in text for form in forms)


def test_the_search_finds_what_is_there(stack: PlantedStack) -> None:
    for name, value in stack.secrets.items():
        assert _found(f"x={value};", stack) == [name]
    assert _found('{"rmssd":17.3391}', stack) == ["rmssd"]
    assert _found("17.3 ms", stack) == ["rmssd"]
    assert _found("12:00:17.339100", stack) == []


def test_the_values_reached_kafka(stack: PlantedStack, answers: list[str]) -> None:
    """What is searched for went all the way, so that it could have leaked."""
    topics = ("terra-biometric-events", "biometric-events", "biometric-alerts")

    def said(records: list[ConsumerRecord]) -> set[str]:
        text = " ".join(record.value.decode() for record in records)
        return set(_found(text, stack))

    # All is processed by now, so that one of the values means that all are there.
    records = stack.records(*topics, enough=lambda found: "rmssd" in said(found))
    assert said(records) >= {"rmssd", "resting", "heart", "asleep", "oura heart"}
    assert any(headers_of(r)["event_type"].startswith("hrv") for r in records)


def test_nothing_is_in_the_answers(stack: PlantedStack, answers: list[str]) -> None:
    assert len(answers) > 20
    assert {text: hit for text in answers if (hit := _found(text, stack))} == {}


def test_nothing_is_in_the_logs(stack: PlantedStack, answers: list[str]) -> None:
    text = stack.everything_logged()
    assert "delivery.refused" in text
    guilty = [line for line in text.splitlines() if _found(line, stack)]
    assert guilty == []
    assert "Traceback" not in "\n".join(answers)


def test_log_lines_are_events(stack: PlantedStack, answers: list[str]) -> None:
    """One JSON object each, and no account of a vendor or label of a person in it."""
    for name in ("web", "worker", "beat"):
        for line in (stack.home / f"{name}.log").read_text().splitlines():
            if line.startswith("{"):
                assert {"time", "level", "logger", "event"} <= orjson.loads(line).keys()
            assert "oura-account" not in line
            assert "Robin" not in line


def test_nothing_is_in_the_metrics(stack: PlantedStack, answers: list[str]) -> None:
    text = stack.request("GET", "/metrics").body.decode()
    assert "biobridge_deliveries_total" in text
    assert _found(text, stack) == []


def test_nothing_is_in_the_process_titles(
    stack: PlantedStack, answers: list[str]
) -> None:
    titles = stack.process_titles()
    assert "uvicorn" in titles
    assert "celery" in titles
    assert _found(titles, stack) == []


def test_nothing_is_on_any_page_before_a_reveal(
    stack: PlantedStack, answers: list[str]
) -> None:
    staff = StaffSession(stack)
    pages = dict(_crawl(staff, "/admin/", most=_MOST_PAGES))
    assert len(pages) > 40
    assert {
        path: hit for path, text in pages.items() if (hit := _found(text, stack))
    } == {}
    ((subject,),) = stack.sql(
        "SELECT subject_id FROM biometrics_vendorconnection WHERE account_id = 'calm'"
    )
    staff.reveal(subject)
    person = f"/admin/biometrics/subject/{subject}/change/"
    opened = dict(_crawl(staff, person, most=80))
    revealed = {hit for text in opened.values() for hit in _found(text, stack)}
    assert "resting" in revealed, "no page shows the values even after a reveal"
    assert revealed.isdisjoint(stack.secrets)


def _crawl(staff: StaffSession, first: str, *, most: int) -> Iterator[tuple[str, str]]:
    """Yield every page that links lead to from the first one on, the nearest first."""
    waiting, seen = [first], {first}
    for _ in range(most):
        if not waiting:
            return
        path = waiting.pop(0)
        status, text = staff.get(path)
        assert status < 500, path
        yield path, text
        for link in re.findall(r'href="(/admin/[^"#]*)', text):
            target = unescape(link)
            if target not in seen and "logout" not in target and "_popup" not in target:
                seen.add(target)
                waiting.append(target)

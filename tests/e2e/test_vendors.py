"""Each vendor from the consent to the topic, and what goes wrong on the way.

Fake vendors over real HTTP, real web, worker and beat processes, PostgreSQL, Valkey and
Kafka. The steps follow each other, as they do in the life of an account.
"""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from kafka.consumer.fetcher import ConsumerRecord

from tests.e2e import vendors
from tests.e2e.admin import StaffSession
from tests.e2e.browser import Browser
from tests.e2e.stack import headers_of, running
from tests.e2e.vendors import APP, VendorStack, notice
from tests.intake.test_http import healthkit

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]
TOPICS = ("biometric-events", "terra-biometric-events")


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One person, whom staff look after."""

    stack: VendorStack
    staff: StaffSession
    subject: str

    def connect(self, vendor: str, *, choice: str) -> None:
        """Have staff make a link and the person follow it."""
        maker = f"/admin/biometrics/subject/{self.subject}/connect/"
        page = self.staff.send(maker, vendor=vendor)
        found = re.search(r'value="(http[^"]+/connect/[^"]+)"', page)
        assert found is not None, page
        said = Browser().connect(html.unescape(found[1]), choice=choice)
        assert "is connected" in said, said

    def connect_phone(self) -> str:
        """Have staff hand out a token; return it, as the page shows it to be typed in."""
        maker = f"/admin/biometrics/subject/{self.subject}/connect/"
        page = html.unescape(self.staff.send(maker, vendor="healthkit"))
        address = f"http://127.0.0.1:{self.stack.port}"
        for typed in (address, f"{address}/webhooks/healthkit", self.subject):
            assert f'value="{typed}"' in page, page
        found = re.search(r'value="Authorization: Bearer ([^"]+)"', page)
        assert found is not None, page
        assert found[1] not in self.staff.send(maker, vendor="oura")
        return found[1]

    def push(self, token: str, body: bytes) -> int:
        """Push as the apps on a phone do; return the status."""
        headers = {
            "content-type": "application/json",
            "authorization": f"Bearer {token}",
        }
        answer = self.stack.request(
            "POST", "/webhooks/healthkit", body=body, headers=headers
        )
        return answer.status

    def alarms(self) -> str:
        """Return the text of the open alarms."""
        return self.staff.page("/admin/biometrics/staffalarm/?state=open")

    def account(self, vendor: str) -> tuple[str, str]:
        query = "SELECT account_id, status FROM biometrics_vendorconnection"
        ((account, status),) = self.stack.sql(f"{query} WHERE vendor = %s", vendor)
        return account, status

    def told(self, *record_ids: str) -> list[tuple[str, str]]:
        """Return what consumers read of these records, once all of them are there."""

        def mine(records: list[ConsumerRecord]) -> list[tuple[str, str]]:
            return [
                (record_id, headers_of(record)["ce_id"])
                for record in records
                if record.key.decode() == self.subject
                and (record_id := record_of(record)) in record_ids
            ]

        wanted = set(record_ids)
        records = self.stack.records(
            *TOPICS,
            enough=lambda found: {one for one, _ in mine(found)} >= wanted,
            seconds=90,
        )
        return mine(records)

    def until_processed(self, count: int, vendor: str, origin: str = "webhook") -> None:
        query = (
            "SELECT count(*) FROM biometrics_webhookdelivery"
            " WHERE vendor = %s AND origin = %s AND status = 'processed'"
        )
        self.stack.until(
            lambda: self.stack.sql(query, vendor, origin)[0][0] >= count,
            f"{count} {origin} deliveries of {vendor} are processed",
            seconds=90,
        )

    def run_task(self, name: str) -> None:
        """Have a scheduled task run now, in a worker."""
        code = f"from auren.celery import app; app.send_task('biometrics.{name}')"
        self.stack.manage("shell", "-c", code)


def record_of(record: ConsumerRecord) -> str | None:
    said: dict[str, Any] = orjson.loads(record.value)
    name: str | None = said.get("record", {}).get("id")
    return name


@pytest.fixture(scope="module")
def life(services_dir: Path) -> Iterator[Life]:
    with running(VendorStack, services_dir) as stack:
        assert isinstance(stack, VendorStack)
        staff = StaffSession(stack)
        code = "from biometrics.models import Subject; Subject.objects.create(label='Robin')"
        stack.manage("shell", "-c", code)
        ((subject,),) = stack.sql("SELECT id::text FROM biometrics_subject")
        yield Life(stack=stack, staff=staff, subject=subject)


def test_the_life_of_a_persons_accounts(life: Life) -> None:
    stack = life.stack
    watch = _connects_each_vendor(life)
    _receives(life, watch)
    _recovers_once(life, watch)
    _survives_a_refresh_race(life)
    _survives_a_revoked_grant(life)
    _tells_staff_of_silence(life)
    _lets_a_person_leave(life, watch)
    assert "imbalance is 0" in stack.manage("ledger")


def _connects_each_vendor(life: Life) -> str:
    """Connect all of them; what two had before comes as history, without an alert."""
    stack = life.stack
    old = [vendors.ring_score(stack, ago) for ago in (9, 10)]
    for ago in range(10, 30):
        vendors.ring_readiness(stack, ago)
    life.connect("oura", choice="account=ring-1")
    life.connect("whoop", choice="account=4711")
    life.connect("terra", choice="connect=1")
    assert life.account("oura") == ("ring-1", "active")
    assert life.account("whoop") == ("4711", "active")
    given_up, token = life.connect_phone(), life.connect_phone()
    assert life.push(given_up, healthkit()) == 401
    assert life.push(token, healthkit()) == 202
    assert life.account("healthkit") == (life.subject, "active")
    phones = ("auren.connection.connected.v1", "/auren/healthkit")
    stack.records(
        *TOPICS,
        enough=lambda found: (
            phones
            in {
                (headers_of(one)["ce_type"], headers_of(one)["ce_source"])
                for one in found
            }
        ),
    )
    watch, status = life.account("terra")
    assert status == "active"
    assert len(life.told(*old)) == 2
    assert "Robin" in life.staff.page("/admin/biometrics/vendorconnection/")
    # Oura tells only what one subscribes to; its handshake asks our web process.
    stack.manage("subscriptions", "sync")
    shown = life.staff.page("/admin/biometrics/vendorsubscription/")
    assert "daily_sleep.update" in shown
    assert "well" in shown
    return watch


def _receives(life: Life, watch: str) -> None:
    """Take a webhook of each vendor, and a push of an app that signs in itself."""
    stack = life.stack
    score, slept = vendors.ring_score(stack, 3), vendors.band_sleep(stack, 3)
    assert stack.deliver("oura", notice("oura", score)).status == 200
    assert stack.deliver("whoop", notice("whoop", slept)).status == 200
    pushed = {
        "type": "sleep",
        "user": {"user_id": watch, "provider": "GARMIN"},
        "data": [vendors.watch_sleep(watch, 3)],
    }
    assert stack.deliver("terra", orjson.dumps(pushed)).status == 200
    night = pushed["data"][0]["metadata"]["summary_id"]  # type: ignore[index]
    found = life.told(score, slept, night)
    assert sorted(one for one, _ in found) == sorted([score, slept, night])

    json = {"content-type": "application/json"}
    issue = f"/api/v1/users/{life.subject}/token"
    signed_in = stack.request("POST", issue, body=orjson.dumps(APP), headers=json)
    assert signed_in.status == 200, signed_in.body
    token = {"authorization": signed_in.json["access_token"]}
    sync = f"/api/v1/sdk/users/{life.subject}/sync"
    pushed_by_phone = stack.request(
        "POST", sync, body=healthkit(), headers={**json, **token}
    )
    assert pushed_by_phone.status == 202, pushed_by_phone.body
    life.until_processed(2, "healthkit")


def _recovers_once(life: Life, watch: str) -> None:
    """Miss one webhook of each vendor; reconciliation finds them, a late one is no news."""
    stack = life.stack
    score, slept = vendors.ring_score(stack, 0), vendors.band_sleep(stack, 0)
    missed = vendors.watch_sleep(watch, 0)
    night = missed["metadata"]["summary_id"]
    stack.knows("terra", "sleep", night, {**missed, "account": watch})
    life.run_task("reconcile")
    life.run_task("recover_due")
    found = life.told(score, slept, night)
    assert sorted(one for one, _ in found) == sorted([score, slept, night])
    for vendor in ("oura", "whoop", "terra"):
        life.until_processed(1, vendor, "recovered")

    # The vendors send them after all, and the next look finds nothing new.
    assert stack.deliver("oura", notice("oura", score)).status == 200
    assert stack.deliver("whoop", notice("whoop", slept)).status == 200
    life.until_processed(2, "oura")
    life.until_processed(2, "whoop")
    lists = {
        "oura": "/{collection} 200",
        "whoop": "/v2/cycle 200",
        "terra": "/daily 200",
    }
    before = {name: stack.requests(name, part) for name, part in lists.items()}
    life.run_task("reconcile")
    life.run_task("recover_due")
    stack.until(
        lambda: all(
            stack.requests(name, part) > before[name] for name, part in lists.items()
        ),
        "all have been looked at again",
        seconds=90,
    )
    assert sorted(life.told(score, slept, night)) == sorted(found)
    # The page shows what was counted last, up to a minute ago.
    life.run_task("check_ledger")
    stack.until(
        lambda: _recovered_and_lost(life) == dict.fromkeys(lists, (1, 0)),
        "the ledger shows what was recovered",
        seconds=90,
    )


def _recovered_and_lost(life: Life) -> dict[str, tuple[int, int]]:
    """Return what the dashboard's ledger says of each vendor."""
    page, found = life.staff.page("/admin/"), {}
    for title in ("oura", "whoop", "terra"):
        line = re.search(rf"\b{title} ((?:\d+ ){{11}}\d+)", page)
        assert line is not None, page
        # The last three: recovered, backfilled, imbalance.
        recovered, _, imbalance = [int(n) for n in line[1].split()][-3:]
        found[title] = recovered, imbalance
    return found


def _survives_a_refresh_race(life: Life) -> None:
    """Let a worker and two commands meet an access token that has run out, at once."""
    stack = life.stack
    before = stack.requests("oura", "POST", "/oauth/token")
    stack.control("grants/expire", vendor="oura", account="ring-1")
    stack.sql(
        "UPDATE biometrics_vendorconnection SET token_expires_at = now()"
        " WHERE vendor = 'oura'"
    )
    window = ("--since", f"{vendors.day(20)}", "--until", f"{vendors.day(15)}")
    command = ("backfill", "--vendor", "oura", *window, "--reason", "a race")
    racing = [
        threading.Thread(target=stack.manage, args=command, daemon=True)
        for _ in range(2)
    ]
    for one in racing:
        one.start()
    keys = [vendors.ring_score(stack, ago, score=70) for ago in range(20, 26)]
    for key in keys:
        assert stack.deliver("oura", notice("oura", key)).status == 200
    for one in racing:
        one.join(60)
        assert not one.is_alive()
    assert len(life.told(*keys)) == len(keys)
    assert stack.requests("oura", "POST", "/oauth/token") == before + 1
    assert life.account("oura") == ("ring-1", "active")


def _survives_a_revoked_grant(life: Life) -> None:
    """Stop asking, tell staff, and go on where it stopped after a new consent."""
    stack = life.stack
    stack.control("grants/revoke", vendor="oura", account="ring-1")
    waits = vendors.ring_score(stack, 5)
    assert stack.deliver("oura", notice("oura", waits)).status == 200
    stack.until(
        lambda: life.account("oura")[1] == "needs_reconnect",
        "the lost consent is noticed",
    )
    asked = stack.requests("oura", "GET")
    assert stack.deliver("oura", notice("oura", waits)).status == 200
    waiting = (
        "SELECT count(*) FROM biometrics_webhookdelivery"
        " WHERE vendor = 'oura' AND status = 'unlinked'"
    )
    stack.until(lambda: stack.sql(waiting)[0][0] == 2, "both deliveries wait")
    assert stack.requests("oura", "GET") == asked
    life.run_task("check_connections")
    stack.until(
        lambda: "Send the person a new connect link" in life.alarms(), "staff are told"
    )
    assert "needs_reconnect" in life.staff.page("/admin/biometrics/vendorconnection/")
    life.connect("oura", choice="account=ring-1")
    assert [one for one, _ in life.told(waits)] == [waits]
    assert life.account("oura") == ("ring-1", "active")
    life.run_task("check_connections")
    stack.until(lambda: "new connect link" not in life.alarms(), "that alarm is over")


def _tells_staff_of_silence(life: Life) -> None:
    """Ask at once for what is quiet, tell staff once, and no longer when it speaks."""
    stack = life.stack
    life.run_task("watch_streams")
    life.run_task("recover_due")
    quiet = f"no daily_readiness since {vendors.day(10)}"
    stack.until(lambda: quiet in life.alarms(), "staff are told of the silence")
    # Said only of a vendor that was asked since; how often is not promised: what a new
    # consent has fetched may be as good.
    assert "The vendor answers and has nothing" in life.alarms()
    assert "Quiet for longer than usual" in life.staff.page(
        f"/admin/biometrics/subject/{life.subject}/change/"
    )
    life.run_task("watch_streams")
    life.run_task("recover_due")
    missed = vendors.ring_readiness(stack, 0)
    life.run_task("reconcile")
    life.run_task("recover_due")
    stack.until(lambda: quiet not in life.alarms(), "the silence is over")
    assert [one for one, _ in life.told(missed)] == [missed]
    count = "SELECT count(*) FROM biometrics_staffalarm WHERE kind = 'silence'"
    assert stack.sql(f"{count} AND key LIKE %s", "%/daily_readiness") == [(1,)]


def _lets_a_person_leave(life: Life, watch: str) -> None:
    """Who ends it at Terra is not asked for again, nor brought back by a permission."""
    stack = life.stack
    stack.leave_terra(watch)
    stack.until(lambda: life.account("terra")[1] == "revoked", "the end is noticed")
    ends = stack.records(*TOPICS, enough=lambda found: any(map(is_end, found)))
    assert [one.key.decode() for one in ends if is_end(one)] == [life.subject]
    assert "revoked" in life.staff.page("/admin/biometrics/vendorconnection/")
    permitted = {
        "type": "permission_change",
        "user": {"user_id": watch, "provider": "GARMIN"},
        "scopes_added": "SLEEP",
    }
    assert stack.deliver("terra", orjson.dumps(permitted)).status == 200
    stack.until(
        lambda: (
            not stack.sql(
                "SELECT 1 FROM biometrics_webhookdelivery"
                " WHERE vendor = 'terra' AND status = 'pending'"
            )
        ),
        "Terra's deliveries are worked on",
    )
    assert life.account("terra") == (watch, "revoked")
    asked = stack.requests("terra", "GET", "/daily")
    looked = stack.requests("oura", "GET", "/{collection} 200")
    life.run_task("reconcile")
    life.run_task("recover_due")
    due = "SELECT 1 FROM biometrics_vendorconnection WHERE reconcile_due_at IS NOT NULL"
    stack.until(
        lambda: (
            stack.requests("oura", "GET", "/{collection} 200") > looked
            and not stack.sql(due)
        ),
        "all others have been looked at again",
        seconds=90,
    )
    assert stack.requests("terra", "GET", "/daily") == asked


def is_end(record: ConsumerRecord) -> bool:
    return headers_of(record)["ce_type"] == "auren.connection.revoked.v1"

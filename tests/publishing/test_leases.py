"""One holder at a time, and a holder that was overtaken can write no more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import pytest
from django.db import connection
from django.utils import timezone

from biometrics import leases
from biometrics.leases import Lease, LeaseLostError
from biometrics.models import ShardLease
from biometrics.models.outbox import LeaseStep

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=31)


def take(*, now: datetime = NOW, step: LeaseStep = LeaseStep.PROCESS) -> Lease | None:
    return leases.take(step=step, shard=3, now=now)


def test_the_first_take_makes_the_row() -> None:
    assert take() is not None
    assert ShardLease.objects.filter(step="process", shard=3).exists()


def test_nobody_takes_what_is_held() -> None:
    take()
    assert take() is None
    assert take(now=NOW + timedelta(seconds=29)) is None


def test_the_steps_have_leases_of_their_own() -> None:
    take()
    assert take(step=LeaseStep.PUBLISH) is not None


def test_it_can_be_taken_over_when_it_has_run_out() -> None:
    first = take()
    second = take(now=LATER)
    assert first is not None
    assert second is not None
    assert second.token == first.token + 1


def test_holding_prolongs_it() -> None:
    lease = take()
    assert lease is not None
    leases.hold(lease=lease, now=NOW + timedelta(seconds=20))
    assert take(now=LATER) is None


def test_a_holder_that_was_overtaken_can_neither_hold_nor_release() -> None:
    lease = take()
    take(now=LATER)
    assert lease is not None
    with pytest.raises(LeaseLostError):
        leases.hold(lease=lease, now=LATER)
    assert leases.release(lease=lease, now=LATER) is False
    assert take(now=LATER) is None


def test_what_an_overtaken_holder_wrote_is_undone() -> None:
    lease = take()
    assert lease is not None
    take(now=LATER)

    def write() -> None:
        with leases.transact():
            ShardLease.objects.filter(shard=3).update(alarm="written")
            leases.hold(lease=lease, now=LATER)

    with pytest.raises(LeaseLostError):
        write()
    assert not ShardLease.objects.filter(alarm="written").exists()


def test_a_released_lease_is_free_at_once_even_for_a_slower_clock() -> None:
    lease = take()
    assert lease is not None
    assert leases.release(lease=lease, now=NOW)
    assert take(now=NOW - timedelta(seconds=3)) is not None


def test_a_lease_can_be_released_for_later() -> None:
    lease = take()
    assert lease is not None
    leases.release(lease=lease, now=NOW, after=2)
    assert take(now=NOW + timedelta(seconds=1)) is None
    assert take(now=NOW + timedelta(seconds=2)) is not None


def test_columns_of_the_row_are_written_with_it() -> None:
    lease = take()
    assert lease is not None
    leases.hold(lease=lease, now=NOW, next_seq=7)
    assert ShardLease.objects.get(step="process", shard=3).next_seq == 7


def test_every_shard_gets_its_leases_once() -> None:
    leases.ensure()
    leases.ensure()
    assert ShardLease.objects.count() == 32


@pytest.mark.postgres
class TestOnPostgres:
    """What SQLite, with one host and one writer, has no need of."""

    @classmethod
    def inapplicable(cls) -> frozenset[str]:
        if connection.vendor == "postgresql":
            return frozenset()
        return frozenset(name for name in vars(cls) if name.startswith("test_"))

    def test_the_shared_clock_is_the_databases(self) -> None:
        def wrong() -> datetime:
            return NOW - timedelta(days=365)

        clock = leases.shared_clock(own=wrong)
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            (moment,) = cursor.fetchone()
        assert abs(clock() - moment) < timedelta(seconds=1)

    # What Celery says about its own tasks when it first sees them.
    @pytest.mark.filterwarnings("ignore::celery.exceptions.CDeprecationWarning")
    @pytest.mark.parametrize("name", ["process_shard", "publish_shard"])
    def test_a_worker_whose_clock_is_wrong_compares_leases_by_the_databases(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from biometrics import tasks  # noqa: PLC0415 - warns, see above

        seen: list[datetime] = []

        def work(*, now: Callable[[], datetime], **_: object) -> NoReturn:
            seen.append(now())
            raise LookupError

        true_now = timezone.now()
        monkeypatch.setattr("biometrics.pipeline.process_shard", work)
        monkeypatch.setattr("biometrics.publishing.relay.publish_shard", work)
        monkeypatch.setattr("biometrics.nudges.taken", lambda *_, **__: None)
        monkeypatch.setattr(timezone, "now", lambda: true_now - timedelta(seconds=90))
        with pytest.raises(LookupError):
            getattr(tasks, name)(shard=3)
        assert abs(seen[0] - true_now) < timedelta(seconds=30)

    def test_a_stopped_holder_cannot_keep_the_row_locked(self) -> None:
        with leases.transact(), connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            assert cursor.fetchone() == ("2s",)
            cursor.execute("SHOW idle_in_transaction_session_timeout")
            assert cursor.fetchone() == ("20s",)

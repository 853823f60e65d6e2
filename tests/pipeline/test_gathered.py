"""Nights of phones, whose sleeps and samples come apart, through the tables."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from biometrics.connections import registry
from biometrics.models import (
    BiometricEvent,
    HrvAlert,
    HrvNight,
    OutboxMessage,
    Subject,
    VendorConnection,
    WebhookDelivery,
)
from tests.pipeline.world import NOW, World, sent, value

TODAY = NOW.date()
WATCH = {"deviceType": "watch"}
RMSSD = "HeartRateVariabilityRMSSD"


def at(hour: float, *, ago: int = 0) -> str:
    """Return the time of an hour of that date; 22:00 the evening before is hour -2."""
    day = NOW.replace(hour=0) - timedelta(days=ago)
    return (day + timedelta(hours=hour)).isoformat().replace("+00:00", "Z")


def sample(
    number: float, hour: float, *, kind: str = RMSSD, unit: str = "ms", ago: int = 0
) -> dict[str, Any]:
    moment = at(hour, ago=ago)
    return {
        "id": f"{kind}-{moment}",
        "type": f"HKQuantityTypeIdentifier{kind}",
        "startDate": moment,
        "endDate": moment,
        "zoneOffset": "+00:00",
        "source": WATCH,
        "value": number,
        "unit": unit,
    }


def samples(*numbers: float, kind: str = RMSSD, ago: int = 0) -> list[dict[str, Any]]:
    return [sample(n, hour, kind=kind, ago=ago) for hour, n in enumerate(numbers)]


def part(start: float, end: float, *, ago: int = 0) -> dict[str, Any]:
    return {
        "id": at(start, ago=ago),
        "stage": "core",
        "startDate": at(start, ago=ago),
        "endDate": at(end, ago=ago),
        "zoneOffset": "+00:00",
        "source": WATCH,
    }


class Phone:
    """Somebody's phone, and what is known of their nights."""

    def __init__(self, world: World, *, name: str = "Somebody") -> None:
        self._world = world
        self.subject = Subject.objects.create(label=name)
        registry.issue_healthkit_token(self.subject)
        (connection,) = self.subject.connections.all()
        self._account = connection.account_id

    def push(
        self,
        *records: dict[str, Any],
        sleep: tuple[dict[str, Any], ...] = (),
        provider: str = "apple",
    ) -> None:
        # Receipt orders what a phone says of the same thing.
        self._world.wait(seconds=1)
        delivery = self._world.carry(
            {
                "provider": provider,
                "sdkVersion": "0.6.0",
                "data": {"records": list(records), "sleep": list(sleep)},
            },
            vendor="healthkit",
            account=self._account,
        )
        assert delivery.status == "processed", delivery.error

    def keep(
        self,
        *records: dict[str, Any],
        sleep: tuple[dict[str, Any], ...] = (),
        **columns: Any,
    ) -> WebhookDelivery:
        """Store a push without working on it."""
        self._world.wait(seconds=1)
        body = {
            "provider": "apple",
            "sdkVersion": "0.6.0",
            "data": {"records": list(records), "sleep": list(sleep)},
        }
        return self._world.store(
            body, vendor="healthkit", account=self._account, **columns
        )

    def nights(self) -> dict[tuple[str, date], float | None]:
        rows = HrvNight.objects.filter(subject=self.subject, is_main=True)
        return {(row.series_id, row.night): row.value_ms for row in rows}


@pytest.fixture
def phone(world: World) -> Phone:
    return Phone(world)


NIGHT = (part(-2, 6),)
SERIES = "RMSSD:apple:watch"


def test_samples_after_their_sleep_make_the_night_and_page(phone: Phone) -> None:
    phone.push(sleep=NIGHT)
    assert phone.nights() == {}
    phone.push(*samples(20, 21))
    assert phone.nights() == {}
    phone.push(sample(22, 4))
    assert phone.nights() == {(SERIES, TODAY): 21}
    alert = HrvAlert.objects.get()
    assert (alert.severity, alert.night) == ("CRITICAL", TODAY)
    last, raised = sent()[-2:]
    assert raised.topic == "biometric-alerts"
    assert last.headers["ce_type"].startswith("auren.biometric.samples.")
    assert (last.headers["priority"], last.headers["severity"]) == ("HIGH", "CRITICAL")
    assert value(last)["assessment"]["severity"] == "CRITICAL"


def test_a_sleep_after_its_samples_makes_the_night(phone: Phone) -> None:
    phone.push(*samples(20, 21, 22))
    assert phone.nights() == {}
    phone.push(sleep=NIGHT)
    assert phone.nights() == {(SERIES, TODAY): 21}
    spoke = sent()[-2]
    assert spoke.headers["ce_type"].startswith("auren.biometric.sleep.")
    assert spoke.headers["severity"] == "CRITICAL"


def test_a_sleep_sent_again_without_samples_takes_nothing_back(phone: Phone) -> None:
    phone.push(*samples(20, 21, 22), sleep=NIGHT)
    assert HrvAlert.objects.get().status == "open"
    count = OutboxMessage.objects.count()
    phone.push(sleep=NIGHT)
    assert OutboxMessage.objects.count() == count
    # Told again with a later end, and still without its samples.
    phone.push(sleep=(part(-2, 7),))
    assert phone.nights() == {(SERIES, TODAY): 21}
    assert HrvAlert.objects.get().status == "open"


def test_what_comes_later_in_the_day_is_not_urgent_again(phone: Phone) -> None:
    phone.push(*samples(20, 21, 22), sleep=NIGHT)
    before = set(OutboxMessage.objects.values_list("id", flat=True))
    phone.push(sample(15, 7.5, kind="RespiratoryRate", unit="breaths/min"))
    (later,) = OutboxMessage.objects.exclude(id__in=before)
    assert later.headers["priority"] == "NORMAL"
    assert later.headers["has_triggers"] == "false"


def test_more_samples_retract_what_few_had_raised(phone: Phone) -> None:
    phone.push(*samples(20, 21, 22), sleep=NIGHT)
    phone.push(*(sample(60, 0.5 + hour) for hour in range(5)))
    assert phone.nights() == {(SERIES, TODAY): 60}
    assert HrvAlert.objects.get().status == "retracted"
    assert sent()[-1].headers["ce_type"] == "auren.alert.hrv.retracted.v1"


def test_a_night_that_turns_out_to_have_rmssd_is_no_sdnn_night(phone: Phone) -> None:
    phone.push(*samples(50, 51, 52, kind="HeartRateVariabilitySDNN"), sleep=NIGHT)
    assert phone.nights() == {("SDNN:apple:watch", TODAY): 51}
    phone.push(*samples(40, 41, 42))
    assert phone.nights() == {("SDNN:apple:watch", TODAY): None, (SERIES, TODAY): 41}


def test_a_sleep_that_moves_to_another_date_leaves_no_night_behind(
    phone: Phone,
) -> None:
    # From 18:00 to 23:00, and told again: until two o'clock.
    evening = [sample(number, -5 + hour) for hour, number in enumerate((40, 41, 42))]
    phone.push(*evening, sleep=(part(-6, -1),))
    yesterday = TODAY - timedelta(days=1)
    assert phone.nights() == {(SERIES, yesterday): 41}
    phone.push(sleep=(part(-6, 2),))
    assert phone.nights() == {(SERIES, yesterday): None, (SERIES, TODAY): 41}


def test_only_the_last_telling_of_a_sleep_counts(phone: Phone) -> None:
    phone.push(*samples(40, 41, 42, 60, 61, 62), sleep=(part(-2, 6),))
    assert phone.nights() == {(SERIES, TODAY): 51}
    phone.push(sleep=(part(-2, 2.5),))
    assert phone.nights() == {(SERIES, TODAY): 41}
    phone.push(sleep=(part(-2, 3.5),))
    assert phone.nights() == {(SERIES, TODAY): 41.5}


def test_a_night_outlives_the_events_that_it_was_made_of(phone: Phone) -> None:
    phone.push(*samples(40, 41, 42), sleep=NIGHT)
    BiometricEvent.objects.filter(record_type="sleep").delete()
    phone.push(sample(43, 3))
    assert phone.nights() == {(SERIES, TODAY): 41}


def test_samples_of_before_stay_with_the_former_person(
    world: World, phone: Phone
) -> None:
    phone.push(*samples(20, 21, 22))
    other = Subject.objects.create(label="Somebody else")
    VendorConnection.objects.update(subject=other)
    phone.push(sleep=NIGHT)
    assert not HrvNight.objects.exists()


def test_samples_of_another_day_leave_the_nights_alone(phone: Phone) -> None:
    phone.push(*samples(40, 41, 42, ago=1), sleep=(part(-2, 6, ago=1),))
    phone.push(*samples(60, 61, 62), sleep=NIGHT)
    yesterday = TODAY - timedelta(days=1)
    assert phone.nights() == {(SERIES, yesterday): 41, (SERIES, TODAY): 61}


def test_a_parked_piece_counts_though_newer_pushes_were_worked_on_together(
    world: World, phone: Phone
) -> None:
    late = phone.keep(sample(60, 4, ago=10), status="parked")
    phone.keep(*samples(40, 41, 42, ago=10), sleep=(part(-2, 6, ago=10),))
    phone.keep(*samples(50, 51, 52), sleep=NIGHT)
    world.run()
    before = TODAY - timedelta(days=10)
    assert phone.nights() == {(SERIES, before): 41, (SERIES, TODAY): 51}
    WebhookDelivery.objects.filter(pk=late.pk).update(status="pending")
    world.run()
    assert phone.nights() == {(SERIES, before): 41.5, (SERIES, TODAY): 51}


def test_two_people_never_share_their_pieces(world: World, phone: Phone) -> None:
    other = Phone(world, name="Somebody else")
    phone.push(sleep=NIGHT)
    other.push(*samples(20, 21, 22))
    assert phone.nights() == other.nights() == {}


def test_a_night_that_has_not_ended_yet_is_none(phone: Phone) -> None:
    # A broken clock tells a sleep until 09:00 at 08:00, with all its samples.
    phone.push(*samples(20, 21, 22), sleep=(part(-2, 9),))
    assert phone.nights() == {}
    assert not HrvAlert.objects.exists()


@pytest.mark.parametrize(
    ("end", "found"), [(9.0, {}), (7.5, {(SERIES, TODAY): 21})], ids=["has not", "has"]
)
def test_a_night_has_ended_by_the_wall_of_its_sleep_whatever_its_samples_tell(
    phone: Phone, end: float, found: dict[tuple[str, date], float]
) -> None:
    phone.push(sleep=(part(-2, end),))
    # Wall times without an offset: the wall may be anywhere on earth.
    phone.push(
        *(
            {key: v for key, v in one.items() if key != "zoneOffset"}
            | {key: one[key].rstrip("Z") for key in ("startDate", "endDate")}
            for one in samples(20, 21, 22)
        )
    )
    assert phone.nights() == found


PIECES = [
    *samples(20, 28, 31, 26),
    *samples(50, 51, 52, kind="HeartRateVariabilitySDNN"),
    sample(56, 7, kind="RestingHeartRate", unit="bpm"),
    sample(14.5, 2, kind="RespiratoryRate", unit="breaths/min"),
    sample(34.1, 1, kind="AppleSleepingWristTemperature", unit="degC"),
]
PARTS = [part(-2, -0.5), part(-0.5, 2), part(2.5, 6)]


def left_by(order: list[tuple[str, list[dict[str, Any]]]]) -> object:
    """Push these pieces in this order, look at what they left, and forget all of it."""
    with transaction.atomic():
        phone = Phone(World())
        for kind, pieces in order:
            if kind == "sleep":
                phone.push(sleep=tuple(pieces))
            else:
                phone.push(*pieces)
        rows = HrvNight.objects.filter(value_ms__isnull=False).values_list(
            "series_id",
            "night",
            "is_main",
            "value_ms",
            "rhr_bpm",
            "rr_brpm",
            "temp_c",
            "sleep_s",
            "severity",
            "verdict",
        )
        alerts = HrvAlert.objects.values_list("night", "severity", "status")
        found = list(rows), list(alerts)
        transaction.set_rollback(True)
    return found


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_cut_and_order_of_pushes_leaves_the_same_night(
    db: None, data: st.DataObject
) -> None:
    pushes: list[tuple[str, list[dict[str, Any]]]] = []
    for kind, pieces in (("records", PIECES), ("sleep", PARTS)):
        of = data.draw(
            st.lists(st.integers(0, 2), min_size=len(pieces), max_size=len(pieces))
        )
        groups = [
            [one for one, number in zip(pieces, of, strict=True) if number == which]
            for which in range(3)
        ]
        pushes += [(kind, group) for group in groups if group]
    repeated = data.draw(st.lists(st.sampled_from(pushes), max_size=2))
    order = data.draw(st.permutations([*pushes, *repeated]))
    whole = [("records", PIECES), ("sleep", PARTS)]
    found, expected = left_by(order), left_by(whole)
    assert found == expected

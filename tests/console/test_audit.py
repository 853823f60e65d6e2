"""The audit: found by verb, person and time, taken as a file, and complete."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from biometrics import audit, outbox, parked
from biometrics.alerts import staff
from biometrics.models import AuditEntry, HrvAlert, Subject, WebhookDelivery
from biometrics.models.hrv import Feedback
from resilience import registry
from resilience.control import force_open
from tests.console.revealing import reveal

LIST = reverse("admin:biometrics_auditentry_changelist")
EXPORT = reverse("admin:biometrics_auditentry_export")
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def entry(verb: str, *, actor: str = "ada", hours: int = 0, **more: Any) -> AuditEntry:
    return AuditEntry.objects.create(
        **{
            "at": NOON + timedelta(hours=hours),
            "actor": actor,
            "verb": verb,
            "target": "subject 1",
            "reason": "asked for",
            **more,
        }
    )


@pytest.fixture
def entries(db: None) -> list[AuditEntry]:
    return [
        entry("values.reveal", hours=1),
        entry("values.reveal", actor="grace", hours=2),
        entry("alert.acknowledge", hours=3),
        entry("delivery.retry", actor="grace", hours=26),
    ]


def taken(client: Client, query: str = "") -> list[dict[str, str]]:
    """Take the file with these filters; return its rows."""
    url = f"{EXPORT}?{query}" if query else EXPORT
    answer = client.post(url, {"reason": "for the auditor"})
    assert answer["Content-Type"].startswith("text/csv")
    assert "attachment; filename=" in answer["Content-Disposition"]
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("", [3, 2, 1, 0]),
        ("verb=values.reveal", [1, 0]),
        ("actor=grace", [3, 1]),
        ("verb=values.reveal&actor=grace", [1]),
        (
            "at_from_0=2026-11-24&at_from_1=13:30:00&at_to_0=2026-11-24&at_to_1=15:00:00",
            [2, 1],
        ),
        ("at_from_0=2026-11-25", [3]),
        ("q=delivery.retry", [3]),
        ("verb=there.is.none", []),
    ],
)
def test_the_file_holds_what_the_list_shows(
    admin_client: Client, entries: list[AuditEntry], query: str, kept: list[int]
) -> None:
    listed = admin_client.get(f"{LIST}?{query}").context["cl"].result_list
    assert [row.pk for row in listed] == [entries[number].pk for number in kept]
    found = [
        (row["at"], row["actor"], row["verb"]) for row in taken(admin_client, query)
    ]
    assert found == [
        (entries[n].at.isoformat(), entries[n].actor, entries[n].verb) for n in kept
    ]


def test_the_filters_offer_what_there_is(
    admin_client: Client, entries: list[AuditEntry]
) -> None:
    verbs, actors = admin_client.get(LIST).context["cl"].filter_specs[:2]
    assert [value for value, _ in verbs.lookup_choices] == [
        "alert.acknowledge",
        "delivery.retry",
        "values.reveal",
    ]
    assert [value for value, _ in actors.lookup_choices] == ["ada", "grace"]


def test_the_list_leads_to_its_own_file(
    admin_client: Client, entries: list[AuditEntry]
) -> None:
    page = admin_client.get(f"{LIST}?verb=values.reveal").content.decode()
    assert f'href="{EXPORT}?verb=values.reveal"' in page
    asked = admin_client.get(f"{EXPORT}?verb=values.reveal")
    assert "2 entries as a file" in asked.content.decode()


def test_taking_it_is_audited_with_its_filters(
    admin_client: Client, entries: list[AuditEntry]
) -> None:
    taken(admin_client, "actor=grace")
    noted = AuditEntry.objects.get(verb="audit.export")
    assert (noted.actor, noted.target) == ("ops", "2 entries")
    assert noted.reason == "for the auditor"
    assert noted.detail == {"filters": "actor=grace"}


def test_a_filter_that_there_is_not_leads_back_to_the_list(
    admin_client: Client, entries: list[AuditEntry]
) -> None:
    answer = admin_client.post(f"{EXPORT}?mood=bad", {"reason": "for the auditor"})
    assert answer["Location"] == LIST
    assert not AuditEntry.objects.filter(verb="audit.export").exists()


def test_without_a_reason_there_is_no_file(
    admin_client: Client, entries: list[AuditEntry]
) -> None:
    answer = admin_client.post(EXPORT, {"reason": ""})
    assert answer["Content-Type"].startswith("text/html")
    assert not AuditEntry.objects.filter(verb="audit.export").exists()


@pytest.mark.parametrize("reason", ["=1+1", "+1", "-1", "@x", "\t=1"])
def test_no_cell_is_a_formula(admin_client: Client, db: None, reason: str) -> None:
    entry("values.reveal", reason=reason, detail={"a": "ü, “b”"})
    (row,) = taken(admin_client)
    assert row["reason"] == f"'{reason}"
    assert row["detail"] == '{"a": "ü, “b”"}'


def test_the_file_is_for_those_who_may_read_the_audit(
    bare_client: Client, entries: list[AuditEntry]
) -> None:
    assert bare_client.get(EXPORT).status_code == 403
    assert bare_client.post(EXPORT, {"reason": "let me"}).status_code == 403


@pytest.mark.django_db
class TestWhom:
    """One spelling for a person; what was noted before it is found all the same."""

    KEY = UUID("5b8f2f3e-3c64-4f43-9f4e-0a4f4f0b8a11")

    @pytest.mark.parametrize("term", ["{}", "subject {}", "person {}"])
    def test_an_id_finds_everything_done_to_it(
        self, admin_client: Client, term: str
    ) -> None:
        for spelling in ("subject {}", "person {}", "{}", "delivery {}"):
            entry("values.reveal", target=spelling.format(self.KEY))
        entry("values.reveal", target=f"subject {uuid4()}")
        found = admin_client.get(LIST, {"q": term.format(self.KEY)}).context["cl"]
        assert len(found.result_list) == 4

    def test_every_act_on_a_person_names_them_alike(
        self, admin_client: Client, world: SimpleNamespace
    ) -> None:
        key = world.subject.pk
        reveal(admin_client, key)
        signed: dict[str, Any] = {"reason": "asked", "actor": "ops", "now": NOON}
        staff.set_offset(key, offset=0.25, **signed)
        outbox.retry(subject=key, **signed)
        told = AuditEntry.objects.exclude(pk=world.auditentry.pk)
        assert told.count() == 3
        assert {row.target for row in told} == {f"subject {key}"}

    def test_an_act_on_one_row_names_it_and_on_many_all_of_them(
        self, admin_client: Client, world: SimpleNamespace
    ) -> None:
        rows = WebhookDelivery.objects.all()
        signed: dict[str, Any] = {"reason": "asked", "actor": "ops", "now": NOON}
        parked.retry_deliveries(rows, **signed)
        one = AuditEntry.objects.get(verb="delivery.retry")
        key = str(world.webhookdelivery.public_id)
        assert (one.target, one.detail) == (f"delivery {key}", {"deliveries": [key]})
        staff.acknowledge(
            [world.hrvalert.pk], feedback=Feedback.USEFUL, note="-", **without(signed)
        )
        noted = AuditEntry.objects.get(verb="alert.acknowledge")
        assert noted.target == f"alert {world.hrvalert.pk}"

    def test_of_very_many_the_first_thousand_are_named(self) -> None:
        ids = [uuid4() for _ in range(1001)]
        said = audit.named("deliveries", ids)
        assert (len(said["deliveries"]), said["and_more"]) == (1000, 1)


def without(signed: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in signed.items() if name != "reason"}


class TestWhatWasFound:
    """The note of an answer to an alert is a health value of whom it speaks."""

    NOTE = "has shingles, HRV was 20"

    @pytest.fixture
    def answered(self, admin_client: Client, world: SimpleNamespace) -> AuditEntry:
        staff.acknowledge(
            [world.hrvalert.pk],
            feedback=Feedback.EXPLAINED,
            note=self.NOTE,
            actor="ada",
            now=NOON,
        )
        return AuditEntry.objects.get(verb="alert.acknowledge")

    def test_neither_list_nor_file_holds_it(
        self, admin_client: Client, world: SimpleNamespace, answered: AuditEntry
    ) -> None:
        reveal(admin_client, world.subject.pk)
        page = admin_client.get(LIST).content.decode()
        (row,) = taken(admin_client, "verb=alert.acknowledge")
        for text in (page, str(row)):
            assert self.NOTE not in text
            assert "Explained: there is a known, harmless cause" in text

    def test_its_page_holds_it_once_revealed(
        self, admin_client: Client, world: SimpleNamespace, answered: AuditEntry
    ) -> None:
        url = reverse("admin:biometrics_auditentry_change", args=[answered.pk])
        before = admin_client.get(url).content.decode()
        assert self.NOTE not in before
        assert f"/subject/reveal/{world.subject.pk}/" in before
        reveal(admin_client, world.subject.pk)
        assert self.NOTE in admin_client.get(url).content.decode()

    def test_of_several_people_all_must_be_revealed(
        self, admin_client: Client, world: SimpleNamespace
    ) -> None:
        kim = Subject.objects.create(label="Kim")
        other = HrvAlert.objects.get(pk=world.hrvalert.pk)
        other.pk, other.subject, other.hrv_night = uuid4(), kim, None
        other.save(force_insert=True)
        staff.acknowledge(
            [world.hrvalert.pk, other.pk],
            feedback=Feedback.USEFUL,
            note=self.NOTE,
            actor="ada",
            now=NOON,
        )
        entry = AuditEntry.objects.get(verb="alert.acknowledge")
        url = reverse("admin:biometrics_auditentry_change", args=[entry.pk])
        for person in (kim, world.subject):
            assert self.NOTE not in admin_client.get(url).content.decode()
            reveal(admin_client, person.pk)
        assert self.NOTE in admin_client.get(url).content.decode()

    def test_other_reasons_are_read_by_everybody(
        self, admin_client: Client, entries: list[AuditEntry]
    ) -> None:
        url = reverse("admin:biometrics_auditentry_change", args=[entries[3].pk])
        page = admin_client.get(url).content.decode()
        assert "asked for" in page
        assert "Reveal" not in page


class TestStaff:
    def test_who_added_changed_and_deleted_somebody_is_known(
        self, admin_client: Client
    ) -> None:
        secret = "a long sentence of hers"
        said = {"username": "grace", "password1": secret, "password2": secret}
        said["usable_password"] = "true"
        admin_client.post(reverse("admin:auth_user_add"), said)
        grace = User.objects.get(username="grace")
        viewer = Group.objects.get(name="viewer")
        admin_client.post(
            reverse("admin:auth_user_change", args=[grace.pk]),
            {
                "username": "grace",
                "is_active": "on",
                "is_staff": "on",
                "groups": [viewer.pk],
                "date_joined_0": "2026-11-24",
                "date_joined_1": "12:00:00",
            },
        )
        grace.refresh_from_db()
        assert list(grace.groups.all()) == [viewer]
        admin_client.post(
            reverse("admin:auth_user_delete", args=[grace.pk]), {"post": "yes"}
        )
        told = AuditEntry.objects.order_by("id").values_list("verb", "target", "actor")
        assert list(told) == [
            ("staff.add", "staff grace", "ops"),
            ("staff.change", "staff grace", "ops"),
            ("staff.delete", "staff grace", "ops"),
        ]
        changed = AuditEntry.objects.get(verb="staff.change").reason
        assert "Groups" in changed
        assert "Staff status" in changed
        assert secret not in str(list(AuditEntry.objects.values()))

    def test_a_change_of_what_a_role_may_do_is_noted(
        self, admin_client: Client
    ) -> None:
        role = Group.objects.get(name="viewer")
        permission = Permission.objects.get(codename="reveal_subject")
        admin_client.post(
            reverse("admin:auth_group_change", args=[role.pk]),
            {"name": "viewer", "permissions": [permission.pk]},
        )
        assert list(role.permissions.all()) == [permission]
        noted = AuditEntry.objects.get(verb="role.change")
        assert (noted.target, noted.reason) == ("role viewer", "changed: Permissions")


@pytest.mark.redis
@pytest.mark.django_db
def test_what_is_done_to_a_circuit_is_in_the_audit_too(
    settings: Settings, redis_url: str
) -> None:
    settings.RESILIENCE_REDIS_URL = redis_url
    registry.clear()
    force_open("kafka", actor="ada", reason="The brokers are being moved")
    registry.clear()
    noted = AuditEntry.objects.get(verb="breaker.force_open")
    assert (noted.actor, noted.target) == ("ada", "circuit kafka")
    assert noted.reason == "The brokers are being moved"

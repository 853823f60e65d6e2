"""Connecting accounts with people, by hand and by command."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from biometrics.connections import registry, tokens
from biometrics.connections.registry import LinkError
from biometrics.errors import ConfigurationError, UnknownVendorError
from biometrics.models import ErasedAccount, Subject, VendorConnection
from tests.pipeline.world import World, record, says, states

OLD_KEY = "b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQtb2xkLTAwMDE="
NEW_KEY = "bmV3LW5ldy1uZXctbmV3LW5ldy1uZXctbmV3LTAwMDE="


def told(*arguments: str) -> str:
    out = StringIO()
    call_command("connections", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


@pytest.mark.django_db
class TestConnecting:
    def test_a_label_is_one_person_over_vendors(self) -> None:
        first = registry.add_connection(vendor="oura", account_id="o1", label="Ada")
        second = registry.add_connection(vendor="whoop", account_id="7", label="Ada")
        assert first.subject == second.subject
        assert first.subject.label == "Ada"

    def test_an_account_keeps_its_person_and_gets_new_tokens(self) -> None:
        ends = datetime(2026, 11, 25, tzinfo=UTC)
        before = registry.add_connection(vendor="oura", account_id="o1", label="Ada")
        VendorConnection.objects.update(status="needs_reconnect", status_reason="x")
        after = registry.add_connection(
            vendor="oura",
            account_id="o1",
            label="Grace",
            access_token="a",
            refresh_token="r",
            expires_at=ends,
        )
        assert after.id == before.id
        assert after.subject.label == "Ada"
        assert (after.status, after.status_reason) == ("active", "")
        assert after.token_expires_at == ends
        assert tokens.decrypt(after.refresh_token or b"") == "r"

    def test_an_ambiguous_label_is_refused(self) -> None:
        for _ in range(2):
            Subject.objects.create(label="Ada")
        with pytest.raises(LinkError, match="Ada"):
            registry.add_connection(vendor="oura", account_id="o1", label="Ada")
        assert not VendorConnection.objects.exists()

    def test_an_unknown_vendor_is_refused(self) -> None:
        with pytest.raises(UnknownVendorError):
            registry.add_connection(vendor="fitbit", account_id="1", label="Ada")

    def test_what_waited_is_released(self, world: World, settings: Settings) -> None:
        settings.AUTO_PROVISION_SUBJECTS = False
        world.carry(says(record()))
        world.carry(says(record()), account="somebody else")
        registry.add_connection(vendor="acme", account_id="someone", label="Ada")
        assert states() == {"pending": 1, "unlinked": 1}

    def test_an_erased_account_makes_nobody(self, world: World) -> None:
        digest = registry.account_digest(("acme", "someone"))
        ErasedAccount.objects.create(digest=digest, erased_at=world.now)
        delivery = world.carry(says(record()))
        assert (delivery.status, delivery.body) == ("erased", None)
        assert not Subject.objects.exists()


@pytest.mark.django_db
class TestPersonalTokens:
    def test_only_the_digest_is_kept(self) -> None:
        subject = Subject.objects.create(label="Ada")
        token = registry.issue_healthkit_token(subject)
        connection = VendorConnection.objects.get()
        assert len(token) >= 43
        assert connection.account_id == str(subject.id)
        digest = hashlib.sha256(token.encode()).hexdigest()
        assert connection.personal_token_sha256 == digest

    def test_a_new_one_ends_the_old_one(self) -> None:
        subject = Subject.objects.create(label="Ada")
        first, second = (registry.issue_healthkit_token(subject) for _ in range(2))
        assert first != second
        digest = hashlib.sha256(second.encode()).hexdigest()
        assert VendorConnection.objects.get().personal_token_sha256 == digest

    def test_signing_vendors_have_none(self) -> None:
        subject = Subject.objects.create(label="Ada")
        with pytest.raises(LinkError, match="oura"):
            registry.issue_personal_token(subject=subject, vendor="oura")


class TestTokensAtRest:
    def test_an_old_key_still_opens(self, settings: Settings) -> None:
        settings.AUREN_TOKEN_KEYS = [OLD_KEY]
        stored = tokens.encrypt("secret")
        settings.AUREN_TOKEN_KEYS = [NEW_KEY, OLD_KEY]
        assert tokens.decrypt(stored) == "secret"
        rotated = tokens.rotate(stored)
        settings.AUREN_TOKEN_KEYS = [NEW_KEY]
        assert tokens.decrypt(rotated) == "secret"
        with pytest.raises(ConfigurationError, match="AUREN_TOKEN_KEYS"):
            tokens.decrypt(stored)

    @pytest.mark.parametrize("keys", [[], ["no key"]])
    def test_missing_and_wrong_keys_are_named(
        self, settings: Settings, keys: list[str]
    ) -> None:
        settings.AUREN_TOKEN_KEYS = keys
        with pytest.raises(ConfigurationError, match="AUREN_TOKEN_KEYS"):
            tokens.encrypt("secret")


@pytest.mark.django_db
class TestCommand:
    def test_add_then_list_shows_no_token(self) -> None:
        told(
            *("add", "--vendor", "oura", "--account", "o1", "--label", "Ada"),
            *("--access-token", "at-secret", "--refresh-token", "rt-secret"),
            *("--expires-at", "2026-11-25T00:00:00"),
        )
        connection = VendorConnection.objects.get()
        assert tokens.decrypt(connection.access_token or b"") == "at-secret"
        assert connection.token_expires_at == datetime(2026, 11, 25, tzinfo=UTC)
        listed = told("list")
        assert "oura\to1\tAda\tactive\ttoken until 2026-11-25 00:00Z" in listed
        assert "secret" not in listed

    def test_tokens_come_from_files(self, tmp_path: Path) -> None:
        (tmp_path / "access").write_text("at-secret\n")
        (tmp_path / "refresh").write_text("rt-secret\n")
        told(
            *("add", "--vendor", "oura", "--account", "o1", "--label", "Ada"),
            *("--access-token-file", str(tmp_path / "access")),
            *("--refresh-token-file", str(tmp_path / "refresh")),
        )
        connection = VendorConnection.objects.get()
        assert tokens.decrypt(connection.access_token or b"") == "at-secret"
        assert tokens.decrypt(connection.refresh_token or b"") == "rt-secret"

    def test_a_token_file_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match=r"--access-token-file.*No such file"):
            told(
                *("add", "--vendor", "oura", "--account", "o1", "--label", "Ada"),
                *("--access-token-file", str(tmp_path / "none")),
            )
        assert not VendorConnection.objects.exists()

    def test_a_token_is_all_that_stdout_gets(self) -> None:
        token = told("healthkit-token", "--subject", "Ada", "--create").strip()
        digest = hashlib.sha256(token.encode()).hexdigest()
        assert VendorConnection.objects.get().personal_token_sha256 == digest

    def test_a_person_is_found_by_id(self) -> None:
        subject = Subject.objects.create(label="Ada")
        told("healthkit-token", "--subject", str(subject.id))
        assert VendorConnection.objects.get().subject == subject

    def test_nobody_is_made_by_mistake(self) -> None:
        with pytest.raises(CommandError, match="Nobody"):
            told("healthkit-token", "--subject", "Ada")

    def test_revoke_forgets_the_tokens(self) -> None:
        registry.add_connection(
            vendor="oura", account_id="o1", label="Ada", access_token="a"
        )
        told(*("revoke", "--vendor", "oura", "--account", "o1"), "--reason", "left")
        connection = VendorConnection.objects.get()
        assert (connection.status, connection.status_reason) == ("revoked", "left")
        assert connection.access_token is None

    def test_revoking_what_is_not_there_says_so(self) -> None:
        with pytest.raises(CommandError, match="o2"):
            told(*("revoke", "--vendor", "oura", "--account", "o2"), "--reason", "x")

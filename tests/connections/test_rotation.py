"""New keys for old tokens, while renewals are under way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from biometrics.connections import grants, registry, tokens
from biometrics.connections.rotation import rotate_all
from biometrics.errors import ConfigurationError
from biometrics.models import VendorConnection
from biometrics.models.notices import Channel
from biometrics.notifying.subscribing import Wish, subscribe

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture
def connection(settings: Settings) -> VendorConnection:
    """Return a connection whose tokens lie under the old key; the new one is first."""
    settings.AUREN_TOKEN_KEYS = [OLD]
    made = registry.add_connection(
        vendor="oura",
        account_id="ring-1",
        label="Robin",
        access_token="access-0",
        refresh_token="refresh-0",
    )
    settings.AUREN_TOKEN_KEYS = [NEW, OLD]
    return made


def test_the_old_key_is_not_needed_any_more(
    connection: VendorConnection, settings: Settings
) -> None:
    out = StringIO()
    call_command("rotate_token_key", stdout=out)
    assert out.getvalue() == "1 connections are under the first key.\n"
    settings.AUREN_TOKEN_KEYS = [NEW]
    connection.refresh_from_db()
    assert tokens.decrypt(connection.access_token or b"") == "access-0"
    assert tokens.decrypt(connection.refresh_token or b"") == "refresh-0"
    before = bytes(connection.refresh_token or b"")
    call_command("rotate_token_key", stdout=StringIO())
    connection.refresh_from_db()
    assert bytes(connection.refresh_token or b"") == before


def test_a_renewal_under_way_keeps_its_row(connection: VendorConnection) -> None:
    claim = grants.claim_refresh(connection, now=NOW)
    assert claim is not None
    done = rotate_all(now=NOW)
    assert (done.rewritten, done.busy, done.locked) == (0, 1, ())
    renewed = grants.NewTokens(access_token="access-1", refresh_token="refresh-1")
    assert grants.store_renewed(claim=claim, new=renewed)
    connection.refresh_from_db()
    assert tokens.decrypt(connection.refresh_token or b"") == "refresh-1"


def test_the_command_says_that_it_must_run_again(connection: VendorConnection) -> None:
    at = timezone.now() + timedelta(seconds=1)
    assert grants.claim_refresh(connection, now=at)
    with pytest.raises(CommandError, match="run this again"):
        call_command("rotate_token_key", stdout=StringIO())


def test_a_lost_key_is_told_and_harms_no_other(
    connection: VendorConnection, settings: Settings
) -> None:
    settings.AUREN_TOKEN_KEYS = [Fernet.generate_key().decode()]
    lost = registry.add_connection(
        vendor="oura", account_id="ring-2", label="Kim", access_token="access-9"
    )
    settings.AUREN_TOKEN_KEYS = [NEW, OLD]
    done = rotate_all(now=NOW)
    assert (done.rewritten, done.locked) == (1, (lost.id,))
    with pytest.raises(CommandError, match=rf"connections {lost.id}:"):
        call_command("rotate_token_key", stdout=StringIO())


def test_without_keys_nothing_is_touched(
    connection: VendorConnection, settings: Settings
) -> None:
    settings.AUREN_TOKEN_KEYS = []
    with pytest.raises(ConfigurationError, match="AUREN_TOKEN_KEYS"):
        rotate_all(now=NOW)


def test_webhook_secrets_come_under_the_new_key_too(settings: Settings) -> None:
    settings.AUREN_TOKEN_KEYS = [OLD]
    row, secret = subscribe(
        Wish(
            owner_id=User.objects.create_user("kim").pk,
            channel=Channel.WEBHOOK,
            address="https://hooks.example.org/",
        ),
        actor="kim",
        now=NOW,
    )
    settings.AUREN_TOKEN_KEYS = [NEW, OLD]
    out = StringIO()
    call_command("rotate_token_key", stdout=out)
    assert "1 webhook secrets are under the first key." in out.getvalue()
    settings.AUREN_TOKEN_KEYS = [NEW]
    row.refresh_from_db()
    assert row.secret is not None
    assert tokens.decrypt(row.secret) == secret
    settings.AUREN_TOKEN_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CommandError, match=f"subscriptions {row.pk}"):
        call_command("rotate_token_key")

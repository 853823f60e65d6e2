"""An app with the Open Wearables SDK, unchanged but for its host: over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from biometrics import erasure
from biometrics.connections import registry, sessions
from biometrics.errors import SignatureError
from biometrics.models import PhoneSession, Subject, VendorConnection, WebhookDelivery
from tests.bridge import Answer, RunningBridge
from tests.intake.test_http import healthkit

APP = {"app_id": "app-1", "app_secret": "the app's secret"}


@pytest.fixture(autouse=True)
def _application(settings: Settings) -> None:
    settings.AUREN_VENDORS = {
        **settings.AUREN_VENDORS,
        "healthkit": {
            "client_id": APP["app_id"],
            "client_secret": APP["app_secret"],
        },
    }


@pytest.fixture
def bridge(transactional_db: None) -> Iterator[RunningBridge]:
    running = RunningBridge()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def connection(transactional_db: None) -> VendorConnection:
    """Return the account of somebody whom staff connected."""
    robin = Subject.objects.create(label="Robin")
    registry.issue_healthkit_token(robin)
    return VendorConnection.objects.get()


@dataclass(slots=True, kw_only=True)
class Sdk:
    """Does what the SDK does: signs in, syncs, renews once after a 401, signs out."""

    bridge: RunningBridge
    user_id: str
    access: str = ""
    refresh: str = ""
    renewals: list[int] = field(default_factory=list)

    def call(self, path: str, body: object, *, token: str = "") -> Answer:
        headers = {"content-type": "application/json"}
        if token:
            # As it stands in the SDK: without "Bearer".
            headers["authorization"] = token
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        return self.bridge.request("POST", path, body=raw, headers=headers)

    def sign_in(self, credentials: dict[str, str] | None = None) -> Answer:
        answer = self.call(f"/api/v1/users/{self.user_id}/token", credentials or APP)
        return self.keep(answer)

    def renew(self) -> Answer:
        return self.keep(
            self.call("/api/v1/token/refresh", {"refresh_token": self.refresh})
        )

    def keep(self, answer: Answer) -> Answer:
        if answer.status == 200:
            self.access = answer.json["access_token"]
            self.refresh = answer.json["refresh_token"]
        return answer

    def sync(self) -> Answer:
        path = f"/api/v1/sdk/users/{self.user_id}/sync"
        answer = self.call(path, healthkit(), token=self.access)
        if answer.status != 401:
            return answer
        self.renewals.append(self.renew().status)
        return self.call(path, healthkit(), token=self.access)

    def sign_out(self) -> Answer:
        return self.call("/api/v1/token/revoke", {"refresh_token": self.refresh})


@pytest.fixture
def sdk(bridge: RunningBridge, connection: VendorConnection) -> Sdk:
    return Sdk(bridge=bridge, user_id=connection.account_id)


def run_out() -> None:
    """Let every access token have run out."""
    PhoneSession.objects.update(access_until="2026-01-01T00:00:00Z")


class TestSdk:
    def test_it_signs_in_and_syncs(self, sdk: Sdk) -> None:
        answer = sdk.sign_in()
        assert answer.status == 200
        assert answer.json.keys() == {
            "access_token",
            "token_type",
            "refresh_token",
            "expires_in",
        }
        assert (answer.json["token_type"], answer.json["expires_in"]) == (
            "bearer",
            3600,
        )
        assert answer.headers["cache-control"].startswith("max-age=0, no-cache")
        synced = sdk.sync()
        assert synced.status == 202
        assert synced.json["user_id"] == sdk.user_id
        assert WebhookDelivery.objects.get().account_id == sdk.user_id
        assert sdk.renewals == []

    def test_after_an_hour_it_renews_once_and_goes_on(self, sdk: Sdk) -> None:
        sdk.sign_in()
        before = sdk.access, sdk.refresh
        run_out()
        assert sdk.sync().status == 202
        assert sdk.renewals == [200]
        assert sdk.sync().status == 202
        assert sdk.renewals == [200]
        assert not {*before} & {sdk.access, sdk.refresh}
        # Both old tokens are gone.
        path = f"/api/v1/sdk/users/{sdk.user_id}/sync"
        assert sdk.call(path, healthkit(), token=before[0]).status == 401
        again = sdk.call("/api/v1/token/refresh", {"refresh_token": before[1]})
        assert again.status == 401

    def test_signing_out_ends_it(self, sdk: Sdk) -> None:
        sdk.sign_in()
        assert (sdk.sign_out().status, sdk.sign_out().status) == (204, 204)
        assert sdk.renew().status == 401
        assert sdk.sync().status == 401

    def test_a_token_speaks_for_one_person(
        self, sdk: Sdk, bridge: RunningBridge
    ) -> None:
        registry.issue_healthkit_token(Subject.objects.create(label="Kim"))
        kim = VendorConnection.objects.get(subject__label="Kim").account_id
        other = Sdk(bridge=bridge, user_id=kim)
        assert other.sign_in().status == 200
        sdk.access = other.access
        path = f"/api/v1/sdk/users/{sdk.user_id}/sync"
        assert sdk.call(path, healthkit(), token=sdk.access).status == 403

    def test_the_token_that_staff_hand_out_goes_on_working(
        self, sdk: Sdk, connection: VendorConnection
    ) -> None:
        token = registry.issue_healthkit_token(connection.subject)
        sdk.sign_in()
        path = f"/api/v1/sdk/users/{sdk.user_id}/sync"
        assert sdk.call(path, healthkit(), token=token).status == 202
        assert sdk.call(path, healthkit(), token=f"Bearer {sdk.access}").status == 202


class TestRefusals:
    @pytest.mark.parametrize(
        "credentials",
        [
            {**APP, "app_secret": "wrong"},
            {**APP, "app_id": "wrong"},
            {**APP, "app_secret": "\ud800".encode("utf-16", "surrogatepass").hex()},
        ],
    )
    def test_wrong_credentials(self, sdk: Sdk, credentials: dict[str, str]) -> None:
        answer = sdk.sign_in(credentials)
        assert (answer.status, answer.json["error"]) == (401, "unauthenticated")
        assert not PhoneSession.objects.exists()

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"not json",
            b"[]",
            b"{}",
            b'{"app_id": "app-1"}',
            b'{"app_id": 1, "app_secret": "x"}',
            b'{"app_id": "' + b"x" * 20_000 + b'"}',
        ],
        ids=lambda body: repr(body[:16]),
    )
    def test_no_credentials(self, sdk: Sdk, body: bytes) -> None:
        answer = sdk.call(f"/api/v1/users/{sdk.user_id}/token", body)
        assert (answer.status, answer.json["error"]) == (400, "malformed")
        assert sdk.call("/api/v1/token/refresh", body).status == 400
        assert sdk.call("/api/v1/token/revoke", body).status == 400

    def test_an_unknown_user(self, sdk: Sdk) -> None:
        sdk.user_id = str(uuid4())
        answer = sdk.sign_in()
        assert (answer.status, answer.json["error"]) == (404, "unknown_user")
        # Who does not prove the app learns nothing about users.
        assert sdk.sign_in({**APP, "app_secret": "wrong"}).status == 401

    def test_an_application_without_a_secret_is_told_to_try_later(
        self, sdk: Sdk, settings: Settings
    ) -> None:
        settings.AUREN_VENDORS["healthkit"]["client_secret"] = ""
        answer = sdk.sign_in({**APP, "app_secret": "x"})
        assert answer.status == 503
        assert "AUREN_HEALTHKIT_CLIENT_SECRET" in answer.json["detail"]

    def test_only_a_post(self, sdk: Sdk, bridge: RunningBridge) -> None:
        path = f"/api/v1/users/{sdk.user_id}/token"
        assert bridge.request("GET", path).status == 405


class TestEnds:
    def test_revoking_the_connection_ends_all_phones(
        self, sdk: Sdk, connection: VendorConnection
    ) -> None:
        sdk.sign_in()
        registry.revoke(connection_id=connection.id, reason="phone lost")
        assert sdk.renew().status == 401
        assert sdk.sign_in().status == 404
        assert sdk.sync().status == 401

    def test_a_new_token_of_the_person_ends_all_phones(
        self, sdk: Sdk, connection: VendorConnection
    ) -> None:
        sdk.sign_in()
        registry.issue_healthkit_token(connection.subject)
        assert sdk.renew().status == 401

    def test_erasure_ends_all_phones(
        self, sdk: Sdk, connection: VendorConnection
    ) -> None:
        sdk.sign_in()
        erasure.erase_subject(
            subject_id=connection.subject_id,
            actor="ops",
            reason="asked to",
            now=connection.created_at,
        )
        assert not PhoneSession.objects.exists()
        assert sdk.renew().status == 401

    def test_the_oldest_of_many_sessions_makes_room(self, sdk: Sdk) -> None:
        sdk.sign_in()
        first = sdk.refresh
        for _ in range(10):
            assert sdk.sign_in().status == 200
        assert PhoneSession.objects.count() == 10
        sdk.refresh, last = first, sdk.refresh
        assert sdk.renew().status == 401
        sdk.refresh = last
        assert sdk.renew().status == 200


def test_of_two_that_renew_at_once_one_gets_it(connection: VendorConnection) -> None:
    pair = sessions.sign_in(
        vendor="healthkit",
        account_id=connection.account_id,
        now=connection.created_at,
        **APP,
    )
    start, got = threading.Barrier(2), []

    def renew() -> None:
        start.wait()
        try:
            sessions.renew(refresh_token=pair.refresh_token, now=connection.created_at)
        except SignatureError:
            got.append(False)
        else:
            got.append(True)

    threads = [threading.Thread(target=renew) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False, True]


def test_nothing_readable_is_kept_and_staff_see_the_sessions(
    connection: VendorConnection, client: Client
) -> None:
    pair = sessions.sign_in(
        vendor="healthkit",
        account_id=connection.account_id,
        now=connection.created_at,
        **APP,
    )
    kept: Any = str(list(PhoneSession.objects.values()))
    assert pair.access_token not in kept
    assert pair.refresh_token not in kept
    client.force_login(User.objects.create_superuser("ops", password="x"))
    page = client.get(
        reverse("admin:biometrics_vendorconnection_change", args=[connection.pk])
    )
    assert "1 phone sessions (hashes only)" in page.content.decode()

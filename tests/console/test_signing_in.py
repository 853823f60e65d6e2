"""Signing in: locked after wrong passwords, with a second factor, for a limited time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
import time
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from biometrics.models import AuditEntry
from biometrics.realtime import consumers

INDEX = reverse("admin:index")
LOGIN = reverse("admin:login")
FACTOR = reverse("admin:auth_user_second_factor")
PASSWORD = "a long sentence of mine"
WRONG = "not my sentence"


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_superuser("ada", password=PASSWORD)


def sign_in(
    client: Client, *, name: str = "ada", password: str = PASSWORD, code: str = ""
) -> Any:
    said = {"username": name, "password": password, "otp_token": code}
    return client.post(LOGIN, said)


def is_in(client: Client) -> bool:
    return client.get(INDEX).status_code == 200


def code_of(secret: str, *, ahead: int = 0) -> str:
    """Return the code of RFC 6238 for a secret as an app holds it."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    step = int(time.time()) // 30 + ahead
    digest = hmac.digest(key, struct.pack(">Q", step), hashlib.sha1)
    at = digest[-1] & 15
    number = struct.unpack(">I", digest[at : at + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def set_up(client: Client) -> tuple[str, list[str]]:
    """Set the second factor up as the page has it done: the secret, recovery codes."""
    client.post(FACTOR, {"do": "begin"})
    secret = client.get(FACTOR).context["secret"]
    answer = client.post(FACTOR, {"do": "confirm", "code": code_of(secret)})
    return secret, list(answer.context["codes"])


def wait() -> None:
    """Let the time pass for which wrong codes slow a device down."""
    for model in (TOTPDevice, StaticDevice):
        model.objects.update(throttling_failure_count=0)


class TestLockout:
    def test_the_right_password_leads_to_the_dashboard(self, ada: User) -> None:
        client = Client()
        assert sign_in(client)["Location"] == INDEX
        assert is_in(client)

    def test_after_five_wrong_ones_the_right_one_is_locked_too(self, ada: User) -> None:
        client = Client()
        answers = [sign_in(client, password=WRONG).status_code for _ in range(5)]
        assert answers == [200, 200, 200, 200, 429]
        locked = sign_in(client)
        assert locked.status_code == 429
        assert "Try again in 15 minutes" in locked.content.decode()
        assert not is_in(client)

    def test_it_ends_by_itself(self, ada: User) -> None:
        client = Client()
        for _ in range(5):
            sign_in(client, password=WRONG)
        assert sign_in(client).status_code == 429
        AccessAttempt.objects.update(
            attempt_time=timezone.now() - timedelta(minutes=16)
        )
        assert sign_in(client).status_code == 302

    def test_others_at_the_same_address_are_not_locked(self, ada: User) -> None:
        User.objects.create_superuser("grace", password=PASSWORD)
        for _ in range(6):
            sign_in(Client(), password=WRONG)
        assert sign_in(Client()).status_code == 429
        assert sign_in(Client(), name="grace").status_code == 302

    def test_a_right_one_in_between_begins_the_count_anew(self, ada: User) -> None:
        for _ in range(2):
            for _ in range(4):
                assert sign_in(Client(), password=WRONG).status_code == 200
            assert sign_in(Client()).status_code == 302

    def test_the_audit_tells_it_and_keeps_no_unknown_name(self, ada: User) -> None:
        for name in ("ada", "what-i-typed-was-my-password"):
            for _ in range(5):
                sign_in(Client(), name=name, password=WRONG)
        entries = AuditEntry.objects.filter(verb="staff.locked_out").order_by("id")
        assert [entry.target for entry in entries] == ["staff ada", "an unknown name"]


class TestSecondFactor:
    @pytest.fixture
    def client(self, ada: User) -> Client:
        client = Client()
        sign_in(client)
        return client

    def test_without_one_no_code_is_needed(self, client: Client) -> None:
        assert is_in(client)

    def test_the_password_alone_is_not_enough_any_more(self, client: Client) -> None:
        secret, _ = set_up(client)
        stranger = Client()
        for code in ("", "000000" if code_of(secret) != "000000" else "111111"):
            answer = sign_in(stranger, code=code)
            assert "present code of your app" in answer.content.decode()
            assert not is_in(stranger)

    def test_the_code_of_the_app_lets_in(self, client: Client) -> None:
        secret, _ = set_up(client)
        again = Client()
        # The code that set it up is spent.
        assert sign_in(again, code=code_of(secret, ahead=1)).status_code == 302
        assert is_in(again)

    def test_a_code_lets_in_once(self, client: Client) -> None:
        secret, _ = set_up(client)
        code = code_of(secret, ahead=1)
        assert sign_in(Client(), code=code).status_code == 302
        assert sign_in(Client(), code=code).status_code == 200

    def test_a_recovery_code_lets_in_once(self, client: Client) -> None:
        _, codes = set_up(client)
        assert len(set(codes)) == 8
        assert sign_in(Client(), code=codes[3]).status_code == 302
        wait()
        assert sign_in(Client(), code=codes[3]).status_code == 200

    def test_it_counts_only_once_a_code_was_typed(self, client: Client) -> None:
        client.post(FACTOR, {"do": "begin"})
        secret = client.get(FACTOR).context["secret"]
        client.post(FACTOR, {"do": "confirm", "code": "12345"})
        assert sign_in(Client()).status_code == 302
        assert not TOTPDevice.objects.get().confirmed
        assert client.get(FACTOR).context["secret"] == secret

    def test_the_secret_is_not_shown_again(self, client: Client) -> None:
        secret, codes = set_up(client)
        page = client.get(FACTOR)
        text = page.content.decode()
        assert secret not in text
        assert "data:image" not in text
        assert not [code for code in codes if code in text]
        assert "no-store" in page["Cache-Control"]

    def test_sessions_that_began_without_a_code_end(self, client: Client) -> None:
        elsewhere, grace = Client(), Client()
        sign_in(elsewhere)
        User.objects.create_superuser("grace", password=PASSWORD)
        sign_in(grace, name="grace")
        set_up(client)
        assert [is_in(one) for one in (client, elsewhere, grace)] == [True, False, True]

    def test_ending_it_takes_a_code(self, client: Client) -> None:
        _, codes = set_up(client)
        client.post(FACTOR, {"do": "end", "code": "wrong"})
        assert sign_in(Client()).status_code == 200
        wait()
        client.post(FACTOR, {"do": "end", "code": codes[0]})
        assert sign_in(Client()).status_code == 302

    def test_new_recovery_codes_replace_the_old(self, client: Client) -> None:
        _, old = set_up(client)
        answer = client.post(FACTOR, {"do": "codes", "code": old[0]})
        new = answer.context["codes"]
        assert set(old).isdisjoint(new)
        wait()
        assert sign_in(Client(), code=old[1]).status_code == 200

    def test_guessing_is_slowed_down(self, client: Client) -> None:
        _, codes = set_up(client)
        sign_in(Client(), code="not-a-code")
        assert StaticDevice.objects.get().throttling_failure_count == 1
        # As after twelve, which is more than an hour.
        StaticDevice.objects.update(throttling_failure_count=12)
        assert sign_in(Client(), code=codes[0]).status_code == 200
        wait()
        assert sign_in(Client(), code=codes[0]).status_code == 302

    def test_an_admin_lets_somebody_in_who_lost_the_app(self, client: Client) -> None:
        User.objects.create_superuser("grace", password=PASSWORD)
        grace = Client()
        sign_in(grace, name="grace")
        set_up(grace)
        url = reverse("admin:auth_user_changelist")
        pk = User.objects.get(username="grace").pk
        chosen = {"action": "remove_second_factor", "_selected_action": [str(pk)]}
        assert client.post(url, chosen).status_code == 200
        assert sign_in(Client(), name="grace").status_code == 200
        client.post(url, {**chosen, "reason": "lost the phone, seen in person"})
        assert sign_in(Client(), name="grace").status_code == 302
        entry = AuditEntry.objects.filter(verb="staff.second_factor_off").get()
        assert (entry.actor, entry.target) == ("ada", "staff grace")
        assert entry.reason == "lost the phone, seen in person"

    def test_looking_at_staff_is_no_right_to_remove_it(self, client: Client) -> None:
        set_up(client)
        viewer = User.objects.create_user("viewer", password=PASSWORD, is_staff=True)
        viewer.user_permissions.add(Permission.objects.get(codename="view_user"))
        looking = Client()
        sign_in(looking, name="viewer")
        ada = User.objects.get(username="ada")
        looking.post(
            reverse("admin:auth_user_changelist"),
            {
                "action": "remove_second_factor",
                "_selected_action": [str(ada.pk)],
                "reason": "let me",
            },
        )
        assert sign_in(Client()).status_code == 200

    def test_no_page_of_the_admin_lists_devices(self, client: Client) -> None:
        set_up(client)
        page = client.get(INDEX).content.decode()
        assert not re.search(r'href="/admin/otp_', page)
        assert client.get("/admin/otp_totp/totpdevice/").status_code == 404


class TestSitting:
    def moved(self, client: Client, **ago: timedelta) -> None:
        """Let the session have begun, or been used last, so long ago."""
        session = client.session
        for name, span in ago.items():
            session[f"sitting_{name}_at"] -= span.total_seconds()
        session.save()

    @pytest.fixture
    def client(self, ada: User) -> Client:
        client = Client()
        sign_in(client)
        assert is_in(client)
        return client

    def test_an_hour_without_a_page_signs_out(self, client: Client) -> None:
        self.moved(client, seen=timedelta(minutes=61))
        answer = client.get(INDEX, follow=True)
        assert answer.redirect_chain[0][0].startswith(LOGIN)
        assert "You were signed out" in answer.content.decode()
        assert not is_in(client)

    def test_less_does_not(self, client: Client) -> None:
        self.moved(client, seen=timedelta(minutes=59))
        assert is_in(client)
        self.moved(client, seen=timedelta(minutes=59))
        assert is_in(client)

    def test_a_shift_ends_however_busy(self, client: Client) -> None:
        self.moved(client, began=timedelta(hours=8, minutes=1))
        assert not is_in(client)

    def test_an_act_after_it_is_not_done(self, client: Client) -> None:
        self.moved(client, seen=timedelta(minutes=61))
        client.post(FACTOR, {"do": "begin"})
        assert not TOTPDevice.objects.exists()

    def test_a_page_a_second_does_not_write_a_row_a_second(
        self, client: Client
    ) -> None:
        with CaptureQueriesContext(connection) as captured:
            client.get(INDEX)
        written = [
            query["sql"]
            for query in captured.captured_queries
            if query["sql"].startswith(("UPDATE", "INSERT"))
        ]
        assert written == []

    def test_the_socket_of_an_open_page_is_no_sign_of_life(
        self, client: Client, ada: User
    ) -> None:
        key = client.session.session_key
        assert consumers._granted_to(ada.pk, key)
        self.moved(client, seen=timedelta(minutes=61))
        assert consumers._granted_to(ada.pk, key) is None

    def test_signing_out_closes_the_socket(self, client: Client, ada: User) -> None:
        key = client.session.session_key
        client.post(reverse("admin:logout"))
        assert consumers._granted_to(ada.pk, key) is None

    def test_the_cookie_is_for_this_site_and_no_script(self, client: Client) -> None:
        cookie = client.cookies[settings.SESSION_COOKIE_NAME]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"

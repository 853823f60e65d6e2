"""Standard Webhooks: the published example, and what a receiver makes of ours."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest

from biometrics.errors import ConfigurationError
from biometrics.notifying import signing
from tests.notifying.receiver import signature_of

# The example of the reference libraries of standard-webhooks.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = datetime.fromtimestamp(1614265330, tz=UTC)
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_published_example_has_its_signature() -> None:
    assert signing.headers(secret=SECRET, message_id=MESSAGE, at=AT, body=BODY) == {
        "webhook-id": MESSAGE,
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


def test_the_tests_own_receiver_agrees_with_the_published_example() -> None:
    assert (
        signature_of(
            secret=SECRET, message_id=MESSAGE, timestamp="1614265330", body=BODY
        )
        == SIGNATURE
    )


def test_secrets_are_long_and_never_the_same() -> None:
    first, second = signing.new_secret(), signing.new_secret()
    assert first != second
    assert first.startswith("whsec_")
    assert len(base64.b64decode(first.removeprefix("whsec_"))) == 32


def test_a_secret_that_is_none_is_named() -> None:
    with pytest.raises(ConfigurationError, match="secret"):
        signing.headers(secret="whsec_*", message_id="m", at=AT, body=b"")

"""What a token endpoint answers, read as untrusted text.

What is no usable token is refused here: a line break in one would break the call that
carries it, a number that is none the clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from http import HTTPStatus

from biometrics.connections.grants import NewTokens
from biometrics.errors import (
    UnreadableDeliveryError,
    VendorError,
    VendorRefusedError,
    VendorUnavailableError,
)
from biometrics.vendors.fields import load_object

# Shorter lives than this are taken for a mistake of the vendor, not for a plan; longer
# ones are not believed: a token that dies early is noticed by itself.
_SHORTEST_LIFE_S = 30.0
_LONGEST_LIFE_S = 366 * 86_400.0
_LONGEST_TOKEN = 16 * 1024
_LONGEST_SCOPES = 500
# With what status a grant is refused (RFC 6749, 5.2). The words differ: Oura says
# invalid_request of a refresh token that is not good any more, others token_inactive.
_CONSENT_GONE = frozenset({400, 401})
_OUR_FAULTS = frozenset({"invalid_client", "unauthorized_client"})
_CODE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,79}")
_HTTP_WORDS = frozenset(one.phrase.lower().replace(" ", "_") for one in HTTPStatus)
# What no new consent mends.
_PASSING = frozenset(
    {
        "unsupported_grant_type",
        "temporarily_unavailable",
        "server_error",
        "slow_down",
    }
)


def read_tokens(body: bytes, *, asked_at: datetime) -> NewTokens:
    """Return what a 200 of a token endpoint gives; raises VendorUnavailableError."""
    try:
        answer = load_object(body)
    except UnreadableDeliveryError:
        message = "The token endpoint answered 200 without a token."
        raise VendorUnavailableError(message) from None
    access = _token(answer.get("access_token"))
    if access is None:
        raise VendorUnavailableError("The token endpoint gave no usable token.")
    life = _life(answer.get("expires_in"))
    return NewTokens(
        access_token=access,
        refresh_token=_token(answer.get("refresh_token")),
        expires_at=None if life is None else asked_at + timedelta(seconds=life),
        scopes=scopes_in(answer.get("scope")),
    )


def refusal_of(status: int, body: bytes, *, slug: str, after_loss: bool) -> VendorError:
    """Return the error that an answer without a grant stands for.

    VendorRefusedError ends the consent, and only the vendor's own word does that: a
    proxy's page of whatever status, a moved address, a client id that does not hold are
    nothing that this person could mend by consenting again.
    """
    word = _word_in(body)
    if word in _OUR_FAULTS:
        name = f"AUREN_{slug.upper()}_CLIENT_SECRET"
        message = f"The vendor refuses the application: look at {name}."
        return VendorUnavailableError(message)
    if status not in _CONSENT_GONE or word is None or word in _PASSING:
        return VendorUnavailableError(f"The token endpoint answered {status}.")
    why = " after the answer to an earlier renewal was lost" if after_loss else ""
    message = f"The vendor refused to renew the grant ({status}){why}."
    return VendorRefusedError(message, status=status, permanent=True)


def scopes_in(said: object) -> str:
    """Return scopes as a text with spaces, from a text or a list; else nothing."""
    words: Iterable[object] = ()
    if isinstance(said, str):
        words = said.replace(",", " ").split()
    elif isinstance(said, list):
        words = said
    kept = (word for word in words if isinstance(word, str) and _is_visible(word))
    return " ".join(kept)[:_LONGEST_SCOPES]


def _word_in(body: bytes) -> str | None:
    """Return the code of an OAuth error, None where the answer is none.

    Gateways write JSON too: what is said in a sentence, or is what HTTP calls the status,
    is theirs.
    """
    try:
        error = load_object(body).get("error")
    except UnreadableDeliveryError:
        return None
    if not isinstance(error, str) or not _CODE.fullmatch(error):
        return None
    return None if error in _HTTP_WORDS else error


def _token(said: object) -> str | None:
    if not isinstance(said, str) or not 0 < len(said) <= _LONGEST_TOKEN:
        return None
    return said if _is_visible(said) else None


def _life(said: object) -> float | None:
    """Return for how many seconds a token is good; None is unknown."""
    if isinstance(said, str) and said.isascii() and said.isdigit() and len(said) <= 12:
        said = int(said)
    if isinstance(said, bool) or not isinstance(said, int | float):
        return None
    if not said <= _LONGEST_LIFE_S:
        return None
    return max(float(said), _SHORTEST_LIFE_S)


def _is_visible(text: str) -> bool:
    """Say whether a text is one word of visible ASCII, as tokens and scopes are."""
    return bool(text) and all("!" <= character <= "~" for character in text)

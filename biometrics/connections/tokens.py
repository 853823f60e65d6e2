"""Vendors' tokens at rest: encrypted with the first key, readable with any of them."""

from __future__ import annotations

from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from biometrics.errors import ConfigurationError

_HOW = (
    'a key is made with: python -c "from cryptography.fernet import Fernet;'
    ' print(Fernet.generate_key().decode())"'
)


def encrypt(text: str) -> bytes:
    """Return the text under the first of AUREN_TOKEN_KEYS; raises ConfigurationError."""
    return _cipher(tuple(settings.AUREN_TOKEN_KEYS)).encrypt(text.encode())


def decrypt(data: bytes | memoryview) -> str:
    """Return the text that `encrypt` made of it.

    Raises ConfigurationError when none of AUREN_TOKEN_KEYS fits.
    """
    try:
        return _cipher(tuple(settings.AUREN_TOKEN_KEYS)).decrypt(bytes(data)).decode()
    except InvalidToken:
        message = (
            "None of AUREN_TOKEN_KEYS opens a stored token: add the key that it was"
            " stored with, or connect the account again."
        )
        raise ConfigurationError(message) from None


def rotate(data: bytes | memoryview) -> bytes:
    """Return the same text under the first key; raises ConfigurationError."""
    return encrypt(decrypt(data))


@cache
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    if not keys:
        message = f"AUREN_TOKEN_KEYS is not set, so no token can be kept; {_HOW}."
        raise ConfigurationError(message)
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        message = f"AUREN_TOKEN_KEYS holds something that is no key; {_HOW}."
        raise ConfigurationError(message) from None

"""Which shard a delivery or a person belongs to."""

from __future__ import annotations

from hashlib import blake2b

from django.conf import settings


def shard_of(*parts: str) -> int:
    """Return the shard of a key: (vendor, account) of a delivery, (subject,) of a message.

    Equal parts give the same shard in every process and release, as long as SHARDS stays.
    """
    digest = blake2b("\0".join(parts).encode()).digest()
    shards: int = settings.SHARDS
    return int.from_bytes(digest[:8]) % shards

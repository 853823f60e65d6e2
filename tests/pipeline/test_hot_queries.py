"""No query on the way of the data walks a big table."""

from __future__ import annotations

import os

import psycopg2

from tests.bench.growth import history
from tests.bench.growth.running import step
from tests.databases import parameters_of

# Nights of long ago, of one alert that the history has.
_OLD_ALERTS = """
INSERT INTO biometrics_hrvalert
SELECT old.* FROM (SELECT * FROM biometrics_hrvalert LIMIT 1) one,
    generate_series(1, 12000) n,
    jsonb_populate_record(NULL::biometrics_hrvalert,
        to_jsonb(one) || jsonb_build_object('id', gen_random_uuid(),
            'night', date '1980-01-01' + n, 'updated_at', now() - n * interval '1 day')) old
"""


def test_every_query_on_the_way_uses_an_index(migrated_postgres: str) -> None:
    history.store(
        migrated_postgres, deliveries=20_000, messages=20_000, people=400, readings=0
    )
    _execute(migrated_postgres, _OLD_ALERTS, "ANALYZE")
    done = step(migrated_postgres, count=100, seed=1, server=os.getpid())
    assert done.messages >= 100
    assert done.left == 0
    places = {plan.place for plan in done.plans}
    assert places == {"intake", "steps 5 to 7", "step 8", "sweep", "ledger"}
    assert [(plan.query, plan.walked) for plan in done.walking] == []

    # And it would be seen: the same without an index.
    _execute(migrated_postgres, "DROP INDEX delivery_due")
    done = step(migrated_postgres, count=20, seed=11, server=os.getpid())
    walked = {name for plan in done.walking for name in plan.walked}
    assert walked == {"biometrics_webhookdelivery"}


def _execute(url: str, *statements: str) -> None:
    session = psycopg2.connect(**parameters_of(url))
    session.autocommit = True
    with session.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    session.close()

"""A body of tens of megabytes: bounded memory, several records, each under the limit."""

from __future__ import annotations

import pytest
from django.conf import settings

from tests.bench.bench_bodies import BODIES, MIB, measure


@pytest.mark.postgres
@pytest.mark.parametrize("name", sorted(BODIES))
def test_it_takes_less_than_ten_times_its_size(
    name: str, migrated_postgres: str
) -> None:
    cost = measure(name, size=50 * MIB, url=migrated_postgres)
    assert cost.status == "processed"
    assert cost.size > 45 * MIB
    # Intake holds the body and little else.
    assert cost.taken_in < 3 * cost.size
    assert cost.factor < 10
    assert cost.messages > 1
    assert 0 < cost.largest <= settings.KAFKA_MAX_EVENT_BYTES

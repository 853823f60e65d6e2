"""Both stores hold the contract."""

from __future__ import annotations

import pytest

from tests.resilience.clockwork import StoreHarness, memory_harness, redis_harness
from tests.resilience.contract import BreakerContract


class TestMemoryStore(BreakerContract):
    @pytest.fixture
    def harness(self) -> StoreHarness:
        return memory_harness()


@pytest.mark.redis
class TestRedisStore(BreakerContract):
    @pytest.fixture
    def harness(self, redis_url: str) -> StoreHarness:
        return redis_harness(redis_url)

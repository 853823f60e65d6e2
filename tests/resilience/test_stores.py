"""Both stores hold the contract."""

from __future__ import annotations

import pytest

from tests.resilience.clockwork import StoreHarness, memory_harness, redis_harness
from tests.resilience.contract import ClosedAndOpenContract
from tests.resilience.contract_further import FurtherContract
from tests.resilience.contract_recovery import RecoveryContract


class BreakerContract(ClosedAndOpenContract, RecoveryContract, FurtherContract):
    """What a breaker does over any store."""


class TestMemoryStore(BreakerContract):
    @pytest.fixture
    def harness(self) -> StoreHarness:
        return memory_harness()


@pytest.mark.redis
class TestRedisStore(BreakerContract):
    @pytest.fixture
    def harness(self, redis_url: str) -> StoreHarness:
        return redis_harness(redis_url)

"""What a production bridge stands on, on loopback: three brokers, and a real Redis."""

from __future__ import annotations

import shutil
from pathlib import Path

from auren.devstack.kafka import EmbeddedKafka, new_cluster_id
from auren.devstack.services import HOST, free_port
from auren.devstack.valkey import EmbeddedValkey

_BROKERS = 3
_REPLICATED = {
    "default.replication.factor": 3,
    "min.insync.replicas": 2,
    "offsets.topic.replication.factor": 3,
    "transaction.state.log.replication.factor": 3,
    "transaction.state.log.min.isr": 2,
}


class Broker(EmbeddedKafka):
    """One of three that are controllers too."""

    start_timeout_s = 180.0

    def __init__(
        self, *, data_dir: Path, number: int, controllers: list[int], cluster_id: str
    ) -> None:
        super().__init__(data_dir=data_dir, port=free_port())
        self._number, self._controllers = number, controllers
        self._cluster_id = cluster_id

    def _settings(self) -> dict[str, object]:
        client = f"PLAINTEXT://{self.bootstrap_servers}"
        own = self._controllers[self._number - 1]
        voters = [f"{n}@{HOST}:{p}" for n, p in enumerate(self._controllers, 1)]
        return {
            **super()._settings(),
            **_REPLICATED,
            "node.id": self._number,
            "controller.quorum.voters": ",".join(voters),
            "listeners": f"{client},CONTROLLER://{HOST}:{own}",
        }


class Cluster:
    """Three brokers that keep three copies and ask two to agree."""

    def __init__(self, home: Path) -> None:
        cluster_id = new_cluster_id()
        controllers = [free_port() for _ in range(_BROKERS)]
        self.brokers = [
            Broker(
                data_dir=home / f"broker-{number}",
                number=number,
                controllers=controllers,
                cluster_id=cluster_id,
            )
            for number in range(1, _BROKERS + 1)
        ]

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(broker.bootstrap_servers for broker in self.brokers)

    def start(self) -> None:
        # None is ready before another one has come.
        for broker in self.brokers:
            broker.launch()
        for broker in self.brokers:
            broker.wait_until_ready()

    def kill9(self) -> None:
        for broker in self.brokers:
            broker.kill9()


class Redis(EmbeddedValkey):
    """The system's own server: doctor refuses the development stack's."""

    name = "redis"

    def _argv(self) -> list[str | Path]:
        return [self.binary(), *super()._argv()[1:]]

    @staticmethod
    def binary() -> str:
        found = shutil.which("redis-server")
        assert found, "redis-server is not installed"
        return found

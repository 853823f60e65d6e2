"""Kafka's jars: what the lock names or nothing, one clear sentence without network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import jgo.maven
import pytest

from auren.devstack import kafka_jars
from auren.devstack.process import ServiceError


class Network:
    """Answers for the resolver: each jar holds ``content`` or is out of reach."""

    def __init__(self, *, answer: Callable[[Path], object]) -> None:
        self.answer = answer
        self.fetched: list[str] = []

    def __call__(self, *, repo_cache: Path) -> Network:
        self._cache = repo_cache
        return self

    def project(self, _group: str, artifact: str) -> Network:
        self._artifact = artifact
        return self

    def at_version(self, version: str) -> Network:
        self._version = version
        return self

    def artifact(self) -> Network:
        return self

    def resolve(self) -> Path:
        path = self._cache / f"{self._artifact}-{self._version}.jar"
        path.parent.mkdir(parents=True, exist_ok=True)
        self.answer(path)
        self.fetched.append(path.name)
        return path


JAR = b"the jar"


@pytest.fixture(autouse=True)
def two_locked_jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUREN_CACHE_DIR", str(tmp_path / "cache"))
    lock = tmp_path / "kafka.lock.toml"
    entry = (
        "[[dependencies]]\ngroupId = 'g'\nartifactId = '{}'\nversion = '1'\n"
        f"sha256 = '{hashlib.sha256(JAR).hexdigest()}'\n"
    )
    lock.write_text(entry.format("first") + entry.format("second"))
    monkeypatch.setattr(kafka_jars, "LOCK_FILE", lock)


def use(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jgo.maven, "MavenContext", network)


def test_they_are_fetched_once_in_the_order_of_the_lock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = Network(answer=lambda path: path.write_bytes(JAR))
    use(network, monkeypatch)
    assert not kafka_jars.are_here()
    jars = kafka_jars.class_path()

    assert kafka_jars.are_here()
    assert [jar.name for jar in jars] == ["first-1.jar", "second-1.jar"]
    assert all(jar.read_bytes() == JAR for jar in jars)
    assert kafka_jars.class_path() == jars
    assert network.fetched == ["first-1.jar", "second-1.jar"]


def test_without_network_the_error_is_one_sentence_and_the_next_try_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(path: Path) -> None:
        if path.name.startswith("second"):
            raise ConnectionError
        path.write_bytes(JAR)

    use(Network(answer=away), monkeypatch)
    with pytest.raises(ServiceError, match="first start needs network") as caught:
        kafka_jars.class_path()
    assert "\n" not in str(caught.value)
    assert not kafka_jars.are_here()

    use(Network(answer=lambda path: path.write_bytes(JAR)), monkeypatch)
    assert len(kafka_jars.class_path()) == 2


def test_a_jar_that_is_not_the_locked_one_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(Network(answer=lambda path: path.write_bytes(b"other")), monkeypatch)
    with pytest.raises(ServiceError, match=r"first-1\.jar is not the file"):
        kafka_jars.class_path()
    assert not kafka_jars.are_here()

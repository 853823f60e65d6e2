"""Apache Kafka's jars, exactly as the lock file names them, fetched once.

``python -m auren.devstack.kafka_jars`` resolves the version below anew and writes
the lock file (``make lock`` does).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from auren.devstack.process import ServiceError, UnavailableError

# Kafka brings slf4j's interface and log4j, but not what joins the two: without it
# the broker would be silent. The version is that of the log4j it brings; "!" keeps
# the versions that log4j itself was built against out of the resolution.
ENDPOINT = (
    "org.apache.kafka:kafka_2.13:4.4.0"
    "+org.apache.logging.log4j:log4j-slf4j-impl:2.25.5!"
)
LOCK_FILE = Path(__file__).with_name("kafka.lock.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedJar:
    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def class_path() -> list[Path]:
    """Return the jars in class path order, fetching them when this is the first time.

    They are kept under AUREN_CACHE_DIR (``~/.cache/auren`` when it is not set), so
    they are shared by all clones of one user. Raises UnavailableError with one
    sentence when they can be had neither from there nor from the network.
    """
    jars = locked_jars()
    home = _home()
    if not home.is_dir():
        with _only_one(home.with_suffix(".lock")):
            if not home.is_dir():
                _fetch(jars, home=home)
    return [home / jar.filename for jar in jars]


def are_here() -> bool:
    """Whether the jars have been fetched already."""
    return _home().is_dir()


def locked_jars() -> list[LockedJar]:
    """Read the lock file."""
    locked = tomllib.loads(LOCK_FILE.read_text())["dependencies"]
    return [
        LockedJar(
            group=entry["groupId"],
            artifact=entry["artifactId"],
            version=entry["version"],
            sha256=entry["sha256"],
        )
        for entry in locked
    ]


def cache_dir() -> Path:
    """Name the folder for what is fetched once per user."""
    own = os.environ.get("AUREN_CACHE_DIR")
    if own:
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "auren"


def write_lock() -> None:
    """Resolve ENDPOINT with all it depends on and write the lock file."""
    # Imported where used: start-up should not pay for a resolver that it rarely needs.
    import jgo  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as scratch:
        os.environ["M2_REPO"] = scratch
        environment = jgo.build(ENDPOINT, cache_dir=Path(scratch) / "jgo")
        shutil.copyfile(environment.lock_path, LOCK_FILE)


def _fetch(jars: list[LockedJar], *, home: Path) -> None:
    from jgo.maven import MavenContext  # noqa: PLC0415

    # Into a folder of its own and renamed when complete: an interrupted fetch must
    # not look like a finished one.
    with tempfile.TemporaryDirectory(dir=home.parent, prefix="fetching-") as scratch:
        context = MavenContext(repo_cache=Path(scratch) / "repository")
        complete = Path(scratch) / "jars"
        complete.mkdir()
        for jar in jars:
            project = context.project(jar.group, jar.artifact)
            try:
                fetched = project.at_version(jar.version).artifact().resolve()
            # The resolver speaks of a network that is away as OSError, of an answer
            # that is no jar as RuntimeError.
            except (OSError, RuntimeError) as error:
                msg = (
                    f"Kafka could not be fetched ({jar.filename}: "
                    f"{type(error).__name__}); the first start "
                    "needs network access to Maven Central, or set "
                    "KAFKA_BOOTSTRAP_SERVERS to a broker of your own."
                )
                raise UnavailableError(msg) from error
            _check(fetched, jar=jar)
            fetched.rename(complete / jar.filename)
        complete.rename(home)


def _check(path: Path, *, jar: LockedJar) -> None:
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if digest != jar.sha256:
        msg = f"{jar.filename} is not the file that {LOCK_FILE.name} names (sha256)."
        raise ServiceError(msg)


def _home() -> Path:
    fingerprint = hashlib.sha256(LOCK_FILE.read_bytes()).hexdigest()[:12]
    return cache_dir() / f"kafka-{fingerprint}"


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    write_lock()

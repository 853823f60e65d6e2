"""The drill of docs/deploy.md: python -m tests.drills.production (make drill).

A fresh clone becomes a production bridge on loopback, with PostgreSQL, Redis, three
brokers and nginx of its own; `doctor` must be all ✓; web is restarted in both ways under
wrk without a failed request; a backup that is older than the topics comes back, and
nothing is published twice. Takes about five minutes, ends after 20 whatever happens, and
leaves nothing. Needs Debian's postgresql, redis-server, nginx-light, wrk and openssl.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
import django

# Records that are read are held to the contract, whose code wants its models.
django.setup()

import psycopg2  # noqa: E402
from kafka.consumer.fetcher import ConsumerRecord  # noqa: E402

from tests.drills.installation import Installation  # noqa: E402
from tests.drills.load import under_load  # noqa: E402
from tests.drills.services import Cluster, Redis  # noqa: E402
from tests.e2e.bodies import terra_sleep  # noqa: E402
from tests.e2e.stack import SECRETS, headers_of  # noqa: E402
from tests.nginx import NAME, Proxy  # noqa: E402

_LIMIT_S = 1200
_TOPICS = ("terra-biometric-events", "biometric-alerts")
_NEEDED = ("redis-server", "wrk", "openssl", "nginx")
_UNPUBLISHED = (
    "SELECT (SELECT count(*) FROM biometrics_webhookdelivery"
    " WHERE status IN ('pending', 'retrying'))"
    " + (SELECT count(*) FROM biometrics_outboxmessage"
    " WHERE status IN ('pending', 'in_batch')"
    " AND shard NOT IN (SELECT shard FROM biometrics_shardlease WHERE alarm <> ''))"
)
_begun = time.monotonic()


def say(text: str) -> None:
    sys.stdout.write(f"{time.monotonic() - _begun:6.0f} s  {text}\n")
    sys.stdout.flush()


class Drill(Installation):
    """The bridge, and what is done to it."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.valkey = Redis(data_dir=home / "redis")
        self.kafka = Cluster(home / "kafka")  # type: ignore[assignment]

    def start_services(self) -> None:
        self.postgres.start()
        self.valkey.start()
        self.kafka.start()
        self.tool("createdb", "auren")

    def set_up(self) -> None:
        """Follow "Order of a first start", and start the units."""
        self.manage("migrate")
        self.manage("kafka_topics")
        self.manage("collectstatic", "--noinput")
        self.examine()
        code, said = self.run(
            *("createsuperuser", "--noinput", "--username", "drill"),
            *("--email", "drill@example.org"),
            DJANGO_SUPERUSER_PASSWORD="drill-0123456789",
        )
        assert code == 0, said
        self.begin_all()

    def begin_all(self) -> None:
        for name in ("worker", "beat", "web-a", "web-b"):
            self.begin(name)

    def end_all(self) -> None:
        for name in ("web-a", "web-b", "worker", "beat"):
            self.end(name)

    def examine(self) -> None:
        said = self.manage("doctor")
        lines = [line for line in said.splitlines() if line]
        assert all(line.startswith("✓") for line in lines[:-1]), said
        assert re.fullmatch(r"All \d+ are well\.", lines[-1]), said
        say(f"doctor: {lines[-1]}")

    def probe(self) -> None:
        url = f"http://127.0.0.1:{self.port}"
        patience = ("--patience", "120")
        said = self.manage("doctor", "--roundtrip", "--url", url, *patience)
        say(said.splitlines()[-1])

    def tell_state(self) -> None:
        """Say how things stand, for whoever has to find out what went wrong."""
        for argv in (("doctor", "--only-wrong"), ("outbox", "status"), ("ledger",)):
            say(f"manage.py {' '.join(argv)}:\n{self.run(*argv)[1]}")
        for name, process in self.processes.items():
            say(f"{name}, {process.returncode}:\n{process.last_lines}")

    def restart_everything(self) -> None:
        """Reload and restart web hosts one after the other; restart worker and beat."""
        for name in ("web-a", "web-b"):
            finished = self.log_of(name).count("Finished server process")
            self.processes[name].send_signal(signal.SIGHUP)
            self.until(
                lambda n=name, f=finished: (  # type: ignore[misc]
                    self.log_of(n).count("Finished server process") == f + 2
                ),
                f"{name} has new processes",
                seconds=180,
            )
            say(f"{name}: reloaded")
        for name in ("web-a", "web-b", "worker", "beat"):
            self.end(name)
            self.begin(name)
            say(f"{name}: restarted")

    def all_is_published(self) -> None:
        published = "nothing waits any more"
        self.until(lambda: self.sql(_UNPUBLISHED) == [(0,)], published, seconds=240)

    def sql(self, query: str, *values: object) -> list[tuple[object, ...]]:
        url = self.postgres.url_of(database="auren")
        session = psycopg2.connect(url)
        try:
            with session, session.cursor() as cursor:
                cursor.execute(query, values)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            session.close()

    def ids(self, *, at_least: int) -> Counter[str]:
        """Read the topics to their end as a consumer does."""

        def enough(found: list[ConsumerRecord]) -> bool:
            return len(found) >= at_least

        found = self.records(*_TOPICS, enough=enough, seconds=120)
        return Counter(headers_of(record)["ce_id"] for record in found)

    def published(self) -> int:
        ((found,),) = self.sql(
            "SELECT count(*) FROM biometrics_outboxmessage WHERE status = 'published'"
            " AND topic IN %s",
            _TOPICS,
        )
        assert isinstance(found, int)
        return found

    def send_nights(self, *, ago: int) -> None:
        for number in range(12):
            body = terra_sleep(user_id=f"restored-{number}", ago=ago, rmssd=40 + number)
            assert self.deliver("terra", body).status == 200


def roll(drill: Drill, proxy: Proxy) -> None:
    """Restart all under load; no request may fail, nothing may be lost or doubled."""
    url = f"https://127.0.0.1:{proxy.port}"
    with under_load(drill.home, url=url, host=NAME, secret=SECRETS["terra"]) as wrk:
        time.sleep(3)
        drill.restart_everything()
        time.sleep(3)
        outcome = wrk.stop()
    say(f"wrk: {outcome.requests} requests, p99 {outcome.latency}")
    assert outcome.failed == [], outcome.failed
    assert outcome.requests > 500, "the load was none"
    drill.all_is_published()
    (verdict,) = drill.manage("ledger").splitlines()[-1:]
    say(f"ledger: {verdict}")
    count = drill.published()
    found = drill.ids(at_least=count)
    assert (len(found), found.total()) == (count, count), "lost or doubled"
    say(f"topics: {count} records, each once")


def restore(drill: Drill, folder: Path) -> None:
    """Follow "Back up" and "Restore" with a backup that is older than the topics."""
    dump = folder / "auren.dump"
    for name in ("worker", "beat"):
        drill.end(name)
    drill.send_nights(ago=20)
    backed_up = datetime.now(tz=UTC).isoformat()
    drill.tool("pg_dump", "--format=custom", f"--file={dump}", "auren")
    for name in ("worker", "beat"):
        drill.begin(name)
    drill.all_is_published()
    before = drill.ids(at_least=drill.published())
    drill.end_all()
    drill.tool("dropdb", "auren")
    drill.tool("createdb", "auren")
    drill.tool("pg_restore", "--no-owner", "--dbname=auren", str(dump))
    say("restored")
    drill.manage("migrate")
    drill.examine()
    drill.begin_all()
    alarms = "SELECT count(*) FROM biometrics_shardlease WHERE alarm <> ''"
    drill.until(lambda: drill.sql(alarms)[0][0], "a shard is stopped")
    # Sent again by those who sent it; the bridge knows it as the same.
    drill.send_nights(ago=20)
    drill.all_is_published()
    compared = drill.manage(
        *("outbox", "compare", "--since", backed_up),
        *("--apply", "--reason", "restore of the drill"),
    )
    steps = re.findall(r"--shard (\d+) --open-batch (\w+)", compared)
    assert steps, compared
    for shard, verdict in steps:
        drill.manage(
            *("outbox", "resume", "--shard", shard, "--open-batch", verdict),
            *("--reason", "restore of the drill"),
        )
    drill.all_is_published()
    assert drill.sql(alarms) == [(0,)]
    after = drill.ids(at_least=before.total())
    assert [ce_id for ce_id, times in after.items() if times > 1] == []
    assert before.keys() <= after.keys()
    say(f"{len(steps)} shards resumed; {after.total()} records, each once")


def main() -> int:
    """Return 0 when all went as the page says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--venv", type=Path, help="use this environment instead of installing one"
    )
    options = parser.parse_args()
    path = f"{os.environ['PATH']}:/usr/sbin"
    missing = [name for name in _NEEDED if not shutil.which(name, path=path)]
    if missing:
        say(f"Not installed: {', '.join(missing)}.")
        return 2
    signal.signal(signal.SIGALRM, _too_long)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.alarm(_LIMIT_S)
    home = Path(tempfile.mkdtemp(prefix="auren-drill-"))
    drill = Drill(home)
    proxy = None
    try:
        drill.install(reuse=options.venv)
        say("installed")
        drill.start_services()
        say("PostgreSQL, Redis and three brokers run")
        drill.set_up()
        drill.probe()
        nginx = shutil.which("nginx", path=path) or "nginx"
        proxy = Proxy(home, nginx=nginx, ports=list(drill.web_ports.values()))
        proxy.start()
        roll(drill, proxy)
        restore(drill, home)
        drill.probe()
        drill.examine()
    except AssertionError:
        drill.tell_state()
        raise
    finally:
        signal.alarm(0)
        if proxy is not None:
            proxy.stop()
        drill.stop()
        shutil.rmtree(home, ignore_errors=True)
    say("the drill went as docs/deploy.md says")
    return 0


def _too_long(*_args: object) -> None:
    message = f"The drill took more than {_LIMIT_S} s."
    raise TimeoutError(message)


if __name__ == "__main__":
    sys.exit(main())

"""A fresh clone, installed and run as docs/deploy.md says, without systemd."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from auren.devstack.postgres import binaries
from auren.devstack.process import ManagedProcess
from auren.devstack.services import free_port
from tests.e2e.stack import SECRETS, Stack
from tests.newcomers import unused_but
from tests.nginx import NAME

ROOT = Path(__file__).resolve().parents[2]
_INSTALL_S, _COMMAND_S = 600, 180
_TOKEN_KEY = "Zm9yLXRlc3RzLW9ubHktMDEyMzQ1Njc4OS0wMTIzNDU="


@dataclass(frozen=True, slots=True)
class Unit:
    """What a unit file of the page says."""

    command: list[str]
    environment: dict[str, str]
    folders: list[str]


def units() -> dict[str, Unit]:
    """Read the unit files out of docs/deploy.md."""
    page = (ROOT / "docs" / "deploy.md").read_text()
    blocks = re.findall(
        r"`/etc/systemd/system/auren-(\w+)\.service`.*?```ini\n(.*?)```",
        page,
        re.DOTALL,
    )
    assert [name for name, _ in blocks] == ["web", "worker", "beat"]
    return {name: _unit(text) for name, text in blocks}


def _unit(text: str) -> Unit:
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        found.setdefault(name, []).append(value)
    (command,) = found["ExecStart"]
    return Unit(
        command=shlex.split(command),
        environment=dict(line.split("=", 1) for line in found.get("Environment", [])),
        folders=found.get("RuntimeDirectory", []),
    )


class Installation(Stack):
    """The bridge in production mode; `services` are those of tests/drills/services."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.code = home / "opt"
        self.web_ports = {"web-a": free_port(), "web-b": free_port()}
        self.port = self.web_ports["web-a"]
        self.metrics_port = free_port()
        self._units = units()

    @property
    def environment(self) -> dict[str, str]:
        """Read /etc/auren/env: the example with its gaps filled."""
        text = (self.code / ".env.example").read_text()
        example = dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", text, re.MULTILINE))
        return {
            "PATH": f"{self.code}/.venv/bin:/usr/bin:/bin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            **example,
            "SECRET_KEY": "drill-0123456789-abcdefghijklmnopqrstuvwxyz-0123456789",
            "AUREN_TOKEN_KEYS": _TOKEN_KEY,
            "AUREN_OURA_CLIENT_ID": "drill",
            "AUREN_OURA_CLIENT_SECRET": SECRETS["oura"],
            "AUREN_WHOOP_CLIENT_ID": "drill",
            "AUREN_WHOOP_CLIENT_SECRET": SECRETS["whoop"],
            "AUREN_WEBHOOK_SECRET_TERRA": SECRETS["terra"],
            "AUREN_UNUSED_VENDORS": unused_but(SECRETS),
            "PUBLIC_URL": f"https://{NAME}",
            "ALLOWED_HOSTS": self.allowed_hosts(),
            "CSRF_TRUSTED_ORIGINS": f"https://{NAME}",
            "DATABASE_URL": self.postgres.url_of(database="auren"),
            "REDIS_URL": self.valkey.url,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "KAFKA_REPLICATION_FACTOR": "3",
            "SHARDS": "4",
            "STATIC_ROOT": str(self.code / "staticfiles"),
            # The page's own number may be taken on the machine of the drill.
            "WORKER_METRICS_PORT": str(self.metrics_port),
        }

    @staticmethod
    def allowed_hosts() -> str:
        """Return what docs/deploy.md says of ALLOWED_HOSTS."""
        page = (ROOT / "docs" / "deploy.md").read_text()
        (hosts,) = re.findall(r"`ALLOWED_HOSTS=([^`]+)`", page)
        return str(hosts)

    def install(self, *, reuse: Path | None = None) -> None:
        """Clone what is committed here, and install what production needs, no more."""
        self._call("git", "clone", "--quiet", str(ROOT), str(self.code))
        if reuse is not None:
            (self.code / ".venv").symlink_to(reuse.resolve())
            return
        self._call(sys.executable, "-m", "venv", str(self.code / ".venv"))
        pip = self.code / ".venv" / "bin" / "pip"
        quiet = ("--quiet", "--disable-pip-version-check")
        wanted = str(self.code / "requirements.txt")
        self._call(str(pip), "install", *quiet, "-r", wanted)

    @staticmethod
    def _call(*argv: str) -> None:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=_INSTALL_S, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, *argv: str, **extra: str) -> tuple[int, str]:
        """Run one management command of the clone."""
        done = subprocess.run(
            [self.code / ".venv" / "bin" / "python", "manage.py", *argv],
            env={**self.environment, **extra},
            cwd=self.code,
            capture_output=True,
            text=True,
            timeout=_COMMAND_S,
            check=False,
        )
        # Its log goes to stderr, and matters only where it failed.
        told = done.stdout + (done.stderr if done.returncode else "")
        return done.returncode, told

    def begin(self, name: str) -> None:
        """Start a unit: web-a and web-b are web on two hosts, as it were."""
        unit = self._units[name.partition("-")[0]]
        runtime = self.home / "run" / name
        moved = {
            "/opt/auren": str(self.code),
            **{f"/run/{folder}": str(runtime) for folder in unit.folders},
            "8889": str(self.web_ports.get(name, 0)),
        }

        def here(text: str) -> str:
            for there, own in moved.items():
                text = text.replace(there, own)
            return text

        # As RuntimeDirectory does: empty at each start.
        self._call("rm", "-rf", str(runtime))
        runtime.mkdir(parents=True)
        # As EnvironmentFile does: it wins over what the unit says.
        environment = {k: here(v) for k, v in unit.environment.items()}
        environment |= self.environment
        command = [
            re.sub(r"\$\{(\w+)\}", lambda found: environment[found[1]], here(word))
            for word in unit.command
        ]
        log = self.home / f"{name}.log"

        def keep(line: str) -> None:
            with log.open("a") as file:
                file.write(f"{line}\n")

        self.processes[name] = ManagedProcess(
            name=name,
            argv=command,
            env=environment,
            cwd=self.code,
            on_line=keep,
        )
        if name in self.web_ports:
            self.until(lambda: self.is_ready(name), f"{name} is ready", seconds=180)
        if name == "worker":
            self.until(self._tells_metrics, "the worker tells metrics", seconds=180)

    def end(self, name: str) -> None:
        """SIGTERM, and TimeoutStopSec of the unit file."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30), f"{name} does not end within 30 s"
        # Whoever runs as root may leave children of a group; ManagedProcess ends them.
        assert process.returncode == 0, (name, process.returncode, process.last_lines)

    def is_ready(self, name: str) -> bool:
        """Ask /ready, as a balancer on this host does."""
        process = self.processes[name]
        assert process.running, process.last_lines
        self.port = self.web_ports[name]
        try:
            answer = self.request("GET", "/ready", timeout=30)
        except OSError:
            return False
        assert answer.status != 400, "ALLOWED_HOSTS keeps this host out"
        return answer.status == 200

    def _tells_metrics(self) -> bool:
        """Ask the port that the page has Prometheus scrape."""
        process = self.processes["worker"]
        assert process.running, process.last_lines
        try:
            with urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics") as page:
                return b"biobridge_" in page.read()
        except OSError:
            return False

    def log_of(self, name: str) -> str:
        path = self.home / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def tool(self, name: str, *arguments: str) -> None:
        """Run one of PostgreSQL's own tools."""
        env = {**os.environ, "PGUSER": "auren", "PGHOST": "127.0.0.1"}
        env["PGPORT"] = str(self.postgres.port)
        argv = [str(binaries() / name), *arguments]
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=120, env=env, check=False
        )
        assert done.returncode == 0, done.stderr

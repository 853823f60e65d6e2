"""Prometheus with ops/prometheus/alerts.yml, in which minutes are seconds."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from auren.devstack.process import ManagedProcess
from auren.devstack.services import free_port

ROOT = Path(__file__).resolve().parents[2]
_CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - {{job_name: auren-web, static_configs: [{{targets: ["127.0.0.1:{web}"]}}]}}
  - {{job_name: auren-worker, static_configs: [{{targets: ["127.0.0.1:{worker}"]}}]}}
"""


class Prometheus:
    """Scrapes each second; a rule looks at the last 20 s and has to hold for 2 s."""

    def __init__(self, home: Path, *, web: int, worker: int) -> None:
        self._port = free_port()
        rules = (ROOT / "ops" / "prometheus" / "alerts.yml").read_text()
        rules = re.sub(r"for: \d+[mhd]", "for: 2s", rules)
        rules = re.sub(r"\[\d+[mhd]\]", "[20s]", rules)
        (home / "alerts.yml").write_text(rules)
        config = home / "prometheus.yml"
        config.write_text(
            _CONFIG.format(rules=home / "alerts.yml", web=web, worker=worker)
        )
        binary = shutil.which("prometheus")
        assert binary, "prometheus is not installed"
        self._process = ManagedProcess(
            name="prometheus",
            argv=[
                binary,
                f"--config.file={config}",
                f"--storage.tsdb.path={home / 'prometheus'}",
                f"--web.listen-address=127.0.0.1:{self._port}",
            ],
        )
        self._process.wait_for_line("ready to receive", timeout=60)

    def firing(self) -> dict[str, str]:
        """Return the summaries of the alerts that fire now, by name."""
        url = f"http://127.0.0.1:{self._port}/api/v1/alerts"
        with urlopen(url, timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["alerts"]
        return {
            alert["labels"]["alertname"]: alert["annotations"]["summary"]
            for alert in found
            if alert["state"] == "firing"
        }

    def wait(self, alert: str, *, fires: bool, seconds: float) -> float:
        """Return after how many seconds it fires, or is over."""
        begun = time.monotonic()
        while (alert in self.firing()) is not fires:
            waited = time.monotonic() - begun
            assert waited < seconds, f"{alert} {'never fired' if fires else 'stays'}"
            time.sleep(0.5)
        return time.monotonic() - begun

    def kill(self) -> None:
        self._process.kill9()

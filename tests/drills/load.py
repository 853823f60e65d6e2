"""wrk with genuine deliveries: each is signed before, and sent again and again."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from auren.devstack.process import ManagedProcess
from tests import signer
from tests.e2e.bodies import terra_sleep

_PEOPLE, _NIGHTS = 60, 10
_SCRIPT = """
local requests = {{
{requests}
}}
local n = 0
request = function()
  n = n % #requests + 1
  return wrk.format("POST", "/webhooks/terra", requests[n][1], requests[n][2])
end
-- Milliseconds: the machine has to start processes meanwhile.
delay = function() return 50 end
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    requests: int
    failed: list[str]
    latency: str


class Wrk:
    """Eight clients that keep their connections."""

    def __init__(self, home: Path, *, url: str, host: str, secret: str) -> None:
        script = home / "load.lua"
        script.write_text(_SCRIPT.format(requests=_requests(host, secret)))
        self.lines: list[str] = []
        self._process = ManagedProcess(
            name="wrk",
            argv=[
                *("wrk", "--connections", "8", "--threads", "1", "--latency"),
                *("--duration", "280s", "--timeout", "30s"),
                *("--script", script, url),
            ],
            on_line=self.lines.append,
        )

    def stop(self) -> Outcome:
        """End the load; return what wrk says of it."""
        self._process.send_signal(signal.SIGINT)
        assert self._process.wait(timeout=60), "wrk does not end"
        said = "\n".join(self.lines)
        counted = re.search(r"(\d+) requests in", said)
        assert counted, said
        failed = re.findall(r"^\s*(?:Socket errors|Non-2xx).*", said, re.MULTILINE)
        slow = re.search(r"99%\s+(\S+)", said)
        return Outcome(
            requests=int(counted[1]),
            failed=[line.strip() for line in failed],
            latency=slow[1] if slow else "",
        )

    def kill(self) -> None:
        self._process.kill9()


@contextmanager
def under_load(home: Path, *, url: str, host: str, secret: str) -> Iterator[Wrk]:
    wrk = Wrk(home, url=url, host=host, secret=secret)
    try:
        yield wrk
    finally:
        wrk.kill()


def _requests(host: str, secret: str) -> str:
    lines = []
    at = datetime.now(tz=UTC)
    for night in range(1, _NIGHTS + 1):
        for person in range(_PEOPLE):
            body = terra_sleep(user_id=f"drill-{person}", ago=night, rmssd=40 + person)
            proof = signer.headers("terra", secret=secret, body=body, at=at)
            named = {"Host": host, "Content-Type": "application/json", **proof}
            fields = ", ".join(f'["{n}"] = "{v}"' for n, v in named.items())
            lines.append(f"  {{ {{ {fields} }}, [==[{body.decode()}]==] }},")
    return "\n".join(lines)

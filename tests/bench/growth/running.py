"""One step of the growth benchmark as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.bench.growth.plans import Plan

ROOT = Path(__file__).resolve().parents[3]
_LONGEST_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Microseconds by step, of our processes and of the server; and the queries' plans."""

    own: dict[str, float]
    server: dict[str, float]
    messages: int
    left: int
    plans: list[Plan]

    @property
    def walking(self) -> list[Plan]:
        """The queries for which the server reads all of a big table."""
        return [plan for plan in self.plans if plan.walked]


def step(url: str, *, count: int, seed: int, server: int) -> Step:
    """Carry so many deliveries through a database; raises RuntimeError when it fails."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.bench.growth.step"),
            *map(str, (count, seed, server)),
        ],
        env={
            **os.environ,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    said = orjson.loads(done.stdout.splitlines()[-1])
    return Step(
        own={name: cost["own"] for name, cost in said["costs"].items()},
        server={name: cost["server"] for name, cost in said["costs"].items()},
        messages=said["messages"],
        left=said["left"],
        plans=[
            Plan(
                place=plan["place"],
                query=plan["query"],
                cost=plan["cost"],
                indexes=tuple(plan["indexes"]),
                walked=tuple(plan["walked"]),
            )
            for plan in said["plans"]
        ],
    )

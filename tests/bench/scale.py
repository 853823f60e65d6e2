"""What a number of people needs, from measured costs: python -m tests.bench.scale [--people N]

Prints the tables of docs/scaling.md. Every line is a product of the figures below; where
they were measured is beside them. Change one, run it again.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

# A wearable's day: nights, readiness, activity, workouts, and updates of each.
DELIVERIES_A_DAY = 12
# Of the day's deliveries in the busiest hour, over their mean: one region, in the morning.
PEAK = 4.0
# Processor time, seconds a delivery: bench_intake/intake_cost (web, PostgreSQL).
WEB_S, WEB_DATABASE_S = 0.00030, 0.00007
# pipeline_cost (steps 5 to 7), bench_growth (step 8).
STEPS_5_TO_7_S, STEPS_5_TO_7_DATABASE_S = 0.00209, 0.00088
STEP_8_S, STEP_8_DATABASE_S = 0.00055, 0.00030
# A core is planned to be this busy at the peak.
BUSY = 0.6
# Bytes in PostgreSQL with their indexes (bench_growth, nights with 17 readings: an upper
# bound); and of a record in Kafka, key and headers included, before compression.
DELIVERY_B, EVENT_B, READINGS_B, MESSAGE_B = 1_730, 1_980, 17 * 434, 4_050
RECORD_B = 2_300
RAW_DAYS, MESSAGE_DAYS, TOPIC_DAYS, COPIES = 30, 7, 7, 3
# WAL beside what is stored (full pages after checkpoints included).
WAL = 2.0
# One event a delivery has cost; what a PostgreSQL host of 16 cores writes day and night.
SUSTAINED_B_S = 60e6
DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What so many people need."""

    people: int

    @property
    def mean(self) -> float:
        """Deliveries a second."""
        return self.people * DELIVERIES_A_DAY / DAY_S

    @property
    def peak(self) -> float:
        """Deliveries a second in the busiest hour."""
        return self.mean * PEAK

    def cores(self, seconds: float) -> float:
        """Return the cores that are BUSY at the peak with so much a delivery."""
        return self.peak * seconds / BUSY

    @property
    def database_cores(self) -> float:
        """Cores of PostgreSQL."""
        return self.cores(WEB_DATABASE_S + STEPS_5_TO_7_DATABASE_S + STEP_8_DATABASE_S)

    @property
    def worker_cores(self) -> float:
        """Cores of worker processes."""
        return self.cores(STEPS_5_TO_7_S + STEP_8_S)

    @property
    def stored_b(self) -> float:
        """Bytes that stay when raw bodies and messages have had their time, a year."""
        forever = EVENT_B + READINGS_B
        daily = self.people * DELIVERIES_A_DAY
        return daily * (
            forever * 365 + DELIVERY_B * RAW_DAYS + MESSAGE_B * MESSAGE_DAYS
        )

    @property
    def written_b_s(self) -> float:
        """Bytes a second that PostgreSQL writes at the peak, WAL included."""
        each = DELIVERY_B + EVENT_B + READINGS_B + MESSAGE_B
        return self.peak * each * (1 + WAL)

    @property
    def clusters(self) -> int:
        """PostgreSQL clusters, each with a part of the people."""
        return max(1, round(self.written_b_s / SUSTAINED_B_S + 0.5))

    @property
    def kafka_b(self) -> float:
        """Bytes on all brokers."""
        return self.people * DELIVERIES_A_DAY * RECORD_B * TOPIC_DAYS * COPIES


def table(people: list[int]) -> str:
    """Return the table as Markdown."""
    needs = [Need(people=count) for count in people]
    rows = [
        ("deliveries a day", [f"{n.people * DELIVERIES_A_DAY:,}" for n in needs]),
        (
            "deliveries a second, mean and peak",
            [f"{n.mean:,.0f}, {n.peak:,.0f}" for n in needs],
        ),
        ("web cores", [f"{n.cores(WEB_S):,.1f}" for n in needs]),
        ("worker cores", [f"{n.worker_cores:,.1f}" for n in needs]),
        ("PostgreSQL cores", [f"{n.database_cores:,.1f}" for n in needs]),
        (
            "PostgreSQL writes at the peak, MB/s",
            [f"{n.written_b_s / 1e6:,.1f}" for n in needs],
        ),
        ("PostgreSQL clusters", [str(n.clusters) for n in needs]),
        ("PostgreSQL after a year, GB", [f"{n.stored_b / 1e9:,.0f}" for n in needs]),
        ("Kafka with three copies, GB", [f"{n.kafka_b / 1e9:,.0f}" for n in needs]),
    ]
    head = " | ".join(f"{count:,} people" for count in people)
    lines = [f"| | {head} |", f"|---{'|---' * len(people)}|"]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--people",
        type=int,
        nargs="+",
        default=[10_000, 100_000, 1_000_000, 10_000_000],
    )
    sys.stdout.write(f"{table(parser.parse_args().people)}\n")


if __name__ == "__main__":
    main()

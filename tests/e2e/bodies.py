"""Genuine-looking bodies of our own making, each about one made-up person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

# Numbers that nothing else looks like: tests/leaks.py looks for them in all output.
HEART, RESTING = 55.0713, 50.0927
LOW_HRV = 20.0817
USUAL_HRV = (60.0391, 61.0417, 62.0443, 63.0467, 64.0493)
DISTINCTIVE = (HEART, RESTING, LOW_HRV, *USUAL_HRV)


def terra_sleep(
    *, user_id: str, ago: int = 0, rmssd: float | None = None, **metadata: Any
) -> bytes:
    """Return a Terra sleep of the night that ended `ago` days before the last one."""
    # The last one ended at 06:40 UTC: before that it is yesterday's.
    latest = (datetime.now(tz=UTC) - timedelta(hours=6, minutes=41)).date()
    day = (latest - timedelta(days=ago)).isoformat()
    summary: dict[str, Any] = {"avg_hr_bpm": HEART, "resting_hr_bpm": RESTING}
    if rmssd is not None:
        summary["avg_hrv_rmssd"] = rmssd
    sleep = {
        "metadata": {
            "start_time": f"{day}T00:10:00.000000+01:00",
            "end_time": f"{day}T07:40:00.000000+01:00",
            "is_nap": False,
            "summary_id": f"night-{day}",
            "upload_type": 2,
            **metadata,
        },
        "heart_rate_data": {"summary": summary},
        "sleep_durations_data": {
            "asleep": {"duration_asleep_state_seconds": 25_200},
            "other": {"duration_in_bed_seconds": 27_000},
        },
    }
    return orjson.dumps(
        {
            "type": "sleep",
            "user": {"user_id": user_id, "provider": "GARMIN"},
            "data": [sleep],
        }
    )

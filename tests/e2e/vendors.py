"""The bridge with the fake vendors beside it, and what they are told to know."""

from __future__ import annotations

import http.client
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson

from tests.e2e.stack import Stack

APP = {"app_id": "e2e-app", "app_secret": "e2e-app-secret"}
PROFILES: dict[str, tuple[str, dict[str, Any]]] = {
    "oura": ("ring-1", {"personal_info": {"id": "ring-1"}}),
    "whoop": ("4711", {"profile": {"user_id": 4711}}),
}


class VendorStack(Stack):
    """A bridge that knows the fake vendors, which know it."""

    @property
    def environment(self) -> dict[str, str]:
        return {
            **super().environment,
            "PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "AUREN_TERRA_DEV_ID": "e2e-terra-dev",
            "AUREN_TERRA_API_KEY": "e2e-terra-key",
            "AUREN_HEALTHKIT_CLIENT_ID": APP["app_id"],
            "AUREN_HEALTHKIT_CLIENT_SECRET": APP["app_secret"],
        }

    def start(self) -> None:
        super().start()
        bridge = f"http://127.0.0.1:{self.port}"
        argv = ["manage.py", "fake_vendors", "--port", str(self.vendors_port)]
        process = self._start("vendors", [*argv, "--bridge", bridge])
        process.wait_for_line(str(self.vendors_port), timeout=60)
        self.until(self._vendors_answer, "the fake vendors answer")
        for vendor, (account, profile) in PROFILES.items():
            self.control(
                "accounts", vendor=vendor, account=account, label="R", profile=profile
            )

    def _vendors_answer(self) -> bool:
        try:
            return bool(self.state())
        except OSError:
            return False

    def control(self, what: str, **said: Any) -> Any:
        """Tell the fake vendors something."""
        return self._ask("POST", f"/control/{what}", orjson.dumps(said))

    def state(self) -> Any:
        return self._ask("GET", "/control/state", None)["vendors"]

    def requests(self, vendor: str, *parts: str) -> int:
        """Return how many requests came in whose line holds all of these."""
        counts = Counter(self.state()[vendor]["requests"])
        return sum(n for line, n in counts.items() if all(p in line for p in parts))

    def leave_terra(self, account: str) -> None:
        """End an account at Terra, which tells the bridge so."""
        keys = {"dev-id": "e2e-terra-dev", "x-api-key": "e2e-terra-key"}
        path = f"/terra/v2/auth/deauthenticateUser?user_id={account}"
        self._ask("DELETE", path, None, **keys)

    def _ask(self, method: str, path: str, body: bytes | None, **more: str) -> Any:
        session = http.client.HTTPConnection("127.0.0.1", self.vendors_port, timeout=30)
        try:
            headers = {"content-type": "application/json", **more}
            session.request(method, path, body=body, headers=headers)
            answer = session.getresponse()
            text = answer.read()
            assert answer.status == 200, text
            return orjson.loads(text)
        finally:
            session.close()

    def knows(
        self, vendor: str, collection: str, key: str, body: dict[str, Any]
    ) -> str:
        """Have a vendor know a document of ours; return its id."""
        account = body.pop("account", PROFILES.get(vendor, ("",))[0])
        at = body.get("end") or body.get("day") or body["metadata"]["end_time"]
        document = {
            "vendor": vendor,
            "account": account,
            "collection": collection,
            "key": key,
            "at": at,
            "body": body,
        }
        self.control("documents", put=[document])
        return key


def day(ago: int) -> date:
    return datetime.now(tz=UTC).date() - timedelta(days=ago)


def ring_score(stack: VendorStack, ago: int, score: int = 80) -> str:
    """Have Oura know the sleep score of a day."""
    at = day(ago).isoformat()
    return stack.knows(
        "oura",
        "daily_sleep",
        f"score-{at}",
        {
            "id": f"score-{at}",
            "day": at,
            "score": score,
            "timestamp": f"{at}T00:00:00+00:00",
        },
    )


def ring_readiness(stack: VendorStack, ago: int) -> str:
    """Have Oura know how ready somebody was on a day."""
    at = day(ago).isoformat()
    body = {
        "id": f"ready-{at}",
        "day": at,
        "score": 70,
        "timestamp": f"{at}T00:00:00+00:00",
    }
    return stack.knows("oura", "daily_readiness", f"ready-{at}", body)


def band_sleep(stack: VendorStack, ago: int) -> str:
    """Have WHOOP know the sleep that ended on a day."""
    at, key = day(ago).isoformat(), str(uuid4())
    end = f"{at}T00:10:00.000Z"
    return stack.knows(
        "whoop",
        "sleep",
        key,
        {
            "id": key,
            "cycle_id": ago + 1,
            "user_id": 4711,
            "created_at": end,
            "updated_at": end,
            "start": f"{day(ago + 1).isoformat()}T16:00:00.000Z",
            "end": end,
            "timezone_offset": "+00:00",
            "nap": False,
            "score_state": "SCORED",
            "score": {"respiratory_rate": 15.0},
        },
    )


def watch_sleep(account: str, ago: int) -> dict[str, Any]:
    """Return the sleep that ended on a day, as Terra tells it."""
    at = day(ago).isoformat()
    return {
        "metadata": {
            "summary_id": f"watch-{at}",
            "start_time": f"{day(ago + 1).isoformat()}T16:00:00.000000+00:00",
            "end_time": f"{at}T00:10:00.000000+00:00",
            "upload_type": 2,
            "is_nap": False,
        },
        "heart_rate_data": {"summary": {"avg_hrv_rmssd": 50.0, "resting_hr_bpm": 50}},
        "sleep_durations_data": {"asleep": {"duration_asleep_state_seconds": 25_000}},
    }


def notice(vendor: str, key: str, *, event: str = "create") -> bytes:
    """Return what a vendor's webhook says of a document."""
    if vendor == "oura":
        said: dict[str, Any] = {
            "event_type": event,
            "data_type": "daily_sleep",
            "object_id": key,
            "event_time": datetime.now(tz=UTC).isoformat(),
            "user_id": "ring-1",
        }
    else:
        said = {
            "user_id": 4711,
            "id": key,
            "type": "sleep.updated",
            "trace_id": str(uuid4()),
        }
    return orjson.dumps(said)

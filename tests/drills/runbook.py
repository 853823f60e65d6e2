"""Each entry of docs/runbook.md, tried: python -m tests.drills.runbook [alert ...]

The bridge in real processes, the fault caused, Prometheus asked whether the alert fires,
the entry's first look taken, the fault mended, and asked whether it is over. Minutes are
seconds in the rules. Needs Debian's postgresql and prometheus; ends after 25 minutes.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
import django

django.setup()

from tests.drills.faults import FAULTS, Bridge, Fault  # noqa: E402
from tests.drills.prometheus import Prometheus  # noqa: E402

_LIMIT_S = 1500
_PATIENCE_S = 120


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def attempt(fault: Fault, bridge: Bridge, prometheus: Prometheus) -> bool:
    """Cause and mend one fault; say what was seen. False when it was not as written."""
    begun = time.monotonic()
    try:
        fault.cause(bridge)
        prometheus.wait(fault.alert, fires=True, seconds=_PATIENCE_S)
        fired = time.monotonic() - begun
        firing = prometheus.firing()
        seen = fault.look(bridge)
        mended = time.monotonic()
        fault.mend(bridge)
        prometheus.wait(fault.alert, fires=False, seconds=_PATIENCE_S)
    except AssertionError as error:
        say(f"✗ {fault.alert}: {error}; firing: {', '.join(prometheus.firing())}")
        fault.mend(bridge)
        return False
    beside = ", ".join(sorted(firing.keys() - {fault.alert})) or "nothing"
    say(
        f"✓ {fault.alert}: fired after {fired:.0f} s ({firing.get(fault.alert, '')}); "
        f"beside it {beside}; {seen}; over {time.monotonic() - mended:.0f} s after"
    )
    return True


def main() -> int:
    """Return 0 when every entry that was asked for went as written."""
    asked = set(sys.argv[1:])
    signal.signal(signal.SIGALRM, _too_long)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.alarm(_LIMIT_S)
    home = Path(tempfile.mkdtemp(prefix="auren-runbook-"))
    home.chmod(0o711)
    bridge, prometheus = Bridge(home / "bridge"), None
    try:
        bridge.start()
        bridge.begin_traffic()
        prometheus = Prometheus(home, web=bridge.port, worker=bridge.metrics_port)
        tried = [fault for fault in FAULTS if not asked or fault.alert in asked]
        went = [attempt(fault, bridge, prometheus) for fault in tried]
    finally:
        signal.alarm(0)
        bridge.end_traffic()
        if prometheus is not None:
            prometheus.kill()
        bridge.stop()
        shutil.rmtree(home, ignore_errors=True)
    return 0 if all(went) else 1


def _too_long(*_args: object) -> None:
    message = f"The drill took more than {_LIMIT_S} s."
    raise TimeoutError(message)


if __name__ == "__main__":
    sys.exit(main())

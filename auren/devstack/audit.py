"""Known vulnerabilities of what is installed: ``make audit``, a report and no gate.

pip-audit says *No known vulnerabilities found* also where it could ask nobody; this says
how many packages were looked up, and which were not.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

_ASK = (
    *(sys.executable, "-m", "pip_audit", "--format", "json", "--no-deps"),
    *("--disable-pip", "--progress-spinner", "off", "--timeout", "15"),
)
_PATIENCE_S = 600


def report(answer: str) -> Iterator[str]:
    """Yield the lines that tell what pip-audit's JSON says; of no JSON, that it is none."""
    try:
        packages: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    except (ValueError, KeyError, TypeError):
        yield "Nothing was examined: the advisories could not be reached."
        return
    skipped = [one for one in packages if "skip_reason" in one]
    for package in packages:
        for found in package.get("vulns", ()):
            mended = ", ".join(found.get("fix_versions", ())) or "no version yet"
            names = ", ".join([found["id"], *found.get("aliases", ())])
            yield f"{package['name']} {package['version']}: {names}; mended in {mended}."
    examined = len(packages) - len(skipped)
    concerned = sum(1 for package in packages if package.get("vulns"))
    if not examined:
        yield f"Nothing was examined: no advisories for any of {len(packages)} packages."
        return
    yield f"{examined} packages were examined, {concerned} have known vulnerabilities."
    if skipped:
        yield f"Not examined: {', '.join(one['name'] for one in skipped)}."


def main(files: Sequence[str]) -> None:
    """Ask pip-audit about the packages of requirements files and print the report."""
    named = [word for file in files for word in ("--requirement", file)]
    try:
        done = subprocess.run(
            [*_ASK, *named],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        print("Nothing was examined: the advisories did not answer in time.")
        return
    print("\n".join(report(done.stdout)))


if __name__ == "__main__":
    main(sys.argv[1:])

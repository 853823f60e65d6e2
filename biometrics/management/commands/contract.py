"""The contract with consumers: ``manage.py contract [--check | --release]``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import unified_diff
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from biometrics.alerts.wording import LIMITS_OF_USE
from biometrics.publishing import contract
from biometrics.publishing.compatibility import Break, breaks, version_of
from biometrics.vendors.registry import all_adapters

FOLDER = Path(settings.BASE_DIR) / "docs" / "contract"
# Below FOLDER: what consumers were given last.
RELEASED = "released"
_DIFF_LINES = 30


class Command(BaseCommand):
    # Describes code alone; no server has to be configured for that.
    requires_system_checks = ()
    help = (
        "Write JSON Schemas and the AsyncAPI document from code into docs/contract, "
        "and hold them against what was released last."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        group = parser.add_mutually_exclusive_group()
        group.add_argument(
            "--check",
            action="store_true",
            help="compare with the files and with the released contract, write nothing",
        )
        group.add_argument(
            "--release",
            action="store_true",
            help="make the present contract the one that changes are held against",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write the files, or fail where they differ or break consumers."""
        files = contract.files(
            event_topics=sorted({adapter.topic for adapter in all_adapters()}),
            alert_topic=settings.KAFKA_ALERT_TOPIC,
            limits_of_use=LIMITS_OF_USE,
        )
        if options["check"]:
            self._check(files)
        elif options["release"]:
            self._release(files)
        else:
            _write(FOLDER, files)
            self.stdout.write(f"{len(files)} files in {FOLDER}.")

    def _check(self, files: Mapping[str, str]) -> None:
        _compare(files)
        self.stdout.write(f"{len(files)} files are as the code says.")
        released = _read(FOLDER / RELEASED)
        if not released:
            message = "Nothing was released yet: run manage.py contract --release."
            raise CommandError(message)
        for broken in _allowed_breaks(released, files):
            self.stdout.write(f"Breaks consumers, as the version says: {broken}")
        self.stdout.write(
            f"Consumers of {_version(released)} can read {contract.VERSION}."
            if version_of(_parsed(released))[0] == version_of(_parsed(files))[0]
            else f"{contract.VERSION} replaces {_version(released)}."
        )

    def _release(self, files: Mapping[str, str]) -> None:
        _compare(files)
        released = _read(FOLDER / RELEASED)
        if released == files:
            self.stdout.write(f"{contract.VERSION} is what was released.")
            return
        if released:
            _allowed_breaks(released, files)
            if version_of(_parsed(files)) <= version_of(_parsed(released)):
                message = (
                    f"The contract differs from the released {_version(released)}: "
                    "raise VERSION in biometrics/publishing/contract.py."
                )
                raise CommandError(message)
        _write(FOLDER / RELEASED, files)
        self.stdout.write(f"Released {contract.VERSION} in {FOLDER / RELEASED}.")


def _compare(files: Mapping[str, str]) -> None:
    stored = _read(FOLDER)
    stale = sorted(
        name for name in {**stored, **files} if stored.get(name) != files.get(name)
    )
    if not stale:
        return
    shown = islice(
        unified_diff(
            stored.get(stale[0], "").splitlines(),
            files.get(stale[0], "").splitlines(),
            f"docs/contract/{stale[0]}",
            "as the code says",
            lineterm="",
            n=1,
        ),
        _DIFF_LINES,
    )
    message = (
        f"docs/contract differs from the code ({', '.join(stale)}): run manage.py "
        "contract, read the difference and commit it.\n" + "\n".join(shown)
    )
    raise CommandError(message)


def _allowed_breaks(
    released: Mapping[str, str], files: Mapping[str, str]
) -> list[Break]:
    """Return what breaks consumers; CommandError unless VERSION says that it does."""
    before, after = _parsed(released), _parsed(files)
    found = breaks(released=before, present=after)
    if found and version_of(after)[0] <= version_of(before)[0]:
        lines = "\n".join(f"  {broken}" for broken in found)
        message = (
            f"Consumers of the released contract {_version(released)} would break:\n"
            f"{lines}\ndocs/contract.md says what to do instead."
        )
        raise CommandError(message)
    return found


def _version(files: Mapping[str, str]) -> str:
    return ".".join(map(str, version_of(_parsed(files))))


def _parsed(files: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    return {name: json.loads(text) for name, text in files.items()}


def _read(folder: Path) -> dict[str, str]:
    """Return the documents that lie in a folder, by name."""
    return {path.name: path.read_text("utf-8") for path in folder.glob("*.json")}


def _write(folder: Path, files: Mapping[str, str]) -> None:
    """Make the folder hold these documents and no others."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _read(folder).keys() - files.keys():
        (folder / name).unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")

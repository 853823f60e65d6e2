"""Every command of the bridge, with its arguments, as its parser has them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

_OURS = ("auren", "biometrics", "resilience")
# What each command of Django's takes.
_COMMON = {
    action.dest
    for action in BaseCommand().create_parser("manage.py", "x")._actions  # noqa: SLF001 - argparse has no getter
}
_HEAD = """# Commands

Made by `manage.py reference` from the code. Run them as `manage.py NAME` with the settings of the bridge; each also takes
the options of every Django command (`--help` names them). They exit with 1 when something is wrong, and say what.
"""


def page() -> str:
    """Return docs/commands.md."""
    lines = [_HEAD]
    for name, app in sorted(get_commands().items()):
        if app in _OURS:
            command = load_command_class(app, name)
            lines += _described(name, command)
    return "\n".join(lines)


def _described(name: str, command: BaseCommand) -> Iterator[str]:
    parser = command.create_parser("manage.py", name)
    yield from (f"## {name}", "", _plain(command.help), "")
    yield from _arguments(parser)
    for verbs in _verbs(parser):
        told = {one.dest: one.help or "" for one in verbs._choices_actions}  # noqa: SLF001 - as above
        for verb, below in verbs.choices.items():
            yield from (f"### {name} {verb}", "", _plain(told.get(verb, "")), "")
            yield from _arguments(below)


def _verbs(
    parser: argparse.ArgumentParser,
) -> Iterator[argparse._SubParsersAction[argparse.ArgumentParser]]:
    for action in parser._actions:  # noqa: SLF001 - as above
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            yield action


def _arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    own = [
        action
        for action in parser._actions  # noqa: SLF001 - as above
        if action.dest not in _COMMON
        and not isinstance(action, argparse._SubParsersAction)  # noqa: SLF001 - as above
    ]
    if not own:
        return
    yield from ("| argument | |", "|---|---|")
    for action in own:
        yield f"| {_shown(action)} | {_said(action)} |"
    yield ""


def _shown(action: argparse.Action) -> str:
    value = ""
    if action.nargs != 0:
        choices = action.choices
        value = action.metavar if isinstance(action.metavar, str) else ""
        value = value or ("\\|".join(map(str, choices)) if choices else "")
        value = value or action.dest.upper()
    if not action.option_strings:
        return f"`{value}`"
    return f"`{' '.join(filter(None, [action.option_strings[-1], value]))}`"


def _said(action: argparse.Action) -> str:
    said = _plain((action.help or "") % vars(action)) if action.help else ""
    return f"{said}{' (required)' if action.required and action.option_strings else ''}"


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

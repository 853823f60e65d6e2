"""Checks of ruleset entries by their annotations; errors name the entry to correct."""

from __future__ import annotations

from dataclasses import dataclass, fields
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Literal,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class RulesetError(ValueError):
    """A ruleset that must not be used; `field` names the entry to correct, if one."""

    def __init__(self, *, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        place = f"ruleset field {field}" if field else "ruleset"
        super().__init__(f"{place}: {problem}")

    def under(self, parent: str) -> RulesetError:
        """Return the same error, seen from the object that holds the faulty one."""
        field = f"{parent}.{self.field}" if self.field else parent
        return RulesetError(field=field, problem=self.problem)


@dataclass(frozen=True, slots=True)
class Between:
    """Marks a number that must lie in a range."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Word:
    """Marks a name that travels comma-separated in a record header."""

    longest: int = 64


Code: TypeAlias = Annotated[str, Word()]


def check_fields(entry: DataclassInstance) -> None:
    """Refuse an entry with a field outside of what its annotation allows."""
    hints = get_type_hints(type(entry), include_extras=True)
    for item in fields(entry):
        _check(item.name, getattr(entry, item.name), hints[item.name])


def check_order(field: str, low: float, high: float) -> None:
    """Refuse `field`, whose value is `high`, where it is below `low`."""
    if high < low:
        problem = f"must be at least {low:g}, is {high:g}"
        raise RulesetError(field=field, problem=problem)


def _check(name: str, value: object, hint: object) -> None:
    if get_origin(hint) in {Union, UnionType}:
        if value is not None:
            _check(name, value, get_args(hint)[0])
    elif get_origin(hint) is Literal:
        if value not in get_args(hint):
            allowed = ", ".join(get_args(hint))
            problem = f"must be one of {allowed}, is {value!r}"
            raise RulesetError(field=name, problem=problem)
    elif get_origin(hint) is Annotated:
        kind, mark = get_args(hint)
        if isinstance(mark, Between):
            _check_number(name, value, mark, whole=kind is int)
        elif isinstance(mark, Word):
            _check_word(name, value, mark)


def _check_number(name: str, value: object, mark: Between, *, whole: bool) -> None:
    number = isinstance(value, int if whole else int | float)
    if isinstance(value, bool) or not number:
        problem = f"must be a {'whole ' if whole else ''}number, is {value!r}"
        raise RulesetError(field=name, problem=problem)
    assert isinstance(value, int | float)
    # Compared first: a whole number may be larger than any float. NaN is in no range.
    if not mark.low <= value <= mark.high:
        shown = repr(value) if isinstance(value, float) else _short(value)
        problem = f"must lie between {mark.low:g} and {mark.high:g}, is {shown}"
        raise RulesetError(field=name, problem=problem)


def _check_word(name: str, value: object, mark: Word) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= mark.longest:
        problem = f"must be a name of 1 to {mark.longest} characters, is {value!r}"
        raise RulesetError(field=name, problem=problem)
    if not (value.isascii() and value.isprintable()) or set(value) & {",", " "}:
        problem = f"must be plain ASCII without commas and blanks, is {value!r}"
        raise RulesetError(field=name, problem=problem)


def _short(value: int) -> str:
    return str(value) if abs(value) < 10**20 else "a number of more than 20 digits"

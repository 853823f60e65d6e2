"""Constraints that several tables share."""

from __future__ import annotations

from django.db.models import CheckConstraint, Q, TextChoices


def one_of(field: str, choices: type[TextChoices], *, name: str) -> CheckConstraint:
    """Return the constraint that a state column holds one of the declared states."""
    return CheckConstraint(
        condition=Q(**{f"{field}__in": choices.values}),
        name=name,
    )

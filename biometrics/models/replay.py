"""Reading stored deliveries again: what was chosen, what it found, how far it is."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from biometrics.models.checks import one_of


class ReplayState(models.TextChoices):
    """A plan is made first; only a confirmed one runs. Both go piece by piece."""

    PLANNING = "planning"
    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


class ReplayRun(models.Model):
    """One replay, from the choice to its end; holds counts and never a health value.

    Everything up to and including `cursor` has been handed to the workers; `in_hand` are
    the deliveries among it that are still with them.
    """

    selection = models.JSONField()
    state = models.CharField(
        max_length=10, choices=ReplayState.choices, default=ReplayState.PLANNING
    )
    actor = models.CharField(max_length=150)
    reason = models.CharField(max_length=500, blank=True)
    through_id = models.BigIntegerField(help_text="Newest delivery that is meant.")
    counted = models.JSONField(default=list)
    total = models.IntegerField()
    plan = models.JSONField(default=dict)
    planned = models.IntegerField(default=0)
    planned_to = models.BigIntegerField(default=0)
    # Beginnings without an end at this place, and whether there ever was one.
    begun = models.SmallIntegerField(default=0)
    is_careful = models.BooleanField(default=False)
    cursor = models.BigIntegerField(default=0)
    handed = models.IntegerField(default=0)
    handed_at = models.DateTimeField(null=True)
    in_hand = models.JSONField(default=list)
    events_before = models.IntegerField(default=0)
    outcomes = models.JSONField(default=dict)
    changed = models.IntegerField(default=0)
    created_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "replay"
        constraints = [one_of("state", ReplayState, name="replay_state_known")]
        indexes = [
            models.Index(
                fields=["id"],
                name="replay_active",
                condition=Q(state__in=["planning", "running"]),
            ),
        ]

    def __str__(self) -> str:
        return f"replay {self.pk}"

    @property
    def is_active(self) -> bool:
        return self.state in {ReplayState.PLANNING, ReplayState.RUNNING}

    @property
    def done(self) -> int:
        """How many deliveries have come back from the workers."""
        return self.handed - len(self.in_hand)

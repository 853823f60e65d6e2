"""What must outlive the store: the operators' word, and the history of every circuit."""

from __future__ import annotations

from django.db import models

from resilience.states import ACTOR_LENGTH, NAME_LENGTH, REASON_LENGTH, Mode, State

MODES = [(str(mode), mode.value.replace("_", " ")) for mode in Mode]
STATES = [(str(state), state.value.replace("_", " ")) for state in State]


class BreakerMode(models.Model):
    """The operator's word for one circuit.

    It is the truth: a store that was emptied gets it again from here.
    """

    breaker = models.CharField(max_length=NAME_LENGTH, unique=True)
    mode = models.CharField(max_length=20, choices=MODES)
    actor = models.CharField(max_length=ACTOR_LENGTH)
    reason = models.CharField(max_length=REASON_LENGTH)
    epoch = models.BigIntegerField(default=0)
    set_at = models.DateTimeField()

    class Meta:
        verbose_name = "breaker"
        verbose_name_plural = "breakers"
        default_permissions = ("view",)
        permissions = [
            ("operate_breaker", "Can open, disable, observe, reset breakers")
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(mode__in=[str(mode) for mode in Mode]),
                name="resilience_mode_is_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.breaker}: {self.get_mode_display()}"


class BreakerTransition(models.Model):
    """One change of one circuit, the machine's or an operator's; exactly one row each."""

    breaker = models.CharField(max_length=NAME_LENGTH)
    epoch = models.BigIntegerField()
    at = models.DateTimeField()
    old_state = models.CharField(max_length=20, choices=STATES)
    new_state = models.CharField(max_length=20, choices=STATES)
    old_mode = models.CharField(max_length=20, choices=MODES)
    new_mode = models.CharField(max_length=20, choices=MODES)
    cause = models.CharField(max_length=20)
    actor = models.CharField(max_length=ACTOR_LENGTH, blank=True)
    reason = models.CharField(max_length=REASON_LENGTH, blank=True)
    failures = models.PositiveBigIntegerField()
    wait_ms = models.PositiveBigIntegerField()
    error = models.CharField(max_length=REASON_LENGTH, blank=True)

    class Meta:
        verbose_name = "breaker transition"
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["breaker", "epoch"], name="resilience_transition_once"
            ),
            models.CheckConstraint(
                condition=models.Q(old_state__in=[str(state) for state in State])
                & models.Q(new_state__in=[str(state) for state in State]),
                name="resilience_states_are_known",
            ),
        ]
        indexes = [models.Index(fields=["-at"], name="resilience_transition_at")]

    def __str__(self) -> str:
        return f"{self.breaker}: {self.old_state} to {self.new_state} ({self.cause})"


class BreakerCursor(models.Model):
    """How far the log of one circuit has been copied into the history."""

    breaker = models.CharField(max_length=NAME_LENGTH, unique=True)
    entry_id = models.CharField(max_length=50)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.breaker} up to {self.entry_id}"

"""The action pages: what each says before anybody confirms."""

from __future__ import annotations

from dataclasses import dataclass

from resilience.states import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionPage:
    """One action: its address, its button, what it does and how to undo it."""

    action: Action
    slug: str
    verb: str
    effect: str
    undo: str
    variant: str = "default"


PAGES = {
    page.slug: page
    for page in (
        ActionPage(
            action=Action.FORCE_OPEN,
            slug="open",
            verb="Force open",
            effect="Every call through this circuit is refused, in every process, within "
            "300 ms. Nothing is sent to the dependency, not even a probe.",
            undo="Auto returns to what the machine knows; Reset closes the circuit.",
            variant="danger",
        ),
        ActionPage(
            action=Action.DISABLE,
            slug="disable",
            verb="Switch off",
            effect="Every call passes and none is counted. A dependency that is down will "
            "be called all the same.",
            undo="Auto returns to what the machine knows.",
            variant="danger",
        ),
        ActionPage(
            action=Action.OBSERVE,
            slug="observe",
            verb="Observe only",
            effect="Calls are counted and changes are logged as usual, but no call is "
            "refused. Good for a new dependency.",
            undo="Auto makes the machine's decisions count again.",
        ),
        ActionPage(
            action=Action.AUTO,
            slug="auto",
            verb="Auto",
            effect="The operator's mode ends. If the machine holds the circuit open, it "
            "stays open until a probe succeeds.",
            undo="Any other mode can be set again.",
        ),
        ActionPage(
            action=Action.RESET,
            slug="reset",
            verb="Reset",
            effect="The operator's mode ends, the circuit closes at once and every count "
            "starts from zero. Calls pass from now on.",
            undo="None: the counts are gone. The circuit opens again by itself if calls "
            "keep failing.",
        ),
    )
}

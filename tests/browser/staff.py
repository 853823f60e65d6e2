"""Somebody at a screen, and everything that the browser complained about meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field

from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Page


@dataclass  # no slots: Playwright marks the object whose methods listen
class Staff:
    """One browser profile. `complaints` holds console errors and page errors."""

    context: BrowserContext
    page: Page
    name: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._heard)
        self.page.on("pageerror", self._failed)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{self.page.url}: {message.text}")

    def _failed(self, error: Error) -> None:
        self.complaints.append(f"{self.page.url}: {error.message}")

"""Where a vendor's API is, what opens it, and how people agree to it. Data, no calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from biometrics.vendors.subscriptions import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentSpec:
    """Where people consent (OAuth 2) and how one learns whose account it was.

    The page is at base + `path` (an AUREN_<SLUG>_API_BASE of another host replaces this
    base too). The account is `account_field` of what GET `account_path` answers, and
    every token may ask that. `renamed` gives the newer names of scopes that some of the
    vendor's documents and answers call by an older one. `pkce` says that the vendor takes
    a challenge (S256).
    """

    base: str
    path: str
    scopes: tuple[str, ...]
    account_path: str
    account_field: str
    renamed: Mapping[str, str] = field(default_factory=dict)
    pkce: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Whom a vendor's account belongs to: our own id of the person, as it echoes it."""

    reference: str
    scopes: str


class HostedConsent(Protocol):
    """A vendor that makes a page for one person when the application asks for it.

    What the browser brings back is believed only once the vendor itself says the same.
    """

    def opening(self, *, reference: str, back: str) -> Call:
        """Return the call that makes a page; the browser comes `back` in the end."""
        ...

    def page_in(self, body: bytes) -> str:
        """Return the page's address; raises UnreadableDeliveryError."""
        ...

    def account_in(self, query: Mapping[str, str]) -> str | None:
        """Return the account that the browser names, None when nobody connected."""
        ...

    def asking_whose(self, account_id: str) -> Call:
        """Return the call that asks whose an account is."""
        ...

    def holder_in(self, body: bytes) -> Holder:
        """Read the answer to `asking_whose`; raises UnreadableDeliveryError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationKeys:
    """An API that the application may call for every account of it, without grants.

    `headers` names, by header, the setting (AUREN_<SLUG>_<NAME>) that holds its value;
    each call names the account in `account_parameter`.
    """

    headers: Mapping[str, str]
    account_parameter: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """A limit that the vendor publishes: `amount` in any `window_s` seconds.

    `each` says whose it is. `cost` says what a call with these parameters takes of it;
    without, each call takes one.
    """

    amount: int
    window_s: int
    each: Literal["application", "account"] = "application"
    cost: Callable[[Mapping[str, str]], int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSpec:
    """Where a vendor's API is and how it is opened.

    `base` is what AUREN_<SLUG>_API_BASE replaces. Calls go to base + `prefix` + path.
    Grants are renewed at base + `token_path`, with `refresh_fields` in the form beside
    the usual four; a vendor with `keys` has none. `shared_limit` says that a 429 always
    speaks of the application, never of one person. `limits` are kept by all processes
    together, so that the vendor has none to refuse.
    """

    base: str
    token_path: str = ""
    prefix: str = ""
    refresh_fields: Mapping[str, str] = field(default_factory=dict)
    shared_limit: bool = False
    limits: tuple[RateLimit, ...] = ()
    keys: ApplicationKeys | None = None
    consent: ConsentSpec | HostedConsent | None = None

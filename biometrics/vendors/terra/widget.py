"""Terra's widget: a page, good for 15 minutes, on which one person connects a device.

https://docs.tryterra.co/reference (auth/generateWidgetSession, userInfo)
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from biometrics.errors import UnreadableDeliveryError
from biometrics.vendors.api_spec import Holder
from biometrics.vendors.fields import load_object, text
from biometrics.vendors.subscriptions import Call

_LONGEST_URL = 2000


class TerraWidget:
    """See HostedConsent."""

    def opening(self, *, reference: str, back: str) -> Call:
        """See HostedConsent: our id of the person comes back in each of Terra's events."""
        payload = {
            "reference_id": reference,
            "language": "en",
            "auth_success_redirect_url": back,
            "auth_failure_redirect_url": back,
        }
        return Call(method="POST", path="/auth/generateWidgetSession", payload=payload)

    def page_in(self, body: bytes) -> str:
        """See HostedConsent."""
        url = text(load_object(body), "url", limit=_LONGEST_URL)
        if url is None or not url.startswith(("https://", "http://")):
            raise UnreadableDeliveryError("no address", field="url")
        return url

    def account_in(self, query: Mapping[str, str]) -> str | None:
        """See HostedConsent."""
        return text(query, "user_id")

    def asking_whose(self, account_id: str) -> Call:
        """See HostedConsent."""
        path = f"/userInfo?user_id={quote(account_id, safe='')}"
        return Call(method="GET", path=path)

    def holder_in(self, body: bytes) -> Holder:
        """See HostedConsent."""
        said = load_object(body)
        reference = text(said, "user.reference_id")
        if reference is None:
            raise UnreadableDeliveryError("no text", field="user.reference_id")
        scopes = text(said, "user.scopes", limit=500) or ""
        return Holder(reference=reference, scopes=" ".join(scopes.split(",")))

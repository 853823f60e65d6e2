"""A person's browser, as far as connecting an account goes: redirects and cookies."""

from __future__ import annotations

import http.client
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(slots=True)
class Browser:
    """Keeps cookies; follows redirects only when told to."""

    cookies: dict[str, str] = field(default_factory=dict)

    def connect(self, link: str, *, choice: str) -> str:
        """Open a connect link, go on to the vendor, choose there; return what is said."""
        status, _, page = self._get(link)
        assert status == 200, page
        status, vendor, page = self._get(f"{link}/start")
        assert status == 302, page
        joint = "&" if urlsplit(vendor).query else "?"
        status, back, page = self._get(f"{vendor}{joint}{choice}")
        assert status == 302, page
        _, _, page = self._get(back)
        return " ".join(re.sub(r"<[^>]+>", " ", page).split())

    def _get(self, url: str) -> tuple[int, str, str]:
        parts = urlsplit(url)
        session = http.client.HTTPConnection(parts.netloc, timeout=30)
        try:
            cookies = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
            headers = {"cookie": cookies} if cookies else {}
            session.request("GET", f"{parts.path}?{parts.query}", headers=headers)
            answer = session.getresponse()
            for cookie in answer.headers.get_all("set-cookie") or ():
                name, _, value = cookie.partition(";")[0].partition("=")
                self.cookies[name] = value
            where = answer.headers.get("location", "")
            return answer.status, where, answer.read().decode()
        finally:
            session.close()

"""A staff member who reads the console over HTTP, as a browser would."""

from __future__ import annotations

import http.client
import re
from urllib.parse import urlencode

from tests.e2e.stack import Stack

_NAME, _PASSWORD = "e2e-staff", "e2e-9f-password"


class StaffSession:
    """Signs in; `page` returns the text of a page, `reveal` opens a person's values."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._cookies: dict[str, str] = {}
        stack.manage(
            *("shell", "-c"),
            "from django.contrib.auth.models import User;"
            f"User.objects.create_superuser('{_NAME}', password='{_PASSWORD}')",
        )
        self._get("/admin/login/")
        status, _ = self._post(
            "/admin/login/", username=_NAME, password=_PASSWORD, next="/admin/"
        )
        assert status == 302, "could not sign in"

    def get(self, path: str) -> tuple[int, str]:
        """Return the status and the source of a page."""
        return self._get(path)

    def page(self, path: str) -> str:
        """Return what can be read on a page, white space folded."""
        status, text = self._get(path)
        assert status == 200, f"{path}: {status}"
        return " ".join(re.sub(r"<[^>]+>", " ", text).split())

    def send(self, path: str, **fields: str) -> str:
        """Send a form as it stands on its page; return the text of the answer, tags too."""
        self._get(path)
        status, text = self._post(path, **fields)
        assert status == 200, f"{path}: {status}"
        return text

    def click(self, path: str, *, on: str, **fields: str) -> None:
        """Send one button of a page, which then leads on."""
        self._get(on)
        status, _ = self._post(path, **fields)
        assert status == 302, f"{path}: {status}"

    def reveal(self, subject: object) -> None:
        path = f"/admin/biometrics/subject/reveal/{subject}/"
        self._get(path)
        status, _ = self._post(path, reason="end-to-end test")
        assert status == 302, f"{path}: {status}"

    def _get(self, path: str) -> tuple[int, str]:
        return self._ask("GET", path, b"")

    def _post(self, path: str, **fields: str) -> tuple[int, str]:
        token = self._cookies["csrftoken"]
        body = urlencode({**fields, "csrfmiddlewaretoken": token}).encode()
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: bytes) -> tuple[int, str]:
        headers = {
            "cookie": "; ".join(f"{k}={v}" for k, v in self._cookies.items()),
            "content-type": "application/x-www-form-urlencoded",
        }
        session = http.client.HTTPConnection("127.0.0.1", self._stack.port, timeout=30)
        try:
            session.request(method, path, body=body, headers=headers)
            answer = session.getresponse()
            for cookie in answer.headers.get_all("set-cookie") or ():
                name, _, value = cookie.partition(";")[0].partition("=")
                self._cookies[name] = value
            return answer.status, answer.read().decode()
        finally:
            session.close()

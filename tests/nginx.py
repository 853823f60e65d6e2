"""nginx on loopback with the very example of ops/nginx."""

from __future__ import annotations

import http.client
import os
import re
import ssl
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from auren.devstack.process import ManagedProcess
from auren.devstack.services import accepts, free_port

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "ops" / "nginx" / "auren.conf"
NAME = "bridge.example.org"
PATIENCE_S = 60
# The whole server around the example; nothing outside of the folder is used.
MAIN = """
{user}
daemon off;
pid {home}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    include {home}/auren.conf;
}}
"""


class Proxy:
    """nginx with the example, in which only ports and the certificate's place differ."""

    def __init__(self, home: Path, *, nginx: str, ports: list[int]) -> None:
        self.home, self._nginx = home, nginx
        self.port, self.plain_port = free_port(), free_port()
        self._make_certificate()
        (home / "auren.conf").write_text(self._adapted(ports))
        user = "user root;" if os.geteuid() == 0 else ""
        self._main = home / "nginx.conf"
        self._main.write_text(MAIN.format(user=user, home=home))

    def _adapted(self, ports: list[int]) -> str:
        text = EXAMPLE.read_text()
        (line,) = re.findall(r"server 127\.0\.0\.1:8889.*;", text)
        lines = [line.replace("8889", str(port)) for port in ports]
        changes = {
            line: "\n".join(lines),
            "listen 443": f"listen 127.0.0.1:{self.port}",
            "listen 80": f"listen 127.0.0.1:{self.plain_port}",
            "/etc/ssl/bridge.example.org.pem": f"{self.home}/cert.pem",
            "/etc/ssl/private/bridge.example.org.key": f"{self.home}/key.pem",
        }
        for old, new in changes.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return text

    def _make_certificate(self) -> None:
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec"),
                *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
                *("-subj", f"/CN={NAME}", "-days", "2"),
                *("-keyout", self.home / "key.pem", "-out", self.home / "cert.pem"),
            ],
            check=True,
            capture_output=True,
        )

    def check(self) -> subprocess.CompletedProcess[str]:
        argv = [self._nginx, "-t", "-p", str(self.home), "-c", str(self._main)]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    def start(self, *, on_line: Callable[[str], None] | None = None) -> None:
        argv = [self._nginx, "-p", str(self.home), "-c", str(self._main)]
        self._process = ManagedProcess(name="nginx", argv=argv, on_line=on_line)
        deadline = time.monotonic() + PATIENCE_S
        while not accepts(self.port):
            assert time.monotonic() < deadline, self._process.last_lines
            time.sleep(0.02)

    def stop(self) -> None:
        self._process.kill9()

    def connect(self, *, source: str = "127.0.0.1") -> http.client.HTTPSConnection:
        """Return an open connection of a client that keeps it."""
        trusting = ssl.create_default_context(cafile=str(self.home / "cert.pem"))
        trusting.check_hostname = False
        connection = http.client.HTTPSConnection(
            "127.0.0.1",
            self.port,
            timeout=PATIENCE_S,
            context=trusting,
            source_address=(source, 0),
        )
        connection.connect()
        return connection

    def ask(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(self.connect(source="127.0.0.2")) as client:
            client.request(method, path, body or None, {"Host": NAME, **named})
            answer = client.getresponse()
            return answer.status, answer.headers, answer.read()

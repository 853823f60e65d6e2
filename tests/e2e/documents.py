"""A vendor's API that serves recorded documents, for the notify-only vendors."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class DocumentServer:
    """Serves bytes by path (query left out) on 127.0.0.1; anything else is 404."""

    def __init__(self, *, port: int, documents: Mapping[str, bytes]) -> None:
        known = dict(documents)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = known.get(self.path.partition("?")[0])
                self.send_response(200 if body is not None else 404)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_args: object) -> None:
                """Keep the test's output quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

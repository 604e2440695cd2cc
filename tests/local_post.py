"""A webhook's receiver on this machine, and a poster that may reach it and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from pipelines.serving.contract import Refused
from pipelines.serving.courier import Posted, PostError


class LoopbackPoster:
    """Keeps the contract of Poster over plain http to 127.0.0.1."""

    longest_s = 2.0

    def check(self, url: str) -> None:
        if urlsplit(url).hostname != "127.0.0.1":
            raise Refused(400, "webhook_refused", "the webhook's address is not allowed")

    def post(self, url: str, headers: dict[str, str], body: bytes) -> Posted:
        parts = urlsplit(url)
        connection = HTTPConnection("127.0.0.1", parts.port or 80, timeout=self.longest_s)
        try:
            connection.request("POST", parts.path, body, headers)
            answer = connection.getresponse()
            return Posted(answer.status, float(answer.headers.get("Retry-After", 0)))
        except (OSError, HTTPException) as error:
            raise PostError(type(error).__name__) from error
        finally:
            connection.close()


class HookReceiver(ThreadingHTTPServer):
    """Answers with the given statuses, one after the other, then with 204; remembers what came."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        super().__init__(address, _Answer)
        self.statuses: list[int] = []
        self.headers: dict[str, str] = {}
        self.slow_s = 0.0
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Answer(BaseHTTPRequestHandler):
    server: HookReceiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, dict(self.headers), body))
        time.sleep(self.server.slow_s)
        status = self.server.statuses.pop(0) if self.server.statuses else 204
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "/elsewhere")
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:  # a sender that was killed
            return

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def receiving() -> Iterator[HookReceiver]:
    """A receiver in a thread."""
    with HookReceiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

"""A real server that speaks S3 on this machine, behind a proxy that fails as clouds do: by a fixed seed.

moto's server runs in a process of its own (`python -m tests.s3_server`); clients get the address of the proxy.
"""

from __future__ import annotations

import random
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

KEY, SECRET = "nightjar-tests", "a-secret-of-no-use"
FAULTS = ("InternalError", "SlowDown", "reset", "lost answer", "cut", "trickle")
STATUS = {"InternalError": 500, "SlowDown": 503, "InvalidAccessKeyId": 403, "AccessDenied": 403}
TRICKLES, TRICKLE_S = 6, 0.03
HOP = {"connection", "transfer-encoding", "server", "date"}


class S3:
    """The server as tests see it. What they do here themselves meets no faults."""

    def __init__(self, backend: int) -> None:
        import s3fs

        self.proxy = _Proxy(backend)
        self.endpoint = f"http://127.0.0.1:{self.proxy.server_port}"
        self.storage_options: dict[str, Any] = {"key": KEY, "secret": SECRET, "endpoint_url": self.endpoint}
        self.environment = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        direct = self.storage_options | {"endpoint_url": f"http://127.0.0.1:{backend}"}
        self.files = s3fs.S3FileSystem(**direct, use_listings_cache=False, skip_instance_cache=True)

    def bucket(self, name: str) -> str:
        """Make an empty bucket; returns its URI."""
        if self.files.exists(name):
            self.files.rm(name, recursive=True)
        self.files.mkdir(name)
        return f"s3://{name}"

    def put(self, folder: Path, bucket: str) -> dict[str, str]:
        """Upload the files of a folder; returns file name -> URI."""
        uris = {path.name: f"{bucket}/{path.name}" for path in sorted(folder.iterdir()) if path.is_file()}
        for name, uri in uris.items():
            self.files.pipe(uri, (folder / name).read_bytes())
        return uris

    def names(self, uri: str) -> set[str]:
        """Every object below a bucket or folder, by what follows its URI."""
        return {name.removeprefix(uri.removeprefix("s3://")).lstrip("/") for name in self.files.find(uri)}

    def faults(self, rate: float, *kinds: str, seed: int = 7) -> None:
        """From now on fail this share of the requests, by default in every way there is; counts start anew."""
        if unknown := set(kinds) - set(FAULTS):
            raise ValueError(f"faults {sorted(unknown)} are not known; there are {', '.join(FAULTS)}")
        with self.proxy.lock:
            self.proxy.rate, self.proxy.kinds = rate, kinds or FAULTS
            self.proxy.random, self.proxy.injected = random.Random(seed), Counter()

    def count(self) -> int:
        """How many requests failed since `faults` was set."""
        return self.proxy.injected.total()

    def requests(self) -> list[str]:
        """Every request so far, as `GET /bucket/key`."""
        return list(self.proxy.log)


class _Proxy(ThreadingHTTPServer):
    """Passes requests on to `backend`, or does not."""

    daemon_threads = True

    def __init__(self, backend: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.backend, self.lock, self.log = backend, threading.Lock(), list[str]()
        self.rate, self.kinds, self.random = 0.0, FAULTS, random.Random(7)
        self.injected: Counter[str] = Counter()

    def draw(self, request: str) -> str | None:
        """Choose what goes wrong with a request, None for nothing."""
        with self.lock:
            self.log.append(request)
            if self.random.random() >= self.rate:
                return None
            kind = self.random.choice(self.kinds)
            self.injected[kind] += 1
            return kind

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is none of our business."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Proxy

    def do_GET(self) -> None:
        body = self._body()
        if refusal := self._refusal():
            return self._answer_error(refusal)
        fault = self.server.draw(f"{self.command} {self.path.partition('?')[0]}")
        if fault in STATUS:
            return self._answer_error(str(fault))
        if fault == "reset":
            return self._reset()
        status, headers, content = self._passed_on(body)
        if fault == "lost answer":
            return self._reset()
        return self._answer(status, headers, content, fault)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _refusal(self) -> str | None:
        """moto asks nobody for credentials; S3 does, and an address that was signed for GET is for GET alone."""
        signed = "Signature=" in self.path
        said = re.search("(?:Credential|AWSAccessKeyId)=([^/&]+)", self.headers.get("Authorization", "") + self.path)
        if said is None or (signed and self.command == "HEAD"):
            return "AccessDenied"
        return None if said[1] == KEY else "InvalidAccessKeyId"

    def _passed_on(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = HTTPConnection("127.0.0.1", self.server.backend, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP | {"expect"}}
        try:
            connection.request(self.command, self.path, body, headers | {"Content-Length": str(len(body))})
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        except (OSError, HTTPException):
            return 502, [("Content-Length", "0")], b""
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, fault: str | None) -> None:
        self.send_response(status)
        sized = {name.lower() for name, _ in headers} >= {"content-length"}
        for name, value in headers if sized else [*headers, ("Content-Length", str(len(content)))]:
            if name.lower() not in HOP:
                self.send_header(name, value)
        self.end_headers()
        if fault == "cut" and len(content) > 1:
            self.wfile.write(content[: len(content) // 2])
            self._reset()
        elif fault == "trickle":
            step = len(content) // TRICKLES + 1
            for at in range(0, len(content), step):
                self.wfile.write(content[at : at + step])
                time.sleep(TRICKLE_S)
        else:
            self.wfile.write(content)

    def _answer_error(self, code: str) -> None:
        said = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code} {SECRET}</Message></Error>'.encode()
        self._answer(STATUS[code], [], b"" if self.command == "HEAD" else said, None)

    def _reset(self) -> None:
        """Close so that the other side gets a reset and no end of the stream."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[S3]:
    """Start the server and its proxy, on free ports; both are gone at the end, also when this process is killed.

    Skips the test where they are not installed.
    """
    pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    command = [sys.executable, "-m", "tests.s3_server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as moto:
        s3 = None
        try:
            assert moto.stdout
            s3 = S3(int(moto.stdout.readline()))
            threading.Thread(target=s3.proxy.serve_forever, daemon=True).start()
            yield s3
        finally:
            if s3:
                s3.proxy.shutdown()
                s3.proxy.server_close()
            moto.kill()


def main() -> None:
    """Serve until standard input ends; says its port."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    sys.stdout.write(f"{server.get_host_and_port()[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()

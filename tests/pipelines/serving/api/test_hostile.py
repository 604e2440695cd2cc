"""Callers that mean harm, over a real socket: slow, cut off, lying; and a search of the whole document for crashes."""

from __future__ import annotations

import json
import socket
import tempfile
import time
from urllib.parse import urlsplit

import hypothesis
import pytest
import schemathesis
from starlette.testclient import TestClient

from pipelines.serving.api.door import build
from pipelines.serving.api.keys import KeyFile
from pipelines.serving.api.settings import Settings
from pipelines.serving.contract import Answer, Upload
from pipelines.serving.videos import Videos
from tests.pipelines.serving.api.server import served
from tests.serving_fakes import FakeChecker

HEAD = "POST /v1/check HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


def raw(url: str, text: bytes, wait_s: float = 10.0) -> bytes:
    """Send bytes as they are, and read what comes until the server ends."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), wait_s) as wire:
        wire.sendall(text)
        found = b""
        while chunk := _more(wire):
            found += chunk
            if found.count(b"}}") and b"connection: close" in found.lower():
                break
        return found


def _more(wire: socket.socket) -> bytes:
    try:
        return wire.recv(65536)
    except TimeoutError:
        return b""


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_a_slow_body_ends_and_holds_nobody_up():
    with served(build(FakeChecker, Settings(body_s=0.5))) as url:
        began = time.monotonic()
        answer = raw(url, f"{HEAD}Content-Length: 1000\r\n\r\n{{".encode(), 3.0)
        assert status_of(answer) == 408
        assert b"body_too_slow" in answer
        assert time.monotonic() - began < 2.9


def test_a_caller_without_a_key_cannot_make_us_wait_for_its_body(tmp_path):
    keys = KeyFile(tmp_path / "keys.json")
    keys.create("somebody")
    with served(build(FakeChecker, Settings(keys=keys.path))) as url:
        began = time.monotonic()
        answer = raw(url, f"{HEAD}Content-Length: 1000000000\r\n\r\n".encode(), 3.0)
        assert status_of(answer) == 401
        assert time.monotonic() - began < 2.0


def test_lengths_that_lie():
    with served(build(FakeChecker, Settings(most_bytes=1000, most_json_bytes=1000))) as url:
        announced = raw(url, f"{HEAD}Content-Length: 99999\r\n\r\n".encode(), 3.0)
        chunked = f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode() + b"800\r\n" + b"x" * 0x800 + b"\r\n"
        assert [status_of(announced), status_of(raw(url, chunked, 3.0))] == [413, 413]
        for odd in ("-5", "1e3", "9" * 30):
            assert status_of(raw(url, f"{HEAD}Content-Length: {odd}\r\n\r\n".encode(), 3.0)) in (400, 413)


def test_a_caller_that_goes_away_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    checker = FakeChecker()
    with served(build(lambda: checker, Settings())) as url:
        parts = urlsplit(url)
        boundary = "POST /v1/check HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"y" * 100_000
        for _ in range(5):
            with socket.create_connection((parts.hostname, parts.port)) as wire:
                wire.sendall(f"{boundary}Content-Length: 9999999\r\n\r\n".encode() + body)
        until = time.monotonic() + 5
        while any(tmp_path.iterdir()) and time.monotonic() < until:
            time.sleep(0.05)
        assert list(tmp_path.iterdir()) == []
        assert checker.seen == []
        assert status_of(raw(url, b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 3.0)) == 200


def test_nothing_that_is_uploaded_is_logged(tmp_path, caplog):
    class Broken(FakeChecker):
        async def check(self, upload: Upload, deadline_s: float | None = None) -> Answer:
            raise RuntimeError("the inside")

    checker = Broken()
    client = TestClient(build(lambda: checker, Settings()), raise_server_exceptions=False)
    client.post("/v1/check", files={"file": ("name-of-a-person.jpg", b"secret bytes")}, data={"title": "secret title"})
    said = caplog.text
    assert "name-of-a-person" not in said
    assert "secret" not in said


@pytest.mark.filterwarnings("ignore")
def test_no_request_that_the_document_allows_or_forbids_is_a_crash(tmp_path):
    checker = FakeChecker()
    videos = Videos(tmp_path / "videos")
    app = build(lambda: checker, Settings(), videos)
    with served(app) as url:
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        tried: list[int] = []

        for operation in schema.get_all_operations():

            @hypothesis.given(case=operation.ok().as_strategy())
            @hypothesis.settings(max_examples=25, deadline=None, database=None, derandomize=True,
                                 suppress_health_check=list(hypothesis.HealthCheck))  # fmt: skip
            def run(case):
                answer = case.call(base_url=url)
                tried.append(answer.status_code)
                assert answer.status_code < 500, (case.method, case.path, case.body, answer.text)
                if answer.status_code >= 400:
                    assert json.loads(answer.text)["error"]["message"]

            run()
        assert len(tried) > 100
        assert {200, 400} <= set(tried)
    videos.close()

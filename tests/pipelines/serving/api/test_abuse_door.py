"""What a caller who means harm may try at the door, and what each try comes to."""

from __future__ import annotations

import asyncio
import base64
import errno
import json
import logging
import tempfile
import threading
import time
from pathlib import Path

import httpx2 as httpx
import pytest
from starlette.testclient import TestClient

from pipelines.serving.api.door import build
from pipelines.serving.api.keys import KeyFile
from pipelines.serving.api.settings import Settings
from pipelines.serving.contract import Answer, Refused, Upload
from pipelines.serving.reload import Present
from tests.pipelines.serving.api.server import served
from tests.serving_fakes import FakeChecker

FORM = "multipart/form-data; boundary=x"
FIELD = b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\n%s\r\n--x--\r\n'
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(b"x").decode()}}


def client_of(checker: FakeChecker | None = None, settings: Settings | None = None, **parts) -> TestClient:
    checker = checker or FakeChecker()
    return TestClient(build(lambda: checker, settings or Settings(), **parts), raise_server_exceptions=False)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


# Who is let in


def test_a_prefix_that_the_app_is_mounted_at_opens_nothing(tmp_path):
    """Ray Serve leaves `route_prefix` in the path, and names it in `root_path`."""
    keys = KeyFile(tmp_path / "keys.json")
    _, token = keys.create("all")
    app = build(FakeChecker, Settings(keys=keys.path))
    for root in ("/nightjar", "/nightjar/", "/a/b"):
        client = TestClient(app, root_path=root)
        for path in ("/v1/models", "/metrics"):
            assert code_of(client.get(root.rstrip("/") + path)) == (401, "invalid_api_key")
    client = TestClient(app, root_path="/nightjar", headers={"x-api-key": token})
    assert client.post("/nightjar/v1/check", json={"text": "a"}).status_code == 200
    assert 'route="/v1/check",status="200"' in client.get("/nightjar/metrics").text


@pytest.mark.parametrize("path", ["/v1/check/", "//v1/check", "/v1//check", "/V1/CHECK", "/v1/check%00"])
def test_another_spelling_of_a_path_leads_nowhere(path):
    answer = client_of().post(path, json={"text": "a"}, headers={"host": "evil.example"}, follow_redirects=False)
    assert code_of(answer) == (404, "not_found")


# Bodies that take more than they should


@pytest.mark.parametrize("charset", ["undefined", "punycode", "idna", "utf-16", "unicode_escape", "none-such"])
def test_a_form_speaks_utf_8(charset):
    """Python has codecs that raise what the parser does not expect, and one that takes the square of the length."""
    answer = client_of().post(
        "/v1/check", content=FIELD % b"-zzz9", headers={"content-type": f"{FORM}; charset={charset}"}
    )
    assert code_of(answer) == (400, "malformed_body")
    for good in ("", "; charset=UTF-8", '; charset="utf8"'):
        answer = client_of().post("/v1/check", content=FIELD % b"risky", headers={"content-type": FORM + good})
        assert answer.json()["suggestion"] == "block"


@pytest.mark.parametrize("path", ["/v1/check", "/v1/moderations", "/v1/videos"])
@pytest.mark.parametrize(
    "kinds", [["text/plain"], [], [FORM, "application/json"], ["application/json", FORM], ["application/json"] * 2]
)
def test_no_other_name_of_a_type_lets_more_into_memory(path, kinds):
    checker = FakeChecker()
    client = client_of(checker, Settings(most_json_bytes=1000), videos=object())
    body = json.dumps({"text": "x" * 900, "input": "x" * 900, "uri": "https://x/"}).encode()
    headers = [("content-type", kind) for kind in kinds]
    assert client.post(path, content=body, headers=headers).status_code in (413, 415)
    assert client.post(path, content=body[:100], headers=headers).status_code == 415
    assert checker.seen == []


def test_a_text_to_moderate_is_as_long_as_one_to_check():
    client = client_of(settings=Settings(most_characters=100))
    for said in ("x" * 101, ["x", "x" * 101], [{"type": "text", "text": "x" * 60}] * 2):
        assert code_of(client.post("/v1/moderations", json={"input": said})) == (413, "text_too_long")
    assert client.post("/v1/moderations", json={"input": ["x" * 60] * 2}).status_code == 200


def test_many_bodies_that_are_each_allowed_are_not_allowed_together():
    first = threading.Event()

    class Waits(FakeChecker):
        async def check(self, upload: Upload, deadline_s: float | None = None) -> Answer:
            if upload.title == "first":
                first.set()
                await asyncio.sleep(1.0)
            return await super().check(upload)

    checker = Waits()
    with served(build(lambda: checker, Settings(most_held_bytes=2000))) as url:
        big = {"title": "first", "description": "x" * 1500}
        ours: list[int] = []
        caller = threading.Thread(target=lambda: ours.append(httpx.post(f"{url}/v1/check", json=big).status_code))
        caller.start()
        assert first.wait(10)
        refused = httpx.post(f"{url}/v1/check", json={**big, "title": "second"})
        assert code_of(refused) == (503, "overloaded")
        assert refused.headers["retry-after"] == "1"
        assert httpx.post(f"{url}/v1/check", json={"text": "small"}).status_code == 200
        caller.join()
        assert ours == [200]
        assert httpx.post(f"{url}/v1/check", json={**big, "title": "third"}).status_code == 200


# Time


def test_the_time_is_that_of_the_whole_request():
    class Slow:
        async def fetched(self, uri: str, path: Path) -> int:
            await asyncio.sleep(5.0)
            return path.write_bytes(b"x")

    many = {"input": ["a"] * 20}  # each well within the time
    for client, path, body in (
        (client_of(FakeChecker(seconds=0.1)), "/v1/moderations", many),
        (client_of(fetcher=Slow()), "/v1/check", {"uri": "https://media.example/a"}),
        (client_of(FakeChecker(seconds=5.0)), "/v1/check", {"text": "a"}),
    ):
        began = time.monotonic()
        answer = client.post(path, json=body, headers={"x-deadline-ms": "400"})
        assert code_of(answer) == (504, "deadline_exceeded")
        assert time.monotonic() - began < 1.5


def test_what_is_too_slow_elsewhere_is_not_called_a_deadline():
    answer = client_of(FakeChecker(error=TimeoutError("a bug"))).post("/v1/check", json={"text": "a"})
    assert code_of(answer) == (500, "internal_error")


def test_checks_of_one_input_end_together(tmp_path, monkeypatch):
    """Else a check that goes on would read a file that is gone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended: list[bool] = []

    class Half(FakeChecker):
        async def check(self, upload: Upload, deadline_s: float | None = None) -> Answer:
            if upload.path is None:
                await asyncio.sleep(0.05)
                raise Refused(429, "too_many_requests", "no room", 1.0)
            try:
                await asyncio.sleep(5.0)
            finally:
                ended.append(upload.path.exists())
            return await super().check(upload)

    with client_of(Half()) as client:
        answer = client.post("/v1/moderations", json={"input": [{"type": "text", "text": "a"}, PICTURE, PICTURE]})
        assert code_of(answer) == (429, "too_many_requests")
    assert ended == [True, True]
    assert list(tmp_path.iterdir()) == []


# What goes wrong inside


def test_a_bug_is_counted_and_answered_like_everything_else_and_quotes_nobody(caplog):
    client = client_of(FakeChecker(error=ValueError("the words of an uploader")))
    with caplog.at_level(logging.DEBUG):
        answer = client.post("/v1/check", json={"text": "a"})
    assert code_of(answer) == (500, "internal_error")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"]
    text = client.get("/metrics").text
    assert 'nightjar_http_requests_total{route="/v1/check",status="500"} 1.0' in text
    assert 'nightjar_http_refusals_total{code="internal_error"} 1.0' in text
    assert "ValueError" in caplog.text
    assert "words of an uploader" not in caplog.text


def test_a_full_disk_is_no_bug():
    client = client_of(FakeChecker(error=OSError(errno.ENOSPC, "No space left on device")))
    answer = client.post("/v1/check", files={"file": b"x"})
    assert code_of(answer) == (507, "insufficient_storage")
    assert answer.headers["retry-after"]


def test_a_service_that_stops_says_so_to_who_balances_the_load():
    present = Present(FakeChecker())
    client = TestClient(build(lambda: present, Settings()))
    assert client.get("/readyz").status_code == 200
    asyncio.run(present.drain())
    assert code_of(client.get("/readyz")) == (503, "draining")
    assert client.get("/healthz").status_code == 200


def test_a_connection_ends_where_its_body_is_not_wanted_and_stays_where_it_was_read():
    with served(build(FakeChecker, Settings())) as url, httpx.Client(base_url=url) as client:
        unread = client.post("/v1/check", content=b"x", headers={"content-type": "image/png"})
        assert (unread.status_code, unread.headers.get("connection")) == (415, "close")
        for body in ({"text": "a"}, {"text": 5}):
            assert "connection" not in client.post("/v1/check", json=body).headers

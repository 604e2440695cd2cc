"""The door over a fake checker: what it hands on, what it answers, what it keeps out, and that nothing stays behind."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import tempfile
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from pipelines.risk.verdicts import VERDICTS
from pipelines.serving import page
from pipelines.serving.api.door import build
from pipelines.serving.api.keys import KeyFile
from pipelines.serving.api.settings import Settings
from pipelines.serving.contract import FIRST_SCREENING, Answer, Look, Refused, Upload
from pipelines.serving.videos import Videos
from tests.serving_fakes import FakeChecker


def client_of(checker: FakeChecker, settings: Settings | None = None, **parts) -> TestClient:
    app: FastAPI = build(lambda: checker, settings or Settings(), **parts)
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def checker() -> FakeChecker:
    return FakeChecker()


@pytest.fixture
def uploads(tmp_path, monkeypatch) -> Path:
    """Where the door keeps what it was sent, while it looks at it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def error_of(response) -> tuple[int, str]:
    said = response.json()["error"]
    assert said["message"]
    assert "Traceback" not in response.text
    return response.status_code, said["code"]


def test_a_form_is_one_upload_and_comes_back_as_a_verdict(checker, uploads):
    client = client_of(checker)
    facts = {"title": "a cat", "id": "upload-1", "looks": "visual,text"}
    found = client.post("/v1/check", data=facts, files={"file": ("../../etc/passwd", b"risky bytes", "image/jpeg")})
    assert found.status_code == 200
    ((upload, data),) = checker.seen
    assert data == b"risky bytes"
    assert (upload.upload_id, upload.title, upload.looks) == ("upload-1", "a cat", FIRST_SCREENING)
    assert upload.path.parent == uploads
    assert "passwd" not in str(upload.path)
    said = found.json()
    assert set(VERDICTS.names) - {"uri"} <= set(said)
    assert (said["suggestion"], said["signals"][0]["label"]) == ("block", "Violence/Weapons")
    assert list(uploads.iterdir()) == []


def test_json_does_too(checker, uploads):
    picture = base64.b64encode(b"risky").decode()
    for image in (picture, f"data:image/png;base64,{picture}"):
        body = {"image": image, "text": "hello", "looks": ["visual"]}
        assert client_of(checker).post("/v1/check", json=body).json()["suggestion"] == "block"
    assert [(upload.looks, data) for upload, data in checker.seen] == [(frozenset({Look.VISUAL}), b"risky")] * 2
    assert client_of(checker).post("/v1/check", json={"text": "risky words"}).json()["suggestion"] == "block"
    assert list(uploads.iterdir()) == []


def test_pictures_of_evidence_come_only_where_they_are_asked_for(checker):
    async def with_picture(upload: Upload, deadline_s: float | None = None) -> Answer:
        answer = await FakeChecker().check(upload)
        return Answer(answer.verdict, evidence={500: b"webp"})

    checker.check = with_picture
    client = client_of(checker)
    assert "evidence" not in client.post("/v1/check", json={"text": "a"}).json()
    found = client.post("/v1/check?evidence=true", json={"text": "a"}).json()
    assert found["evidence"] == {"500": base64.b64encode(b"webp").decode()}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "nothing_to_check"),
        ({"text": ""}, "nothing_to_check"),
        ({"text": 5}, "bad_field"),
        ({"text": "a", "looks": "smell"}, "unknown_look"),
        ({"text": "a", "looks": ""}, "nothing_to_check"),
        ({"text": "a", "looks": [1]}, "bad_looks"),
        ({"text": "a", "colour": "red"}, "unknown_field"),
        ({"text": "a", "id": "x" * 201}, "bad_id"),
        ({"text": "a", "id": "a\nb"}, "bad_id"),
        ({"image": "not base64!"}, "bad_file"),
        ({"image": "data:image/png,raw"}, "bad_file"),
        ({"image": {"url": "x"}}, "bad_file"),
        ({"image": "QQ==", "video": "QQ=="}, "too_many_files"),
        ([1, 2], "malformed_body"),
        ("text", "malformed_body"),
    ],
)
def test_what_is_no_request_is_told_why(checker, body, code):
    assert error_of(client_of(checker).post("/v1/check", json=body)) == (400, code)
    assert checker.seen == []


NAMELESS = b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--"


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed_body"),
        (b"\xff\xfe", "application/json", 400, "malformed_body"),
        (b"[" * 100_000, "application/json", 400, "malformed_body"),
        (b"nonsense", "multipart/form-data; boundary=x", 400, "malformed_body"),
        (b"nonsense", "multipart/form-data", 400, "malformed_body"),
        (NAMELESS, "multipart/form-data; boundary=x", 400, "malformed_body"),
        (b"a=b", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"\x89PNG", "image/png", 415, "unsupported_media_type"),
        (b"", "", 415, "unsupported_media_type"),
    ],
)  # fmt: skip
def test_bodies_that_are_not_what_they_say(checker, uploads, content, kind, status, code):
    found = client_of(checker).post("/v1/check", content=content, headers={"content-type": kind})
    assert error_of(found) == (status, code)
    assert list(uploads.iterdir()) == []


def test_what_is_too_large_is_not_read_to_its_end(checker, uploads):
    small = Settings(most_bytes=10_000, most_json_bytes=1000, most_characters=100)
    client = client_of(checker, small)
    assert error_of(client.post("/v1/check", files={"file": b"x" * 20_000})) == (413, "body_too_large")
    assert error_of(client.post("/v1/check", json={"text": "x" * 2000})) == (413, "body_too_large")
    assert error_of(client.post("/v1/check", json={"text": "x" * 200})) == (413, "text_too_long")
    read = []

    def endless():
        for _ in range(1000):
            read.append(1)
            yield b"x" * 1000

    sent = client.post("/v1/check", content=endless(), headers={"content-type": "multipart/form-data; boundary=x"})
    assert error_of(sent)[0] in (400, 413)
    assert checker.seen == []
    assert list(uploads.iterdir()) == []


def test_a_broken_file_is_refused_and_a_damaged_one_is_a_verdict(checker):
    async def broken(upload: Upload, deadline_s: float | None = None) -> Answer:
        verdict = {**(await FakeChecker().check(upload)).verdict, "suggestion": "review", "complete": False}
        seen = [{"label": "Violence", "score": 0.1}] if upload.title == "title seen" else []
        verdict |= {"duration_ms": 1000 if upload.title == "frames seen" else 0}
        return Answer({**verdict, "error_code": upload.uploader_id, "error_message": "a reason"}, signals=seen)

    checker.check = broken
    client = client_of(checker)
    wanted = {
        "too_many_pixels": 413, "too_large": 413, "too_long": 413, "unsupported_format": 415, "playlist_refused": 415,
        "empty_file": 400, "damaged": 422, "truncated": 422, "timeout": 422,
    }  # fmt: skip
    for code, status in wanted.items():
        found = client.post("/v1/check", files={"file": b"x"}, data={"uploader_id": code})
        assert error_of(found) == (status, code)
    for code, title in itertools.product(("damaged", "truncated"), ("title seen", "frames seen")):
        found = client.post("/v1/check", files={"file": b"x"}, data={"uploader_id": code, "title": title})
        assert (found.status_code, found.json()["suggestion"], found.json()["error_code"]) == (200, "review", code)
    found = client.post("/v1/check", files={"file": b"x"}, data={"uploader_id": "model_failed"})
    assert (found.status_code, found.json()["suggestion"]) == (200, "review")


def test_what_the_checker_refuses_is_told_with_when_to_come_back(checker):
    checker.error = Refused(429, "too_many_requests", "no room", 1.2)
    found = client_of(checker).post("/v1/check", json={"text": "a"})
    assert error_of(found) == (429, "too_many_requests")
    assert found.headers["retry-after"] == "2"


def test_a_bug_is_a_500_without_its_inside(checker):
    checker.error = ValueError("a secret of the inside")
    found = client_of(checker).post("/v1/check", json={"text": "a"})
    assert error_of(found) == (500, "internal_error")
    assert "secret" not in found.text


@pytest.mark.parametrize("path", ["/v1/check", "/v1/moderations"])
@pytest.mark.parametrize(("told", "read_to"), [(2_000_000, 0), (2_000, 2_000)])
def test_who_finds_no_room_is_told_so_before_a_long_body_is_read(checker, path, told, read_to):
    checker.full = True
    read: list[int] = []

    async def receive():
        read.append(1000)
        return {"type": "http.request", "body": b"x" * 1000, "more_body": sum(read) < told}

    sent: list[dict] = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": path}
    scope |= {"raw_path": path.encode(), "query_string": b"", "headers": [(b"content-length", str(told).encode())]}
    asyncio.run(build(lambda: checker, Settings())(scope, receive, send))
    headers = dict(sent[0]["headers"])
    assert (sent[0]["status"], headers[b"retry-after"]) == (429, b"1")
    assert headers.get(b"connection") == (None if read_to else b"close")  # a connection with bytes left is of no use
    assert sum(read) == read_to
    assert checker.seen == []


def test_who_finds_no_room_and_goes_away_is_no_fault_of_ours(checker):
    checker.full = True
    sent: list[dict] = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": "/v1/check"}
    scope |= {"raw_path": b"/v1/check", "query_string": b"", "headers": [(b"content-length", b"2000")]}
    asyncio.run(build(lambda: checker, Settings())(scope, receive, send))
    assert sent[0]["status"] == 429


def test_a_caller_may_say_how_long_it_waits(checker):
    told: list[float | None] = []

    async def check(upload: Upload, deadline_s: float | None = None) -> Answer:
        told.append(deadline_s)
        return await FakeChecker().check(upload)

    checker.check = check
    client = client_of(checker, Settings(deadline_s=7.0, longest_deadline_s=9.0))
    assert client.post("/v1/check", json={"text": "a"}).status_code == 200
    assert client.post("/v1/check", json={"text": "a"}, headers={"x-deadline-ms": "50"}).status_code == 200
    assert told == [7.0, 0.05]
    for wrong in ("0", "9001", "-1", "1.5", "soon", "9" * 40, "²"):
        found = client.post("/v1/check", json={"text": "a"}, headers={"x-deadline-ms": wrong.encode()})
        assert error_of(found) == (400, "bad_deadline")


# Who may call


@pytest.fixture
def keys(tmp_path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_without_a_key_nothing_is_read(checker, keys):
    _, token = keys.create("all")
    client = client_of(checker, Settings(keys=keys.path))
    for headers in ({}, bearer("nj_wrong"), bearer(""), {"authorization": f"Basic {token}"}, {"x-api-key": "no"}):
        found = client.post("/v1/check", json={"text": "a"}, headers=headers)
        assert error_of(found) == (401, "invalid_api_key")
        assert found.headers["www-authenticate"] == "Bearer"
        assert token not in found.text
    assert checker.seen == []
    for headers in (bearer(token), {"x-api-key": token}):
        assert client.post("/v1/check", json={"text": "a"}, headers=headers).status_code == 200
    assert [client.get(path).status_code for path in ("/healthz", "/readyz", "/openapi.json")] == [200] * 3
    assert [client.get(path).status_code for path in ("/metrics", "/v1/models", "/v1/nothing")] == [401] * 3


def test_a_key_opens_its_scopes_only_and_ends_when_it_is_revoked(checker, keys, monkeypatch):
    monkeypatch.setattr("pipelines.serving.api.keys.LOOK_EVERY_S", 0.0)
    key, token = keys.create("comments", ["moderations"])
    client = client_of(checker, Settings(keys=keys.path))
    assert error_of(client.post("/v1/check", json={"text": "a"}, headers=bearer(token))) == (403, "scope_missing")
    assert client.post("/v1/moderations", json={"input": "a"}, headers=bearer(token)).status_code == 200
    KeyFile(keys.path).revoke(key.id)
    found = client.post("/v1/moderations", json={"input": "a"}, headers=bearer(token))
    assert error_of(found) == (401, "invalid_api_key")


def test_a_key_has_a_rate(checker, keys):
    _, token = keys.create("slow", rate=2.0)
    _, other = keys.create("other", rate=2.0)
    client = client_of(checker, Settings(keys=keys.path))
    codes = [client.post("/v1/check", json={"text": "a"}, headers=bearer(token)).status_code for _ in range(4)]
    assert codes[:2] == [200, 200]
    refused = client.post("/v1/check", json={"text": "a"}, headers=bearer(token))
    assert error_of(refused) == (429, "rate_limited")
    assert refused.headers["retry-after"] == "1"
    assert client.post("/v1/check", json={"text": "a"}, headers=bearer(other)).status_code == 200


def test_only_so_many_are_answered_at_once(checker):
    client = client_of(checker, Settings(most_in_flight=1))

    async def nested(upload: Upload, deadline_s: float | None = None) -> Answer:
        found.append(client.post("/v1/check", json={"text": "b"}))
        return await FakeChecker().check(upload)

    found: list = []
    checker.check = nested
    assert client.post("/v1/check", json={"text": "a"}).status_code == 200
    assert error_of(found[0]) == (503, "overloaded")
    assert found[0].headers["retry-after"] == "1"
    checker.check = FakeChecker().check
    assert client.post("/v1/check", json={"text": "a"}).status_code == 200


# The other routes


def test_models_say_which_versions_answer(checker):
    said = client_of(checker).get("/v1/models").json()
    assert (said["object"], said["bundle"], said["policy"]) == ("list", "fake@1+0", "fake@1+0")
    assert said["data"][0]["id"] == "fake@1"


def test_it_is_ready_until_it_drains(checker):
    client = client_of(checker)
    assert client.get("/readyz").status_code == 200
    checker.drains = True
    assert error_of(client.get("/readyz")) == (503, "draining")
    assert client.get("/healthz").status_code == 200


def test_metrics_count_what_was_answered(checker):
    client = client_of(checker)
    client.post("/v1/check", json={"text": "risky"})
    client.post("/v1/check", json={})
    client.get("/nowhere/1")
    text = client.get("/metrics").text
    for line in (
        'nightjar_http_requests_total{route="/v1/check",status="200"} 1.0',
        'nightjar_http_requests_total{route="/v1/check",status="400"} 1.0',
        'nightjar_http_requests_total{route="other",status="404"} 1.0',
        'nightjar_http_refusals_total{code="nothing_to_check"} 1.0',
        'nightjar_verdicts_total{suggestion="block"} 1.0',
        "nightjar_http_in_flight 0.0",
    ):
        assert line in text


def test_every_answer_keeps_browsers_careful_and_pages_have_their_own_policy(checker):
    client = client_of(checker, pages=page.routes())
    for path in ("/healthz", "/v1/nothing", "/nothing"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
        assert headers["x-request-id"]
    assert "script-src 'self'" in client.get("/").headers["content-security-policy"]
    assert error_of(client.get("/nothing")) == (404, "not_found")
    assert error_of(client.get("/v1/check")) == (405, "method_not_allowed")


def test_a_video_is_taken_on_for_its_key_only(checker, keys, tmp_path):
    _, token = keys.create("mine")
    _, other = keys.create("other")
    videos = Videos(tmp_path / "videos")
    client = client_of(checker, Settings(keys=keys.path), videos=videos)
    taken = client.post("/v1/videos", files={"file": b"risky"}, data={"id": "v1"}, headers=bearer(token))
    assert (taken.status_code, taken.json()["status"]) == (202, "queued")
    place = taken.headers["location"]
    assert place == f"/v1/videos/{taken.json()['id']}"
    assert client.get(place, headers=bearer(token)).json()["upload_id"] == "v1"
    assert 'nightjar_videos{state="queued"} 1.0' in client.get("/metrics", headers=bearer(token)).text
    for wrong in (client.get(place, headers=bearer(other)), client.get("/v1/videos/vid_0", headers=bearer(token))):
        assert error_of(wrong) == (404, "not_found")
    hook = {"webhook": "https://you.example/hook"}
    for data, files in (({"title": "no file"}, None), (hook, {"file": b"x"})):
        found = client.post("/v1/videos", data=data, files=files or {"x": (None, "")}, headers=bearer(token))
        assert found.status_code == 400
    videos.close()


def test_uris_are_refused_unless_there_is_a_list(checker):
    for path in ("/v1/check", "/v1/videos"):
        found = client_of(checker, videos=object()).post(path, json={"uri": "http://169.254.169.254/latest"})
        assert error_of(found) == (403, "uri_refused")
    assert checker.seen == []


def test_a_uri_that_is_allowed_is_fetched_into_a_private_file(checker, uploads):
    class Fetched:
        async def fetched(self, uri: str, path: Path) -> int:
            assert uri == "https://media.example/a.mp4"
            assert path.stat().st_mode & 0o777 == 0o600
            path.write_bytes(b"risky")
            return 5

    found = client_of(checker, fetcher=Fetched()).post("/v1/check", json={"uri": "https://media.example/a.mp4"})
    assert found.json()["suggestion"] == "block"
    assert list(uploads.iterdir()) == []


def test_the_document_names_every_route_with_examples(checker):
    said = client_of(checker).get("/openapi.json").json()
    assert set(said["paths"]) >= {"/v1/check", "/v1/moderations", "/v1/videos", "/v1/videos/{video_id}", "/v1/models"}
    bodies = said["paths"]["/v1/check"]["post"]["requestBody"]["content"]
    assert json.dumps(bodies["application/json"]["example"])
    assert client_of(checker).post("/v1/check", json=bodies["application/json"]["example"]).status_code == 200

"""The webhook against a real server: signed, tried again, never redirected, never in the clear, never worth a night."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from jobs.scheduling.webhook import Webhook, WebhookError, tell
from model_registry.errors import UsageError

PAYLOAD = {"night": "2026-11-21", "text": "夜 done"}


class Receiver(ThreadingHTTPServer):
    """Answers with the given statuses, one after the other, then with 204; remembers what came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.statuses: list[int] = []
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook/s3cret?key=k"


class Answer(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, dict(self.headers), body))
        status = self.server.statuses.pop(0) if self.server.statuses else 204
        if status == 0:
            self.connection.close()
            return
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def hook(receiver: Receiver, **options) -> Webhook:
    return Webhook(receiver.url, **{"pauses_s": (0.0, 0.0), "timeout_s": 5.0, **options})


def test_one_message_arrives_once_as_json(receiver):
    hook(receiver).send(PAYLOAD)
    ((path, headers, body),) = receiver.requests

    assert path == "/hook/s3cret?key=k"
    assert json.loads(body) == PAYLOAD
    assert headers["Content-Type"].startswith("application/json")
    assert "X-Nightjar-Signature" not in headers


def test_a_receiver_can_check_the_signature_with_the_standard_library(receiver):
    hook(receiver, secret="k3y").send(PAYLOAD)
    ((_, headers, body),) = receiver.requests
    signed = hmac.new(b"k3y", headers["X-Nightjar-Timestamp"].encode() + b"." + body, hashlib.sha256)

    assert headers["X-Nightjar-Signature"] == f"sha256={signed.hexdigest()}"


@pytest.mark.parametrize("first", [500, 503, 429, 408, 0])
def test_what_may_pass_is_tried_again_as_the_same_message(receiver, first):
    receiver.statuses = [first, first]
    hook(receiver).send(PAYLOAD)

    assert len(receiver.requests) == 3
    assert len({headers["X-Nightjar-Delivery"] for _, headers, _ in receiver.requests}) == 1
    assert {body for _, _, body in receiver.requests} == {json.dumps(PAYLOAD, ensure_ascii=False).encode()}


def test_it_gives_up_after_the_last_attempt(receiver):
    receiver.statuses = [500] * 9
    with pytest.raises(WebhookError, match=r"^webhook at 127\.0\.0\.1 did not take the message: status 500$"):
        hook(receiver).send(PAYLOAD)

    assert len(receiver.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 301, 302, 307, 308])
def test_a_refusal_and_a_redirect_are_final(receiver, status):
    receiver.statuses = [status]
    with pytest.raises(WebhookError, match=f"status {status}$"):
        hook(receiver).send(PAYLOAD)

    assert [path for path, _, _ in receiver.requests] == ["/hook/s3cret?key=k"]


def test_a_server_that_never_answers_costs_its_timeout():
    """A listening socket that accepts nobody."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(WebhookError, match="timed out"):
            Webhook(url, timeout_s=0.2, pauses_s=()).send(PAYLOAD)


def test_pauses_grow(receiver, monkeypatch):
    slept: list[float] = []
    monkeypatch.setattr("jobs.scheduling.webhook.time.sleep", slept.append)
    receiver.statuses = [500] * 9
    with pytest.raises(WebhookError):
        Webhook(receiver.url).send(PAYLOAD)

    assert slept == [1.0, 4.0, 16.0]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "http://hooks.example/T0/B1/s3cret",
            "webhook is http://hooks.example/..., wanted https (http on this machine",
        ),
        ("http://127.0.0.1.example/s3cret", "wanted https"),
        ("ftp://hooks.example/s3cret", "webhook is no address of ftp, wanted https"),
        ("s3cret", "webhook is no address of no scheme, wanted https"),
        ("https:///s3cret", "webhook is no address of https, wanted https"),
    ],
)
def test_an_address_that_will_not_do(url, said):
    with pytest.raises(UsageError) as refused:
        Webhook(url)

    assert said in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["https://hooks.example/x", "http://localhost:1/x", "http://[::1]:1/x", "http://127.9.9.9/"]
)
def test_an_address_that_will_do(url):
    assert Webhook(url).host


def test_its_secrets_are_in_no_text(receiver):
    assert repr(hook(receiver, secret="k3y")).count("k3y") == 0
    assert "s3cret" not in repr(hook(receiver, secret="k3y"))


def test_a_webhook_that_fails_is_a_warning(receiver, capsys):
    receiver.statuses = [404]
    tell(hook(receiver), PAYLOAD)
    tell(None, PAYLOAD)

    said = capsys.readouterr().err
    assert said.startswith("warning: webhook at 127.0.0.1 did not take")
    assert said.count("\n") == 1
    assert "s3cret" not in said

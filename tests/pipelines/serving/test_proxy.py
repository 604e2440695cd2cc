"""What goes around Ray's proxy: silence and exceptions become a 503 to try again, answers stay as they are."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

from pipelines.serving.proxy import CALLBACK, Retryable, around

HTTP = {"type": "http"}


def start(status: int, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


BODY = {"type": "http.response.body", "body": b"words"}


def sent(*messages: dict[str, Any], error: Exception | None = None, scope: dict[str, Any] | None = None) -> list[Any]:
    """What a client gets of an app that says these, and then raises or ends."""
    got: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)
        if error:
            raise error

    async def send(message: Any) -> None:
        got.append(message)

    asyncio.run(Retryable(app)(scope or HTTP, None, send))
    return got


@pytest.mark.parametrize("error", [None, RuntimeError("the replica is dead")])
def test_who_gets_no_answer_may_try_again(error: Exception | None) -> None:
    begun, body = sent(error=error)
    headers = dict(begun["headers"])
    assert begun["status"] == 503
    assert headers[b"retry-after"] == b"1"
    assert int(headers[b"content-length"]) == len(body["body"])
    assert json.loads(body["body"])["error"]["code"] == "replica_lost"


@pytest.mark.parametrize("message", [start(200), start(500), start(429), start(503, (b"Retry-After", b"7"))])
def test_an_answer_stays_as_it_is(message: dict[str, Any]) -> None:
    assert sent(message, BODY) == [message, BODY]


def test_a_503_that_does_not_say_when_says_it() -> None:
    kind = (b"content-type", b"text/plain")
    assert sent(start(503, kind), BODY) == [start(503, kind, (b"retry-after", b"1")), BODY]


def test_an_answer_that_breaks_off_stays_broken() -> None:
    """Nothing can be added to it: the server cuts the connection."""
    with pytest.raises(RuntimeError, match="in the middle"):
        sent(start(200), error=RuntimeError("in the middle"))


def test_what_is_no_request_is_left_alone() -> None:
    assert sent(scope={"type": "lifespan"}) == []
    with pytest.raises(RuntimeError, match="the socket"):
        sent(error=RuntimeError("the socket"), scope={"type": "websocket"})


def test_ray_finds_it_and_a_proxy_that_imports_it_loads_no_model_library() -> None:
    [path] = CALLBACK.values()
    module, _, name = path.rpartition(".")
    assert (module, name) == (around.__module__, around.__name__)
    [middleware] = around()
    assert isinstance(middleware.cls(None), Retryable)
    script = f"import sys, {module}; print({{'torch', 'numpy', 'pyarrow', 'mlflow'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_ray_serve_still_asks_for_it() -> None:
    """The variable is Ray's own affair: another version may name it otherwise."""
    from ray.serve._private import constants

    assert set(CALLBACK) <= {name for name in vars(constants) if name.startswith("RAY_SERVE_")}

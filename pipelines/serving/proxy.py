"""What Ray Serve's HTTP proxy says where no replica says anything: a 503 that callers may try again, not a 500.

Where a replica dies in the middle of a request, the proxy ends without a word: it cannot know what the request has
done, and asks nobody else. Its server then says 500. The function that RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH names
says what goes around each proxy; the variable has to be set where Ray starts.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.middleware import Middleware

Message = Mapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Send], Awaitable[None]]

CALLBACK = {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "pipelines.serving.proxy.around"}
RETRY_AFTER = (b"retry-after", b"1")
UNAVAILABLE = 503
ERROR = {"code": "replica_lost", "message": "what answered is gone; try again", "type": "server_error", "param": None}
BODY = json.dumps({"error": ERROR}).encode()


def around() -> list[Middleware]:
    """What each proxy puts around its app."""
    from starlette.middleware import Middleware

    return [Middleware(Retryable)]


class Retryable:
    """An ASGI app around another: a request that gets no answer gets a 503, and every 503 says `Retry-After`."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Send) -> None:
        """Pass on what the app says; speak where it raises or ends before it has said anything."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        said = False

        async def pass_on(message: Message) -> None:
            nonlocal said
            said = True
            await send(_retryable(message))

        try:
            await self.app(scope, receive, pass_on)
        except Exception:
            if said:
                raise
        if not said:
            await _say(send)


def _retryable(message: Message) -> Message:
    if message["type"] != "http.response.start" or message["status"] != UNAVAILABLE:
        return message
    headers = list(message.get("headers", ()))
    if any(name.lower() == RETRY_AFTER[0] for name, _ in headers):
        return message
    return {**message, "headers": [*headers, RETRY_AFTER]}


async def _say(send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode()), RETRY_AFTER]
    await send({"type": "http.response.start", "status": UNAVAILABLE, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})

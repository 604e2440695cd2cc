"""The door: routes over a checker that may be replaced while they answer."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from pipelines.serving import kept_answer
from pipelines.serving.api import documents
from pipelines.serving.api.body import Receive, Scope
from pipelines.serving.api.gate import App, Gate, Send, error_body, path_of, refusal_headers
from pipelines.serving.api.intake import Fetcher, json_body, private_files, received, refused, upload_of
from pipelines.serving.api.metrics import Metrics
from pipelines.serving.api.moderations import inputs_of, moderated
from pipelines.serving.api.settings import Settings
from pipelines.serving.api.shown import refuse_unseen, shown, shown_models, shown_video
from pipelines.serving.contract import Checker, Refused
from pipelines.serving.videos import Hook, Videos

DRAINED = 1 << 20  # bytes of a body that is read to be thrown away
TRUE = {"1", "true", "yes"}
Handler = Callable[[Request], Awaitable[Response]]
Refuse = Callable[[Request, Exception], Awaitable[Response]]


def build(
    checker_of: Callable[[], Checker],
    settings: Settings,
    videos: Videos | None = None,
    fetcher: Fetcher | None = None,
    pages: Sequence[BaseRoute] = (),
) -> FastAPI:
    """Return the app. `pages` are served beside the API, without a key."""
    metrics = Metrics()
    door = _Door(checker_of, settings, metrics, videos, fetcher)
    app = FastAPI(title="Nightjar", version=version("nightjar"), docs_url=None, redoc_url=None, redirect_slashes=False)
    for path, method, handler, document in (
        ("/v1/check", "POST", door.check, documents.CHECK),
        ("/v1/moderations", "POST", door.moderations, documents.MODERATIONS),
        ("/v1/videos", "POST", door.accept, documents.VIDEOS),
        ("/v1/videos/{video_id}", "GET", door.status, documents.VIDEO),
        ("/v1/models", "GET", door.models, documents.MODELS),
        ("/healthz", "GET", door.healthz, documents.PLAIN),
        ("/readyz", "GET", door.readyz, documents.READY),
        ("/metrics", "GET", door.metrics_text, documents.PLAIN),
    ):
        app.add_api_route(path, handler, methods=[method], response_model=None, **document)
    if settings.keys:
        app.openapi_schema = documents.secured(app.openapi())
    app.router.routes.extend(pages)
    app.add_exception_handler(Refused, _refuse(metrics))
    app.add_exception_handler(HTTPException, _not_found(metrics))
    app.add_exception_handler(Exception, _broken(metrics))
    app.add_middleware(_Straight, handlers={("POST", "/v1/check"): door.check}, refuse=_refuse(metrics))
    app.add_middleware(Gate, settings=settings, metrics=metrics)  # the last one added is the first to be asked
    return app


class _Straight:
    """Hands the requests of the busiest routes to their handlers, past what FastAPI and Starlette do before and after.

    With 16 clients that is 0.3 of the 2.0 ms that the loop spends on a request. What a handler raises, other than
    Refused, is the gate's.
    """

    def __init__(self, app: App, handlers: Mapping[tuple[str, str], Handler], refuse: Refuse) -> None:
        self.app, self.handlers, self.refuse = app, handlers, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        handler = self.handlers.get((scope["method"], path_of(scope))) if scope["type"] == "http" else None
        if handler is None:
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await handler(request)
        except Refused as refused:
            response = await self.refuse(request, refused)
        await response(scope, receive, send)


class _Door:
    """What each route does."""

    def __init__(
        self,
        checker_of: Callable[[], Checker],
        settings: Settings,
        metrics: Metrics,
        videos: Videos | None,
        fetcher: Fetcher | None,
    ) -> None:
        self.checker_of, self.settings, self.metrics = checker_of, settings, metrics
        self.videos, self.fetcher = videos, fetcher

    async def check(self, request: Request) -> Response:
        await self._room(request)
        async with (
            self._in_time(request) as deadline_s,
            received(request, self.settings, self.fetcher) as fields,
        ):
            answer = await self.checker_of().check(upload_of(fields), deadline_s)
        refuse_unseen(answer)
        self.metrics.verdicts.labels(answer.verdict["suggestion"]).inc()
        return _json(shown(answer, evidence=_wants(request, "evidence")))

    async def moderations(self, request: Request) -> Response:
        await self._room(request)
        async with self._in_time(request) as deadline_s, private_files() as files:
            said = await json_body(request)
            inputs = await inputs_of(said.get("input"), files, self.fetcher, self.settings)
            checker = self.checker_of()
            found = [await moderated(checker, one, deadline_s) for one in inputs]
        for _, answers in found:
            for answer in answers:
                refuse_unseen(answer)
        results = [result for result, _ in found]
        return _json({"id": f"modr-{secrets.token_hex(12)}", "model": checker.described().bundle, "results": results})

    async def accept(self, request: Request) -> Response:
        videos = self._videos()
        async with received(request, self.settings, self.fetcher) as fields:
            upload = upload_of(fields)
            if upload.path is None:
                raise refused("nothing_to_check", "a video has to come as a file or a uri; texts are for /v1/check")
            video_id = await videos.accept(upload, request.scope["caller"].id, _hook(fields.texts))
        said = {"id": video_id, "upload_id": upload.upload_id, "status": "queued"}
        return _json(said, 202, {"Location": f"/v1/videos/{video_id}"})

    async def status(self, request: Request) -> Response:
        video_id = request.path_params["video_id"]
        found = await self._videos().status(video_id, request.scope["caller"].id)
        if found is None:
            raise refused("not_found", "there is no such video, or it is forgotten", 404)
        return _json(shown_video(found, evidence=_wants(request, "evidence")))

    async def models(self, request: Request) -> Response:  # noqa: ARG002
        return _json(shown_models(self.checker_of().described()))

    async def healthz(self, request: Request) -> Response:  # noqa: ARG002
        return _json({"status": "ok"})

    async def readyz(self, request: Request) -> Response:  # noqa: ARG002
        checker = self.checker_of()
        if getattr(checker, "drains", False):
            raise Refused(503, "draining", "the service is shutting down", 1.0)
        described = checker.described()
        return _json({"status": "ready", "bundle": described.bundle, "policy": described.policy})

    async def metrics_text(self, request: Request) -> Response:  # noqa: ARG002
        if self.videos:
            load = await asyncio.to_thread(self.videos.load)
            self.metrics.videos.labels("queued").set(load.queued)
            self.metrics.videos.labels("running").set(load.running)
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")

    async def _room(self, request: Request) -> None:
        """Raise Refused where there is no room. A short body is read all the same: then the connection can stay."""
        try:
            self.checker_of().admit()
        except Refused:
            told = request.headers.get("content-length", "")
            if told.isdecimal() and int(told[:12]) <= DRAINED:
                with suppress(ClientDisconnect):
                    async for _ in request.stream():
                        pass
            raise

    def _videos(self) -> Videos:
        if self.videos is None:
            raise refused("not_offered", "this service keeps no videos: it was started without --videos", 404)
        return self.videos

    @asynccontextmanager
    async def _in_time(self, request: Request) -> AsyncIterator[float]:
        """Yield the seconds that an answer may take, with its body and what is fetched for it; then 504."""
        deadline_s = self._deadline_s(request)
        try:
            async with asyncio.timeout(deadline_s) as clock:
                yield deadline_s
        except TimeoutError:
            if not clock.expired():
                raise
            raise Refused(504, "deadline_exceeded", f"no answer within {deadline_s:g} s", 1.0) from None

    def _deadline_s(self, request: Request) -> float:
        given = request.headers.get("x-deadline-ms")
        if given is None:
            return self.settings.deadline_s
        longest = round(self.settings.longest_deadline_s * 1000)
        if not given.isascii() or not given.isdigit() or not 1 <= int(given[:12]) <= longest:
            raise refused("bad_deadline", f"X-Deadline-Ms is {given[:40]!r}; allowed: 1 to {longest}")
        return int(given) / 1000


def _hook(texts: dict[str, str]) -> Hook | None:
    url, secret = texts.get("webhook"), texts.get("webhook_secret")
    if not url and not secret:
        return None
    if not url or not secret:
        raise refused("webhook_refused", "a webhook needs both webhook and webhook_secret")
    return Hook(url, secret)


def _wants(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() in TRUE


def _json(said: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps(said, ensure_ascii=False, allow_nan=False, default=kept_answer.plain).encode()
    return Response(body, status, headers, media_type="application/json")


def _refuse(metrics: Metrics) -> Refuse:
    async def handler(request: Request, error: Exception) -> Response:  # noqa: ARG001
        if not isinstance(error, Refused):
            raise error
        metrics.refused(error.code)
        headers = {name.decode(): value.decode() for name, value in refusal_headers(error)}
        return _json(error_body(error), error.status, headers)

    return handler


def _not_found(metrics: Metrics) -> Refuse:
    async def handler(request: Request, error: Exception) -> Response:  # noqa: ARG001
        status = getattr(error, "status_code", 500)
        codes = {404: "not_found", 405: "method_not_allowed"}
        refusal = Refused(status, codes.get(status, "http_error"), str(getattr(error, "detail", "")) or "refused")
        metrics.refused(refusal.code)
        return _json(error_body(refusal), status, dict(getattr(error, "headers", None) or {}))

    return handler


def _broken(metrics: Metrics) -> Refuse:
    async def handler(request: Request, error: Exception) -> Response:  # noqa: ARG001
        metrics.refused("internal_error")
        return _json(error_body(Refused(500, "internal_error", "the service failed; it was logged")), 500)

    return handler

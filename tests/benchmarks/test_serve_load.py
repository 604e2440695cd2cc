"""The load generator: how many requests it sends, whose time runs from when, and what it makes of refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from benchmarks import serve
from benchmarks.servers.load import Phase, Plan, run

Handler = Callable[[web.Request], Awaitable[web.Response]]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    (tmp_path / "picture.jpg").write_bytes(b"jpeg")
    return tmp_path / "picture.jpg"


def called(handler: Handler, picture: Path, *phases: Phase) -> list[dict]:
    async def both() -> list[dict]:
        app = web.Application()
        app.router.add_post("/check", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        try:
            url = f"http://127.0.0.1:{port}/check"
            return await run(Plan(url, [str(picture)], {"title": "a title"}, list(phases)))
        finally:
            await runner.cleanup()

    return asyncio.run(both())


def test_every_client_waits_for_its_answer_and_sends_the_form(picture):
    forms: list[dict[str, object]] = []
    open_now, most = 0, 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        form = await request.post()
        forms.append({"title": form["title"], "file": form["file"].file.read()})
        await asyncio.sleep(0.02)
        open_now -= 1
        return web.json_response({})

    (seen,) = called(answer, picture, Phase("three", 0.5, clients=3))
    assert most == 3
    assert len(seen["answered_ms"]) == len(forms) <= 3 * 0.5 / 0.02 + 3
    assert min(seen["answered_ms"]) >= 20
    assert {form["file"] for form in forms} == {b"jpeg"}
    assert len({form["title"] for form in forms}) == len(forms)  # nothing is answered from a memory


def test_in_an_open_loop_waiting_counts(picture):
    turn = asyncio.Lock()

    async def one_at_a_time(request: web.Request) -> web.Response:
        async with turn:
            await asyncio.sleep(0.05)
        return web.json_response({})

    (seen,) = called(one_at_a_time, picture, Phase("twice too many", 1.0, rate=40.0))
    assert len(seen["answered_ms"]) >= 25
    assert max(seen["answered_ms"]) > 400  # a closed loop of one would say 50 of every one
    assert seen["seconds"] > 1.2


def test_refusals_are_counted_apart_and_have_to_say_when(picture):
    answers = [web.HTTPOk, web.HTTPServiceUnavailable, web.HTTPTooManyRequests, web.HTTPInternalServerError]

    async def turns(request: web.Request) -> web.Response:
        kind = answers[turns.count % 4]
        turns.count += 1
        return kind(headers={"Retry-After": "1"} if kind is web.HTTPTooManyRequests else None)

    turns.count = 0
    (seen,) = called(turns, picture, Phase("one", 0.3, clients=1))
    a_turn = turns.count / 4
    assert len(seen["answered_ms"]) == pytest.approx(a_turn, abs=1)
    assert len(seen["refused_ms"]) == pytest.approx(2 * a_turn, abs=1)
    assert seen["without_retry_after"] == pytest.approx(a_turn, abs=1)
    assert seen["failed"] == pytest.approx(a_turn, abs=1)


def test_what_an_overload_came_to():
    seen = {"answered_ms": [10.0] * 98 + [20.0, 50.0], "refused_ms": [1.0] * 100, "failed": 0, "without_retry_after": 2}
    found = serve._overloaded(seen)
    assert found["overload_refused"] == 0.5
    assert found["overload_refused_p50_ms"] == 1.0
    assert found["overload_failed"] == 0.01
    assert 2.0 <= found["overload_p99_vs_p50"] <= 2.1


def test_the_report_says_what_a_first_screening_costs():
    metrics = {"p50_ms_1_nightjar": [31.0, 29.5, 30.2], "p50_ms_1_litserve": [44.0, 45.0, 46.0]}
    said = serve._first_screening(metrics)
    assert "takes 30.2 ms (29.5 to 31.0) at one client" in said
    assert said.endswith("the field's bar: 50 ms")
    assert serve._one_client(metrics).bars == {
        "nightjar": [31.0, 29.5, 30.2],
        "litserve": [44.0, 45.0, 46.0],
        "the field's bar": [50.0],
    }

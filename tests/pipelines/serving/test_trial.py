"""A trial in one process: challengers loaded, swapped, promoted and let go, and one on real models."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model_registry import store
from model_registry.errors import NightjarError
from model_registry.model import ModelRef
from pipelines.serving import trial
from pipelines.serving.api.metrics import SHADOW, Metrics
from pipelines.serving.beside import HERE, Models
from pipelines.serving.contract import Upload
from pipelines.serving.ingress import Ingress, Machine, Parts
from pipelines.serving.keeping import Keeping
from pipelines.serving.placement import Placement
from pipelines.serving.reload import Present
from pipelines.serving.replica import on_this_node
from pipelines.serving.service import Service, versions
from pipelines.serving.shadow import Nobody
from pipelines.serving.trial import House, Trial
from tests.fakes import FakeHead, FakeTower, fake_ref
from tests.serving_fakes import FakeChecker
from tests.shadow_parts import until

TEXT = Upload("a text", title="a title")


class Other(FakeChecker):
    """A fake of any version; `close` says that it was closed."""

    def __init__(self, version: str) -> None:
        super().__init__()
        self.version, self.closed = version, threading.Event()

    def described(self) -> Any:
        return replace(super().described(), bundle=f"fake@{self.version}+0")

    async def check(self, upload: Upload, deadline_s: float | None = None) -> Any:
        answer = await super().check(upload, deadline_s)
        return replace(answer, verdict={**answer.verdict, "bundle": f"fake@{self.version}+0"})

    def close(self) -> None:
        self.closed.set()


class Names:
    """What the challenger's names stand for, and every checker that was made of it."""

    def __init__(self, version: str) -> None:
        self.version, self.made, self.retired = version, list[Other](), list[Any]()

    def house(self) -> House:
        return House(self.plan, lambda _: self.version, self.load, self.retired.append)

    def plan(self, service: Service) -> Any:
        if self.version == "broken":
            raise NightjarError("version broken is not on this machine")
        bundle = SimpleNamespace(id=f"fake@{self.version}+0")
        return SimpleNamespace(bundle=bundle, policy=SimpleNamespace(id="fake@1+0"), version=self.version)

    def load(self, plan: Any, service: Service) -> Any:
        self.made.append(Other(plan.version))
        return self.made[-1]


@asynccontextmanager
async def on_trial(names: Names) -> AsyncIterator[Trial]:
    service = Service(challenger="challenger", shadow=1.0, reload_s=0.02)
    found = Trial(Present(Other("1")), service, service.tried, names.house())
    found.log.close = _nothing  # type: ignore[method-assign]
    tasks = [asyncio.create_task(work) for work in found.work()]
    try:
        yield found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await found.close()


async def _nothing(within_s: float) -> None:
    """No MLflow here."""


def test_a_new_challenger_is_taken_and_the_old_one_let_go() -> None:
    async def play() -> None:
        names = Names("2")
        async with on_trial(names) as found:
            await until(lambda: found.shadow.tried is not None)
            await found.shadow.check(TEXT)
            await until(lambda: found.shadow.outcomes["agree"] == 1)
            names.version = "3"
            await until(lambda: names.made[0] in names.retired)
            await found.shadow.check(TEXT)
            await until(lambda: found.shadow.outcomes["agree"] == 2)
            assert [len(made.seen) for made in names.made] == [1, 1]
            assert {pair[1].bundle for pair in found.log._totals} == {"fake@2+0", "fake@3+0"}
        assert names.retired[-1] is names.made[1]

    asyncio.run(play())


def test_what_came_of_it_is_counted_for_prometheus() -> None:
    def counted() -> float:
        [line] = [line for line in Metrics().text().decode().splitlines() if 'shadow_total{outcome="agree"}' in line]
        return float(line.split()[1])

    async def play() -> None:
        async with on_trial(Names("2")) as found:
            await until(lambda: found.shadow.tried is not None)
            SHADOW.labels("agree").inc(0)
            before = counted()
            await found.shadow.check(TEXT)
            await until(lambda: found.shadow.outcomes["agree"] == 1)
            assert counted() == before + 1

    asyncio.run(play())


def test_a_challenger_that_becomes_the_champion_is_tried_no_more(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        names = Names("2")
        async with on_trial(names) as found:
            await until(lambda: found.shadow.tried is not None)
            await found.shadow.champion.swap(Other("2"))
            await until(lambda: isinstance(found.shadow.challenger.checker, Nobody))
            await until(lambda: names.made[0] in names.retired)
            await found.shadow.check(TEXT)
            assert found.state()["tried"] is None
            assert sum(found.shadow.outcomes.values()) == 0

    asyncio.run(play())
    assert "nobody is tried: the challenger is bundle fake@2+0" in caplog.text


def test_a_challenger_that_cannot_be_loaded_costs_the_champion_nothing() -> None:
    async def play() -> None:
        names = Names("broken")
        async with on_trial(names) as found:
            await until(lambda: found.state()["trouble"] == "version broken is not on this machine")
            assert (await found.shadow.check(TEXT)).verdict["bundle"] == "fake@1+0"
            names.version = "2"
            await until(lambda: found.shadow.tried is not None and found.state()["trouble"] is None)

    asyncio.run(play())


def test_the_end_does_not_wait_for_a_challenger_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(trial, "CLOSE_S", 0.1)

    async def play() -> None:
        names = Names("2")
        hangs = SimpleNamespace(append=lambda checker: isinstance(checker, Other) and go.wait(10))
        names.retired = hangs  # type: ignore[assignment]
        async with on_trial(names) as found:
            await until(lambda: found.shadow.tried is not None)
            began = time.monotonic()
        assert time.monotonic() - began < 2

    asyncio.run(play())
    go.set()


def test_models_stay_as_long_as_anybody_needs_them() -> None:
    models, champion, challenger = Models(), object(), object()
    keeping, shared, own = Keeping(models), fake_ref(FakeTower), fake_ref(FakeHead)

    def loaded() -> set[str]:
        return {ref.name for ref, _ in models._loaded}

    with keeping.building([shared]):
        models.get(shared, "cpu")
        keeping.keep(champion, [shared])
    with keeping.building([shared, own]):
        tower = models.get(shared, "cpu")
        models.get(own, "cpu")
        keeping.let_go(object())  # somebody else is retired meanwhile
        assert loaded() == {shared.name, own.name}
        keeping.keep(challenger, [shared, own])
    assert models.get(shared, "cpu") is tower
    keeping.let_go(challenger)
    assert loaded() == {shared.name}
    with suppress(ValueError), keeping.building([own]):
        models.get(own, "cpu")
        raise ValueError("what it is built of is not to be had")
    assert loaded() == {shared.name}
    keeping.let_go(champion)
    assert loaded() == set()


def test_a_challenger_is_another_version_until_it_is_promoted(registry: Path, tmp_path: Path) -> None:
    service = Service(challenger="challenger")
    assert service.tried
    assert versions(service.tried) == versions(service)
    (tmp_path / "model.onnx").write_bytes(b"weights")
    store.register("open_nsfw", {"open-nsfw": tmp_path / "model.onnx"}, "challenger")
    assert set(versions(service.tried)) - set(versions(service)) == {"open_nsfw 1"}
    store.promote("open_nsfw", "1")
    assert versions(service.tried) == versions(service)


def test_a_model_replica_fetches_a_version_whatever_its_alias(registry: Path, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (tmp_path / "model.onnx").write_bytes(f"weights {number}".encode())
        store.register("open_nsfw", {"open-nsfw": tmp_path / "model.onnx"})
    store.promote("open_nsfw", "1")
    store.promote("open_nsfw", "3", "challenger")
    for number in (1, 2, 3):
        elsewhere = ModelRef("open_nsfw", f"mlflow-{number}", "a:B", (("open-nsfw", "/on/another/node/model.onnx"),))
        found = on_this_node(elsewhere)
        assert (found.version, found.implementation) == (elsewhere.version, "a:B")
        assert Path(dict(found.weights)["open-nsfw"]).read_bytes() == f"weights {number}".encode()
    built_in = ModelRef("open_nsfw", "1", "a:B", (("open-nsfw", "/on/another/node/model.onnx"),))
    assert on_this_node(built_in) == built_in
    with pytest.raises(NightjarError, match="the model registry"):
        on_this_node(ModelRef("open_nsfw", "mlflow-9", "a:B", (("open-nsfw", "/nowhere"),)))


# The house


class Bare(Ingress):
    """An ingress without Ray Serve, which would end it."""

    def __del__(self) -> None:
        """Ended by the test."""


SKIN, SEA = (200, 150, 120), (30, 60, 90)  # a plain picture that is a little explicit to the model, one that is not


@pytest.mark.usefixtures("lite")
def test_another_policy_is_tried_on_real_models_that_are_loaded_once(tmp_path: Path) -> None:
    service = Service(challenger_policy="strict", shadow=1.0, reload_s=0.1, skip=("speech", "ocr"))
    uploads = [Upload("a text", title="add me on WeChat, guaranteed profit")]
    for name, colour in (("skin", SKIN), ("sea", SEA)):
        path = tmp_path / f"{name}.png"
        Image.fromarray(np.full((240, 320, 3), colour, np.uint8)).save(path)
        uploads.append(Upload(name, path))

    async def play() -> None:
        async with bare(service) as ingress:
            alone = [await ingress.present.check(upload) for upload in uploads]
            loaded, found = HERE.waiting().keys(), ingress.trial
            assert found
            await until(lambda: found.shadow.tried is not None or found.reloader.trouble, 60)
            assert found.reloader.trouble is None
            assert HERE.waiting().keys() == loaded
            for upload, wanted in zip(uploads, alone, strict=True):
                assert _without_moment(await ingress.checker.check(upload)) == _without_moment(wanted)
            await until(lambda: sum(found.shadow.outcomes.values()) == len(uploads), 60)
            [(pair, totals)] = found.log._totals.items()
            assert [judge.bundle for judge in pair] == [alone[0].verdict["bundle"]] * 2
            assert [judge.policy.partition("@")[0] for judge in pair] == ["default", "strict"]
            assert totals.table == {("review", "review"): 1, ("pass", "review"): 1, ("pass", "pass"): 1}
            assert [row["upload_id"] for row in totals.example_rows()] == ["skin"]
            assert {counts.difference for counts in totals.labels.values()} == {0.0}
            assert (await ingress.state())["shadow"]["disagree"] == 1
        assert HERE.waiting() == {}

    asyncio.run(play())


@asynccontextmanager
async def bare(service: Service) -> AsyncIterator[Bare]:
    ingress = Bare.__new__(Bare)
    parts = replace(Parts(), door=lambda *_: None)
    await ingress.__init__(service, Machine(Placement.TOGETHER), parts)  # type: ignore[misc]
    ingress.trial.log.close = _nothing
    ingress.__serve_build_asgi_app__()
    try:
        yield ingress
    finally:
        for task in ingress._tasks:
            task.cancel()
        await asyncio.wait(ingress._tasks)
        await ingress.trial.close()
        await asyncio.to_thread(ingress._retire, ingress.present.checker)


def _without_moment(answer: Any) -> tuple[Any, ...]:
    verdict = {name: value for name, value in answer.verdict.items() if name != "decided_at"}
    return verdict, answer.signals, answer.lines, answer.matches, answer.evidence

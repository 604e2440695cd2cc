"""The deployment that callers reach: the door over a checker that is built here, and reloaded here."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_registry.bundles import PinnedBundle
from pipelines.serving.beside import HERE, BesideRef
from pipelines.serving.contract import QUEUE_SIZE, Checker
from pipelines.serving.keeping import Keeping
from pipelines.serving.placement import Placement, placed
from pipelines.serving.reload import Present, Reloader
from pipelines.serving.replica import check_gpu
from pipelines.serving.served import Served, ServedRef
from pipelines.serving.service import Plan, Service, plan, versions
from pipelines.serving.trial import House, Trial

if TYPE_CHECKING:
    from pipelines.copyright.online import OnlineBank

log = logging.getLogger(__name__)

RECYCLE_AFTER = 2000  # uploads: most are pictures, whose decoder does not leak, and another child costs a second


@dataclass(frozen=True)
class Machine:
    """What one ingress replica has, and where its models live."""

    placement: Placement
    lanes: int = 1  # batches of one model at once, on the CPU, each on one core
    workers: int = 2
    queue_size: int = QUEUE_SIZE
    on_gpu: bool = False
    app: str = "nightjar"

    def place(self, bundle: PinnedBundle) -> PinnedBundle:
        """Return the bundle whose models load as they lie here."""
        return placed(bundle, self.placement, self.app, on_gpu=self.on_gpu, lanes=self.lanes)


def examiner(plan: Plan, service: Service, machine: Machine) -> Checker:
    """The checker of the house, warm."""
    from pipelines.decode.limits import Limits
    from pipelines.serving.examiner import Examiner

    made = Examiner.of(
        plan.bundle,
        plan.policy,
        service.sampling,
        Limits(recycle_after=RECYCLE_AFTER),
        plan.lexicons,
        _matcher(plan, machine.lanes),
        workers=machine.workers,
        aside=machine.lanes - 1,
        queue_size=machine.queue_size,
    )
    made.warm()
    return made


_banks: dict[Path, OnlineBank] = {}  # of this process: the next version takes over what the last one indexed


def _matcher(plan: Plan, threads: int) -> OnlineBank | None:
    if plan.bank is None:
        return None
    from pipelines.copyright.online import OnlineBank

    known = _banks.get(plan.bank)
    _banks[plan.bank] = known.refreshed() if known else OnlineBank.open(plan.bank, threads)
    return _banks[plan.bank]


def videos(service: Service) -> Any:
    """The queue of those that are checked later."""
    if service.videos is None:
        return None
    from pipelines.serving.api.shown import shown_video
    from pipelines.serving.posting import SafePoster
    from pipelines.serving.videos import Videos

    return Videos(Path(service.videos), poster=SafePoster(), shown=shown_video)


def door(present: Callable[[], Checker], service: Service, videos: Any) -> Any:
    """The door of the house: a FastAPI app."""
    from pipelines.serving import page
    from pipelines.serving.api.door import build
    from pipelines.serving.api.settings import Settings
    from pipelines.serving.http.exchange import FetchLimits
    from pipelines.serving.http.fetch import Fetcher

    settings = Settings(keys=_path(service.keys), shared=_path(service.shared), **service.door)
    fetcher = Fetcher(settings.allow, FetchLimits(max_bytes=settings.most_bytes)) if settings.allow else None
    return build(present, settings, videos, fetcher, page.routes())


def _path(name: str | None) -> Path | None:
    return Path(name) if name else None


@dataclass(frozen=True)
class Parts:
    """What an ingress is put together from, each an importable function; a test puts others in."""

    plan: Callable[[Service], Plan] = plan
    versions: Callable[[Service], object] = versions
    checker: Callable[[Plan, Service, Machine], Checker] = examiner
    door: Callable[[Callable[[], Checker], Service, Any], Any] = door
    videos: Callable[[Service], Any] = videos


class Ingress:
    """One replica. It starts when its checker has answered once, and goes on with that where no other can be had."""

    async def __init__(self, service: Service, machine: Machine, parts: Parts, *_models: Any) -> None:  # type: ignore[misc]
        _be_quiet()
        self.service, self.machine, self.parts = service, machine, parts
        self._keeping, self._tasks = Keeping(), set[asyncio.Task[None]]()
        self._answering = await asyncio.to_thread(parts.versions, service)
        self.present = Present(await asyncio.to_thread(self._build))
        self.videos = parts.videos(service)
        self.reloader = Reloader(
            self.present, lambda: parts.versions(service), self._build, self._retire, service.reload_s
        )
        self.trial = self._trial()
        self.checker: Checker = self.trial.shadow if self.trial else self.present

    def __serve_build_asgi_app__(self) -> Any:
        """Hand Ray Serve the door; it calls this after the constructor, on the loop that will answer."""
        self._start(self.reloader.run(self._answering))
        for work in self.trial.work() if self.trial else ():
            self._start(work)
        if self.videos:
            self._start(self.videos.run(lambda: self.checker))
        return self.parts.door(lambda: self.checker, self.service, self.videos)

    def check_health(self) -> None:
        """Raise where a model of this process hangs, or its GPU no longer answers."""
        HERE.check_running()
        check_gpu()

    async def drain(self) -> None:
        """Refuse what comes, and return when what runs has ended; videos that wait are kept for the next start."""
        if self.videos:
            self.videos.stop()
        await self.present.drain()

    async def state(self) -> dict[str, Any]:
        """What answers here, and what keeps something newer from it."""
        described = self.present.described()
        said = {"bundle": described.bundle, "policy": described.policy, "bank": described.bank}
        loaded = {"reloads": self.reloader.reloads, "trouble": self.reloader.trouble, "waiting": HERE.waiting()}
        return {**said, **loaded, "shadow": self.trial.state() if self.trial else None}

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.get_running_loop().create_task(work))

    def _trial(self) -> Trial | None:
        """One looks at one upload at a time for the challenger, beside those who look for callers."""
        if (tried := self.service.tried) is None:
            return None
        load = partial(self._load, machine=replace(self.machine, workers=1))
        house = House(self.parts.plan, self.parts.versions, load, self._retire)
        return Trial(self.present, self.service, tried, house)

    def _build(self) -> Checker:
        return self._load(self.parts.plan(self.service), self.service, self.machine)

    def _load(self, found: Plan, service: Service, machine: Machine) -> Checker:
        """Place, load and warm; takes a thread for seconds. What another checker here has loaded is used again."""
        bundle = machine.place(found.bundle)
        for ref in bundle.models:
            if isinstance(ref, ServedRef):
                Served(ref).ready()
        refs = [ref.plain for ref in bundle.models if isinstance(ref, BesideRef)]
        with self._keeping.building(refs):
            checker = self.parts.checker(replace(found, bundle=bundle), service, machine)
            self._keeping.keep(checker, refs)
        return checker

    def _retire(self, checker: Checker) -> None:
        """Close what answers no more, and let go of the models that only it used."""
        if close := getattr(checker, "close", None):
            close()
        self._keeping.let_go(checker)

    async def __del__(self) -> None:
        """Ray Serve awaits this when the last request has ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.videos:
            self.videos.close()
        if self.trial:
            await self.trial.close()
        await asyncio.to_thread(self._retire, self.present.checker)
        await super().__del__()  # type: ignore[misc]  # the wrapper that Ray Serve puts this class into ends the app


def _be_quiet() -> None:
    """Libraries of models speak to their users; a service has none at its terminal."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

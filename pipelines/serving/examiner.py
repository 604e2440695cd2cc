"""Answers many callers with the night's own stages: a few worker threads, shared models, a bounded queue, deadlines."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
import wave
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Self

from model_registry.bundles import PinnedBundle
from model_registry.labels import taxonomy
from model_registry.model import ModelRef
from model_registry.models.speech.sound import example_sounds
from pipelines.decode.child import DecodeChild
from pipelines.decode.limits import Limits, Sampling
from pipelines.nightly import Machines
from pipelines.risk.policy import Policy
from pipelines.rows import AUDIO_HZ
from pipelines.serving.ahead import Texts
from pipelines.serving.contract import QUEUE_SIZE, Answer, Described, Look, Refused, Upload
from pipelines.serving.crew import Along, Crew, Taken
from pipelines.serving.inspection import Inspection, inspect, look_together
from pipelines.serving.opened import CopyFinder, Opened
from pipelines.text.words.lexicon import Lexicons

PICTURE_SIZE = (320, 240)  # pixels of the picture that warms up


@dataclass
class Patience:
    """How long a caller waits, and whether still."""

    deadline: float | None = None  # of time.monotonic()
    gone: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise Refused where nobody waits any more."""
        if self.gone.is_set() or (self.deadline is not None and time.monotonic() >= self.deadline):
            raise too_late()


@dataclass(frozen=True)
class Asked:
    """What a worker is to look at, and for whom."""

    upload: Upload
    texts: Texts | None
    patience: Patience

    def begun(self, opened: Opened, child: DecodeChild) -> Inspection:
        """Raise Refused where nobody waits any more, or where nothing can be decoded."""
        self.patience.check()
        inspection = Inspection(opened, self.upload, child, self.texts, self.patience.check)
        inspection.begin()
        return inspection


def too_late() -> Refused:
    """504 for a caller whose time is over."""
    return Refused(504, "deadline_exceeded", "the answer was not ready within the time allowed", 1.0)


class Examiner:
    """A Checker in this process. Each worker thread has a decode child of its own; models and lexicons are shared."""

    def __init__(self, opened: Opened, described: Described, workers: int, queue_size: int = QUEUE_SIZE) -> None:
        self._opened, self._described = opened, described
        self._children = [DecodeChild(opened.limits) for _ in range(workers)]
        self._crew = Crew("the examiner", self._children, queue_size, self._examine)

    @classmethod
    def of(
        cls,
        bundle: PinnedBundle,
        policy: Policy,
        sampling: Sampling,
        limits: Limits,
        lexicons: Lexicons | None = None,
        matcher: CopyFinder | None = None,
        *,
        workers: int = 1,
        threads: int = 1,
        gpus: float = 0.0,
        aside: int = 0,
        queue_size: int = QUEUE_SIZE,
    ) -> Self:
        """Load all models, each once with so many threads a call, on the GPU where there is a share of one.

        `aside` threads run models that need nothing of each other beside the worker that has the upload.
        """
        machines = Machines(model_threads=threads, model_gpus=gpus)
        opened = Opened.of(bundle, policy, sampling, limits, lexicons, matcher, machines, aside)
        return cls(opened, described(bundle, policy, lexicons, matcher), workers, queue_size)

    async def check(self, upload: Upload, deadline_s: float | None = None) -> Answer:
        """Look at one upload and judge it.

        Raises Refused: 429 where the queue is full or its end too far away, 504 where the deadline passes, 503 while
        closing, 400 where nothing here can look at it. A caller that goes away or is too late leaves the queue at once;
        what already runs stops at the next window.
        """
        self._opened.looks_at(upload)
        patience = Patience(None if deadline_s is None else time.monotonic() + deadline_s)
        texts = self._opened.expect(upload)
        try:
            future = self._crew.submit(Asked(upload, texts, patience), deadline_s)
            return await self._answer(future, patience, deadline_s)
        finally:
            self._opened.forget(texts)

    async def _answer(self, future: Future[Answer], patience: Patience, deadline_s: float | None) -> Answer:
        try:
            async with asyncio.timeout(deadline_s):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise too_late() from None
        finally:
            self._leave(future, patience)

    def _examine(self, child: DecodeChild, first: Taken[Asked, Answer], along: Along[Asked, Answer]) -> None:
        """Look at what is short together, until one holds on to the child."""
        begun: list[tuple[Taken[Asked, Answer], Inspection]] = []
        for taken in chain([first], iter(along, None)):
            with taken.telling():
                begun.append((taken, taken.job.begun(self._opened, child)))
            if begun and not begun[-1][1].has_ended:
                break
        look_together(inspection for _, inspection in begun)
        for taken, inspection in begun:
            with taken.telling():
                taken.future.set_result(inspection.answer())

    def _leave(self, future: Future[Answer], patience: Patience) -> None:
        patience.gone.set()
        self._crew.forget(future)

    def described(self) -> Described:
        """Say which versions answer."""
        return self._described

    def admit(self) -> None:
        """Raise Refused where the queue is full."""
        self._crew.admit()

    @property
    def waiting(self) -> int:
        """How many uploads wait for a worker."""
        return self._crew.waiting

    def warm(self) -> None:
        """Start every decode child and let every model compute once, so that the first caller does not wait for it."""
        if self._opened.hear:  # voice activity may find no speech in vowels
            self._opened.hear.predict(self._opened.hear.examples()[:1])
        with tempfile.TemporaryDirectory(prefix="nightjar-warm-") as folder:
            uploads = _tiny_uploads(Path(folder), self._opened.offers)
            self._crew.everyone(lambda child: [inspect(self._opened, upload, child) for upload in uploads])

    def close(self) -> None:
        """Take no more uploads, let those that were taken end, then end the decode children."""
        self._crew.close()
        self._opened.aside.close()
        for child in self._children:
            child.close()


def described(
    bundle: PinnedBundle, policy: Policy, lexicons: Lexicons | None = None, matcher: CopyFinder | None = None
) -> Described:
    """Every version that a verdict depends on."""
    return Described(
        bundle=bundle.id,
        policy=policy.id,
        taxonomy=taxonomy().version,
        lexicons=lexicons.id if lexicons else None,
        bank=matcher.source if matcher else None,
        models=tuple(_described(ref) for ref in bundle.models),
    )


def _described(ref: ModelRef) -> dict[str, Any]:
    spec = ref.spec
    kinds = {"reads": spec.reads.value, "writes": spec.writes.value}
    said = {"calibrated": spec.calibrated, "caveat": spec.caveat}
    return {"name": ref.name, "version": ref.version, "labels": list(spec.labels), **kinds, **said}


def _tiny_uploads(folder: Path, looks: frozenset[Look]) -> list[Upload]:
    """A picture with a word on it, vowels, and a text."""
    picture, sound = folder / "picture.png", folder / "sound.wav"
    _draw(picture)
    _play(sound)
    uploads = [Upload("warm-picture", picture, title="warm", looks=looks), Upload("warm-sound", sound, looks=looks)]
    return uploads + ([Upload("warm-text", title="warm", looks=looks)] if Look.TEXT in looks else [])


def _draw(path: Path) -> None:
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", PICTURE_SIZE, (30, 60, 90))
    ImageDraw.Draw(picture).text((20, 30), "warm", font=ImageFont.load_default(28), fill="white")
    picture.save(path)


def _play(path: Path) -> None:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(AUDIO_HZ)
        out.writeframes(example_sounds()[0].tobytes())

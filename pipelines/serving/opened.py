"""What is opened once and shared by all uploads: the night's stages with their models, the lexicons, the bank."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from model_registry.bundles import PinnedBundle
from model_registry.model import AnyModel
from pipelines.copyright.matched import Matched
from pipelines.decode.limits import Limits, Sampling
from pipelines.nightly import Machines
from pipelines.predict import loaded
from pipelines.risk.policy import Policy
from pipelines.serving.ahead import ReadAhead, Texts
from pipelines.serving.contract import Look, Refused, Upload
from pipelines.serving.looking import Group, night_of, stages_of
from pipelines.serving.waves import Aside
from pipelines.text.neighbours import texts_of
from pipelines.text.night import reader_of
from pipelines.text.read import Read, ReadTexts
from pipelines.text.readings import Reader
from pipelines.text.transcripts import written
from pipelines.text.words.lexicon import Lexicons
from pipelines.text.words.matcher import Hit, Matcher


class CopyFinder(Protocol):
    """A reference bank for single uploads."""

    @property
    def source(self) -> str:
        """The bank as signals name it: `bank@version`."""

    def match(self, views: pa.Table, peaks: pa.Table, stills: pa.Table, duration_ms: int) -> Matched:
        """What one content holds of the bank, given its rows as `Pieces.rows` has them."""


class SharedMatcher(Matcher):
    """A matcher for several threads, one at a time: a title takes it some tenths of a millisecond."""

    def __init__(self, lexicons: Lexicons) -> None:
        super().__init__(lexicons)
        self._turn = threading.Lock()

    def match(self, texts: Sequence[str]) -> list[list[Hit]]:
        """As `Matcher` does."""
        with self._turn:
            return super().match(texts)


@dataclass(frozen=True)
class Opened:
    """Everything that is opened once and shared: models, lexicons, the bank. For any number of threads.

    ONNX Runtime, CTranslate2 and torch compute for several threads at once, and no model here keeps anything between
    two calls; Hyperscan does, so texts are matched in turn.
    """

    bundle: str
    policy: Policy
    sampling: Sampling
    limits: Limits
    groups: Mapping[frozenset[Look], Group]  # by every combination of `offers`
    offers: frozenset[Look]
    aside: Aside
    read: ReadAhead | None = None
    reader: Reader | None = None
    matcher: CopyFinder | None = None
    hear: AnyModel | None = None  # the speech model, by itself

    @classmethod
    def of(
        cls,
        bundle: PinnedBundle,
        policy: Policy,
        sampling: Sampling,
        limits: Limits,
        lexicons: Lexicons | None = None,
        matcher: CopyFinder | None = None,
        machines: Machines | None = None,
        aside: int = 0,
    ) -> Opened:
        """Load every model that some look needs; `aside` threads help the one that looks."""
        machines = machines or Machines()
        bound_blas(machines.model_threads)
        offers = offered(bundle, lexicons, matcher)
        night = night_of(bundle, sampling, limits, machines)
        works = {stage: stage.open() for stage in stages_of(night, offers)}
        beside = Aside(aside)
        groups = {
            looks: Group(stages_of(night, looks), lambda stage: works.get(stage) or stage.open(), beside)
            for looks in combinations(offers)
        }
        return cls(
            bundle=bundle.id,
            policy=policy,
            sampling=sampling,
            limits=limits,
            groups=groups,
            offers=offers,
            aside=beside,
            read=ReadAhead(_read(bundle, lexicons, machines)) if lexicons else None,
            reader=reader_of(bundle, lexicons) if lexicons else None,
            matcher=matcher,
            hear=loaded(bundle.speech, machines.device, machines.model_threads) if bundle.speech else None,
        )

    def looks_at(self, upload: Upload) -> frozenset[Look]:
        """Those of its looks that are had here; raises Refused where that leaves nothing to look at."""
        looks = upload.looks & self.offers
        if looks and (upload.path or Look.TEXT in looks):
            return looks
        wanted, had = (", ".join(sorted(some)) for some in (upload.looks, self.offers))
        what = "the file" if upload.path else "a text"
        raise Refused(400, "nothing_to_look_with", f"{what} cannot be looked at with {wanted}; had here: {had}")

    def expect(self, upload: Upload) -> Texts | None:
        """Announce what it says, to be read before its turn where others are read; None where nobody reads it."""
        if self.read is None or Look.TEXT not in upload.looks:
            return None
        return self.read.expect(list(dict.fromkeys(texts_of(written(upload.row(), 0)))))

    def forget(self, texts: Texts | None) -> None:
        """The upload it belongs to has gone or has been answered."""
        if self.read and texts:
            self.read.forget(texts)


def offered(bundle: PinnedBundle, lexicons: Lexicons | None, matcher: CopyFinder | None) -> frozenset[Look]:
    """The looks that there is something to look with."""
    had = {Look.OCR: bundle.ocr, Look.SPEECH: bundle.speech, Look.TEXT: lexicons, Look.COPYRIGHT: matcher}
    return frozenset({Look.VISUAL, *(look for look, what in had.items() if what is not None)})


def bound_blas(threads: int) -> None:
    """Let NumPy's products take so many threads too; more of them spin between the calls, a core each."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads, user_api="blas")


def combinations(looks: frozenset[Look]) -> Iterator[frozenset[Look]]:
    """Every choice of at least one of them."""
    ordered = sorted(looks)
    for bits in range(1, 1 << len(ordered)):
        yield frozenset(look for place, look in enumerate(ordered) if bits >> place & 1)


def _read(bundle: PinnedBundle, lexicons: Lexicons, machines: Machines) -> Read:
    stage = ReadTexts(
        lexicons=lexicons,
        folder="",
        tower=bundle.text_tower,
        heads=bundle.text_heads,
        bands=reader_of(bundle, lexicons).thresholds,
        device=machines.device,
        threads=machines.model_threads,
    )
    return stage.reader(SharedMatcher(lexicons))

"""What of a night's stages an upload goes through: those that its looks ask for, and what these read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import pyarrow as pa

from model_registry.bundles import PinnedBundle
from pipelines.decode.limits import Limits, Sampling
from pipelines.nightly import Machines, nightly_stages
from pipelines.pieces import KINDS
from pipelines.risk.evidence import EVIDENCE_FLOOR, KeepStills, Thumbnails, webp
from pipelines.rows import THUMBNAIL, WINDOWS, ErrorCode, windows_of_frames
from pipelines.serving.contract import Look
from pipelines.serving.waves import Aside, Step, StepFailed, Took, waves
from pipelines.speech.heard import Heard
from pipelines.stage import Stage, Together, Work

FINDS = {  # look -> the kinds of a night's features that it comes to
    Look.VISUAL: ("signals", "thumbnails"),
    Look.OCR: ("shown", "stills"),
    Look.SPEECH: ("said", "stills"),  # voices are compared with those of other uploads, and here is but one
    Look.TEXT: (),
    Look.COPYRIGHT: ("views", "peaks", "stills"),
}
OF_SOUND = frozenset({Look.SPEECH, Look.COPYRIGHT})
OF_PICTURES = frozenset({Look.VISUAL, Look.OCR})
KEPT = frozenset({"window_index", "last", "duration_ms", "error_code", "error_message", *KINDS})


@dataclass(frozen=True, kw_only=True)
class Flagged(Thumbnails):
    """Pictures of the frames that a policy may point at, and no poster: encoding one takes as long as all the rest."""

    def open(self) -> Work:
        """Nothing to load."""

        def work(table: pa.Table) -> Iterator[pa.Table]:
            column = [_flagged(*window) for window in _windows(table)]
            yield table.append_column("thumbnails", pa.array(column, pa.list_(THUMBNAIL))).drop_columns("frames_THWC")

        return work


def _windows(table: pa.Table) -> Iterator[tuple[pa.Table, list[int], list[dict[str, object]]]]:
    times, signals = table["frame_ms"].to_pylist(), table["signals"].to_pylist()
    for row, (frame_ms, found) in enumerate(zip(times, signals, strict=True)):
        yield table.slice(row, 1), frame_ms, found


def _flagged(window: pa.Table, frame_ms: list[int], signals: list[dict[str, object]]) -> list[dict[str, object]]:
    wanted = {signal["evidence_ms"] for signal in signals if float(str(signal["score"])) >= EVIDENCE_FLOOR}
    frames_THWC = windows_of_frames(window)[0] if wanted else ()
    chosen = [(ms, frame) for ms, frame in zip(frame_ms, frames_THWC, strict=False) if ms in wanted]
    return [{"frame_ms": ms, "webp": webp(frame)} for ms, frame in chosen]


def night_of(bundle: PinnedBundle, sampling: Sampling, limits: Limits, machines: Machines) -> tuple[Stage, ...]:
    """The night's own stages over windows, in their order, without the guard's journal and without a folder."""
    groups = [stage for stage in nightly_stages(bundle, sampling, limits, machines, "") if isinstance(stage, Together)]
    return tuple(stage for group in groups for stage in group.stages)


def needed(stages: Sequence[Stage], wanted: Iterable[str]) -> list[Stage]:
    """Leave out every stage whose columns nobody wants and no stage that stays reads."""
    columns, kept = set(wanted), list[Stage]()
    for stage in reversed(stages):
        if columns & set(stage.writes):
            columns |= set(stage.reads)
            kept.insert(0, stage)
    return kept


def stages_of(night: Sequence[Stage], looks: frozenset[Look]) -> list[Stage]:
    """The stages that some looks need.

    That there is no picture is no error to who wants none, or hears it all. Where there is no time for stills,
    there is none for a poster.
    """
    transcribed = Look.SPEECH in looks and any(isinstance(stage, Heard) for stage in night)
    own = [stage for stage in night if not isinstance(stage, Heard)]
    kept = needed(own, {kind for look in looks for kind in FINDS[look]})
    heard = transcribed or not looks & OF_PICTURES
    if not any(isinstance(stage, KeepStills) for stage in kept):
        kept = [Flagged() if isinstance(stage, Thumbnails) else stage for stage in kept]
    return [*kept, *([Heard()] if heard else [])]


@lru_cache
def sampling_for(looks: frozenset[Look], sampling: Sampling) -> Sampling:
    """Sound is decoded for those who listen, and where nobody wants pictures; codes are read for those who read."""
    sound = bool(looks & OF_SOUND) or not looks & OF_PICTURES
    return replace(sampling, sound=sound, codes=Look.OCR in looks)


class Group:
    """The stages of some looks, opened: one window in, what was found in it out, whatever the models do."""

    def __init__(self, stages: Sequence[Stage], opened: Callable[[Stage], Work], aside: Aside) -> None:
        self.waves, self.aside = waves([Step(stage, opened(stage)) for stage in stages]), aside

    def __call__(self, window: pa.Table, took: Took) -> pa.Table:
        """Work on one row; a model that raises costs its results and leaves the reason, as in `pipelines.guard`.

        What the service itself refuses (no room at a model, no time left) goes on to the caller.
        """
        try:
            return self._kept(self._through(window, took))
        except StepFailed as failed:
            return self._kept(_lost(window, failure(failed.step, failed.error)))

    def together(self, windows: Sequence[pa.Table], took: Took) -> list[pa.Table] | None:
        """Work on a row of each of several uploads at once; None where that fails, so that each may try alone."""
        try:
            found = self._kept(self._through(pa.concat_tables(windows), took))
        except Exception:  # noqa: BLE001 it comes again to the one whose it is
            return None
        return [found.slice(row, 1) for row in range(len(windows))]

    def _through(self, table: pa.Table, took: Took) -> pa.Table:
        for wave in self.waves:
            table = self.aside.through(wave, table, took)
        return table

    def _kept(self, table: pa.Table) -> pa.Table:
        return table.select([name for name in table.column_names if name in KEPT])


def failure(step: str, error: Exception) -> str:
    """One sentence about a step that raised."""
    reason = (str(error).strip() or "no reason given").splitlines()[0][:300]
    return f"{step} failed with {type(error).__name__}: {reason}"


def _lost(window: pa.Table, sentence: str) -> pa.Table:
    """Leave the reason; an error that the window brought along stays the first, unless it was but without a picture."""
    code, message = (window[name][0].as_py() for name in ("error_code", "error_message"))
    if code == ErrorCode.NO_VIDEO.value:
        code = message = None
    said = {"error_code": code or ErrorCode.MODEL_FAILED.value}
    said["error_message"] = f"{message}; {sentence}" if message else sentence
    for name, value in said.items():
        window = window.set_column(window.schema.get_field_index(name), WINDOWS.field(name), pa.array([value]))
    return window

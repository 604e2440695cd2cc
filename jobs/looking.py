"""Look at a night's contents: once, or at their keyframes first and densely where those leave a doubt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs import progress
from jobs.recipes import Recipe, rows_a_task
from jobs.watching.meter import Meter
from jobs.watching.watch import Watch
from model_registry.errors import NightjarError
from pipelines.attempts import Attempts
from pipelines.nightly import Machines, attempts_of, nightly_stages
from pipelines.passes import Passes
from pipelines.pieces import Pieces, sweep
from pipelines.places import Place, place, remove, write_table
from pipelines.risk.screening import Doubt, screen
from pipelines.rows import ErrorCode
from pipelines.run import look, unsettled

LOOKING, AT_KEYFRAMES = "looking", "looking at keyframes"  # steps
TURNS = 3  # URIs of a content that are tried
BROKEN_FROM = 20  # videos that the models fail on, if they are most
BY_KEYFRAMES = pa.schema(
    [
        ("video_id", pa.string()),
        ("content_sha256", pa.string()),
        ("keyframes", pa.int32()),
        ("longest_gap_ms", pa.int64()),
    ]
)


@dataclass
class Looked:
    """Which contents one run looked at to their end; in a cascade some of them twice."""

    duration_ms: dict[str, int] = field(default_factory=dict)

    def add(self, receipts: pa.Table) -> None:
        """Note the receipts of last windows."""
        for row in receipts.select(["content_sha256", "last", "duration_ms"]).to_pylist():
            if row["last"]:
                self.duration_ms[row["content_sha256"]] = row["duration_ms"] or 0

    def facts(self) -> dict[str, Any]:
        """How many, and how long they are."""
        return {"videos": len(self.duration_ms), "hours": round(sum(self.duration_ms.values()) / 3.6e6, 6)}


@dataclass(frozen=True)
class Looking:
    """What looking at a night's contents takes."""

    watch: Watch
    manifest: pa.Table
    contents: pa.Table  # CONTENTS
    features: Place
    recipe: Recipe
    machines: Machines
    cpus: float
    retry_failed: bool
    looked: Looked = field(default_factory=Looked)

    def run(self) -> Pieces:
        """Look at what is not settled yet."""
        dense = Pieces(self.features / self.recipe.features)
        done = dense.examined() if self.retry_failed else dense.settled()
        if self.recipe.keyframes_first:
            return self._twice(dense, done)
        return self._once(LOOKING, self.recipe, dense, done)

    def _twice(self, dense: Pieces, done: Set[str]) -> Passes:
        """What failed at keyframes goes on, so that a retry is a dense look."""
        first = keyframes_of(self.recipe)
        sweep(self.features / first.features)
        keyframes = Pieces(self.features / first.features)
        keyframes = self._once(AT_KEYFRAMES, first, keyframes, done | keyframes.settled())
        tonight = set(self.contents["content_sha256"].to_pylist())
        screened = screen(keyframes, keyframes.contents.keys() & tonight, self.recipe.policy)
        settled = {sha256 for sha256, one in screened.items() if not one.doubt}
        doubts = Counter(one.doubt for one in screened.values() if one.doubt)
        progress.say(f"keyframes settled {len(settled)} of {len(screened)} contents{_going_on(doubts)}")
        return Passes(self._once(LOOKING, self.recipe, dense, done | settled), keyframes, screened)

    def _once(self, title: str, recipe: Recipe, pieces: Pieces, settled: Set[str]) -> Pieces:
        """Add to the pieces what is not settled, and return all."""
        folder = str(pieces.folder.absolute())
        attempts = Attempts(place(attempts_of(folder)))
        if self.retry_failed:
            attempts.clear()
        todo = unsettled(self.contents, settled)
        self.watch.queue(*_waiting(self.manifest, self.contents, todo))
        stages = nightly_stages(
            recipe.bundle, recipe.sampling, recipe.limits, self.machines, folder, copies=recipe.copies
        )
        with self.watch.step(title, todo.num_rows) as step:

            def advance(receipts: pa.Table) -> None:
                finished, meter = self.watch.receipts(receipts), self.watch.meter
                self.looked.add(receipts)
                step.advance(finished, f"{meter.frames} frames, {meter.errors} errors")
                refuse_broken_models(meter)

            for turn in range(1, TURNS + 1):  # where a file went away or changed, the same content may lie elsewhere
                if not todo.num_rows:
                    break
                look(stages, todo, rows_a_task(todo.num_rows, self.cpus), advance)
                pieces = Pieces(pieces.folder)
                todo = unsettled(self.contents, settled | pieces.settled(), turn)
        attempts.clear()
        return pieces


def keyframes_of(recipe: Recipe) -> Recipe:
    """The first pass of a recipe: keyframes, sound where speech is written down, and nothing for copies."""
    every_ms = max(recipe.sampling.interval_ms, recipe.policy.keyframes.every_ms)
    hears = recipe.bundle.speech is not None
    sampling = replace(recipe.sampling, keyframes_only=True, interval_ms=every_ms, sound=hears)
    return replace(recipe, keyframes_first=False, copies=False, sampling=sampling)


def _going_on(doubts: Counter[Doubt]) -> str:
    why = ", ".join(f"{n} {doubt}" for doubt, n in doubts.most_common())
    return f"; {doubts.total()} go on to the dense look ({why})" if doubts else ""


def keyframe_facts(recipe: Recipe, pieces: Passes, steps_s: Mapping[str, float]) -> dict[str, Any]:
    """What a summary says of the cascade: how many contents rest on keyframes, and why the others do not."""
    doubts = Counter(str(one.doubt) for one in pieces.screened.values() if one.doubt)
    return {
        "settled": len(pieces.by_keyframes),
        "went_on": doubts.total(),
        "doubts": dict(doubts.most_common()),
        "features": keyframes_of(recipe).features,
        "steps_s": {step: steps_s[step] for step in (AT_KEYFRAMES, LOOKING)},
    }


def both_passes(steps_s: Mapping[str, float]) -> dict[str, float]:
    """Time by step, both looks as one: together they are what looking took."""
    known = dict(steps_s)
    first_s = known.pop(AT_KEYFRAMES, 0.0)
    return known | {LOOKING: round(known[LOOKING] + first_s, 3)}


def keep_by_keyframes(path: Place, contents: pa.Table, pieces: Pieces) -> None:
    """Name the videos whose verdicts rest on keyframes; of a night that has no such, no file stays."""
    if not isinstance(pieces, Passes):
        remove(path)
        return
    whose = zip(*(contents[name].to_pylist() for name in BY_KEYFRAMES.names[:2]), strict=True)
    rows = [
        {"video_id": video_id, "content_sha256": sha256, **vars(pieces.screened[sha256])}
        for video_id, sha256 in whose
        if sha256 in pieces.by_keyframes
    ]
    write_table(path, pa.Table.from_pylist(rows, BY_KEYFRAMES))


def _waiting(manifest: pa.Table, contents: pa.Table, todo: pa.Table) -> tuple[int, str | None]:
    """How many uploads wait to be looked at, and when the oldest of them came."""
    waits = pc.is_in(contents["content_sha256"], value_set=todo["content_sha256"].combine_chunks())
    ids = contents["video_id"].filter(waits)
    rows = manifest.filter(pc.is_in(manifest["video_id"], value_set=ids.combine_chunks()))
    return rows.num_rows, pc.min(rows["uploaded_at"]).as_py()


def refuse_broken_models(meter: Meter) -> None:
    """Raise where most videos fail in the models: that is no video's fault, and a morning of errors helps nobody."""
    failed = meter.errors_by_code[ErrorCode.MODEL_FAILED.value]
    if failed >= BROKEN_FROM and failed > meter.contents / 2:
        raise NightjarError(
            f"the models failed on {failed} of {meter.contents} videos, so they are broken and not the videos: "
            "mend them and run the same command with --retry-failed"
        )

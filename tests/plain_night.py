"""A whole night in this process, stage after stage through folders: the plain reference of what the service answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from model_registry.bundles import PinnedBundle
from pipelines.contents import Hash
from pipelines.decode.limits import Limits, Sampling
from pipelines.nightly import Machines, nightly_stages
from pipelines.pieces import Pieces
from pipelines.risk.judge import Night, judge_night
from pipelines.risk.policy import Policy
from pipelines.rows import MANIFEST, SOURCES
from pipelines.run import unsettled
from pipelines.stage import run_local
from pipelines.text.night import Machine, read_texts, reader_of
from pipelines.text.readings import Readings
from pipelines.text.transcripts import lines_of_night
from pipelines.text.words.lexicon import Lexicons

TABLES = ("verdicts", "signals", "transcripts", "matches")


@dataclass(frozen=True)
class PlainNight:
    """What a night wrote: rows of each table by video, and its pictures by name."""

    rows: Mapping[str, Mapping[str, list[dict[str, Any]]]]
    evidence: Mapping[str, bytes]

    def of(self, table: str, video_id: str) -> list[dict[str, Any]]:
        """Rows of one video, without its id."""
        found = self.rows[table].get(video_id, [])
        return [{name: value for name, value in row.items() if name != "video_id"} for row in found]


def plain_night(
    folder: Path,
    uploads: list[dict[str, Any]],
    bundle: PinnedBundle,
    policy: Policy,
    sampling: Sampling,
    limits: Limits,
    lexicons: Lexicons | None = None,
) -> PlainNight:
    """Run the night over manifest rows, and read back what it wrote."""
    manifest = pa.Table.from_pylist(uploads, MANIFEST)
    pq.write_table(manifest, folder / "manifest.parquet")
    contents = run_local([Hash(limits=limits)], manifest.select(["video_id", "uri"]))
    stages = nightly_stages(bundle, sampling, limits, Machines(), str(folder / "pieces"))
    todo = unsettled(contents, set())
    if todo.num_rows:
        # As in the workers of a night. Two threads add up a spectrum in another order, and Whisper, on some processors,
        # then ends a line a quarter of a second earlier.
        with threadpool_limits(1, "blas"):
            run_local(stages, todo.select(SOURCES.names))
    pieces = Pieces(folder / "pieces")
    readings = _read(folder, bundle, lexicons, contents, pieces) if lexicons else None
    night = Night(folder / "manifest.parquet", contents, pieces, bundle.id, readings=readings)
    judge_night(night, policy, folder)
    pictures = {path.stem: path.read_bytes() for path in (folder / "evidence").iterdir()}
    return PlainNight({name: _by_video(folder / f"{name}.parquet") for name in TABLES}, pictures)


def _read(folder: Path, bundle: PinnedBundle, lexicons: Lexicons, contents: pa.Table, pieces: Pieces) -> Readings:
    texts = [line.text for _, _, line in lines_of_night(folder / "manifest.parquet", contents, pieces)]
    readings = Readings.made_by(reader_of(bundle, lexicons), folder / "text")
    return read_texts(texts, bundle, lexicons, readings, Machine(), lambda _: None)


def _by_video(path: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in pq.read_table(path).to_pylist():
        found.setdefault(row["video_id"], []).append(row)
    return found

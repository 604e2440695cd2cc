"""Run a night on Ray Data: hash what came in, leave out what is settled, look at the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.contents import Hash
from pipelines.decode.limits import Limits
from pipelines.pieces import Pieces
from pipelines.rows import CONTENTS, SOURCES
from pipelines.stage import PipelineError, Stage, refuse_if_short, run
from pipelines.storage import modified_ns

RESERVED_SHARE = 0.1  # of the machine, split among the stages; Ray Data's 0.5 leaves decoding one task on two cores
TARGET_BLOCK_BYTES = 64 << 20  # a few windows: enough for the model's batches, little enough to hold several
HASH_ROWS = 64  # rows a hashing task takes
Advance = Callable[[pa.Table], None]  # called with each table of finished rows


def hash_contents(manifest: pa.Table, known: Path, limits: Limits, advance: Advance) -> pa.Table:
    """Return CONTENTS for every manifest row, and keep them in the file `known`.

    A local file that still has the size and date it was hashed with is not read again.
    """
    kept = _unchanged(manifest, known)
    fresh = manifest.select(["video_id", "uri"]).filter(_is_new(manifest["video_id"], kept["video_id"]))
    advance(kept)
    tables = [kept]
    if fresh.num_rows:
        for table in _stream([Hash(limits=limits, cpus=0.5)], fresh, HASH_ROWS):
            tables.append(table)
            advance(table)
    contents = pa.concat_tables(tables)
    known.parent.mkdir(parents=True, exist_ok=True)
    part = known.with_suffix(".part")
    pq.write_table(contents, part)
    part.replace(known)
    return contents


def _is_new(values: pa.ChunkedArray, known: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.invert(pc.is_in(values, value_set=known.combine_chunks()))


def _unchanged(manifest: pa.Table, known: Path) -> pa.Table:
    if not known.exists():
        return CONTENTS.empty_table()
    uris = dict(zip(manifest["video_id"].to_pylist(), manifest["uri"].to_pylist(), strict=True))
    rows = [
        row
        for row in pq.read_table(known, schema=CONTENTS).to_pylist()
        if uris.get(row["video_id"]) == row["uri"]
        and row["error_code"] is None
        and row["modified_ns"] is not None
        and row["modified_ns"] == modified_ns(row["uri"])
    ]
    return pa.Table.from_pylist(rows, CONTENTS)


def unsettled(contents: pa.Table, pieces: Pieces) -> pa.Table:
    """Return (content_sha256, uri, bytes) of each content once that no piece settles: same content, one decode."""
    settled = pieces.settled()
    rows = {
        row["content_sha256"]: row
        for row in reversed(contents.to_pylist())
        if row["content_sha256"] and row["content_sha256"] not in settled
    }
    return pa.Table.from_pylist([rows[sha256] for sha256 in reversed(rows)], SOURCES)


def look(stages: Sequence[Stage], contents: pa.Table, rows_a_task: int, advance: Advance) -> None:
    """Run the stages over contents and report the receipts of what was committed."""
    if contents.num_rows:
        for receipts in _stream(stages, contents, rows_a_task):
            advance(receipts)


def _stream(stages: Sequence[Stage], table: pa.Table, rows_a_task: int) -> Iterator[pa.Table]:
    """Run stages over a table held by the driver; yields what comes out, in any order."""
    import ray
    from ray.exceptions import RayError

    refuse_if_short(stages, ray.cluster_resources())
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False  # the jobs show their own
    context.target_max_block_size = TARGET_BLOCK_BYTES
    context.op_resource_reservation_ratio = RESERVED_SHARE
    chunks = [table.slice(start, rows_a_task).combine_chunks() for start in range(0, table.num_rows, rows_a_task)]
    rows = run(stages, ray.data.from_arrow(chunks))
    try:
        yield from rows.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
    except RayError as error:
        names = ", ".join(stage.name for stage in stages)
        raise PipelineError(f"the pipeline ({names}) failed: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """What went wrong on the worker, in one line and without Ray's traceback."""
    cause = getattr(error, "cause", None) or error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return " ".join(str(cause).split())[:500] or type(cause).__name__

"""Run a night, on Ray Data or on this machine alone: hash what came in, leave out what is settled, look at the rest."""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence, Set
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contents import Hash
from pipelines.decode.limits import Limits
from pipelines.local.pool import stream as stream_here
from pipelines.places import PART, Place, exists, is_full, make, read_table, write_table
from pipelines.rows import CONTENTS, SOURCES
from pipelines.stage import PipelineError, Stage, StageError, refuse_if_short, run
from pipelines.storage import modified_ns

RESERVED_SHARE = 0.1  # of the machine, split among the stages; Ray Data's 0.5 leaves decoding one task on two cores
TARGET_BLOCK_BYTES = 64 << 20  # a few windows: enough for the model's batches, little enough to hold several
SAVE_EVERY_S = 60.0  # what was hashed is kept, because a night's uploads are hashed for long
HASH_ROWS = 64  # rows a hashing task takes
Advance = Callable[[pa.Table], None]  # called with each table of finished rows


def hash_contents(manifest: pa.Table, known: Place, limits: Limits, advance: Advance) -> pa.Table:
    """Return CONTENTS for every manifest row, and keep them in the file `known`.

    A local file whose status has not changed since it was hashed is not read again.
    """
    kept = _unchanged(manifest, known)
    fresh = manifest.select(["video_id", "uri"]).filter(_is_new(manifest["video_id"], kept["video_id"]))
    advance(kept)
    make(known.parent)
    tables, saved = [kept], time.monotonic()
    if fresh.num_rows:
        for table in _stream([Hash(limits=limits, cpus=0.5)], fresh, HASH_ROWS):
            tables.append(table)
            advance(table)
            if time.monotonic() - saved > SAVE_EVERY_S:
                write_table(known, pa.concat_tables(tables))
                saved = time.monotonic()
    contents = pa.concat_tables(tables)
    write_table(known, contents)
    return contents


def _is_new(values: pa.ChunkedArray, known: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.invert(pc.is_in(values, value_set=known.combine_chunks()))


def _unchanged(manifest: pa.Table, known: Place) -> pa.Table:
    if not exists(known):
        return CONTENTS.empty_table()
    uris = dict(zip(manifest["video_id"].to_pylist(), manifest["uri"].to_pylist(), strict=True))
    rows = [
        row
        for row in read_table(known, schema=CONTENTS).to_pylist()
        if uris.get(row["video_id"]) == row["uri"]
        and row["error_code"] is None
        and row["modified_ns"] is not None
        and row["modified_ns"] == modified_ns(row["uri"])
    ]
    return pa.Table.from_pylist(rows, CONTENTS)


def unsettled(contents: pa.Table, settled: Set[str], turn: int = 0) -> pa.Table:
    """Return SOURCES of each content once that is not settled: same content, one decode.

    Where the same content was uploaded under several URIs, another turn takes another of them, and leaves out contents
    that have no more.
    """
    places: dict[str, dict[str, dict[str, Any]]] = {}
    for row in contents.select(SOURCES.names).to_pylist():
        if row["content_sha256"] and row["content_sha256"] not in settled:
            places.setdefault(row["content_sha256"], {}).setdefault(row["uri"], row)
    rows = [list(known.values())[turn] for known in places.values() if len(known) > turn]
    return pa.Table.from_pylist(rows, SOURCES)


def look(stages: Sequence[Stage], contents: pa.Table, rows_a_task: int, advance: Advance) -> None:
    """Run the stages over contents and report the receipts of what was committed."""
    if contents.num_rows:
        for receipts in _stream(stages, contents, rows_a_task):
            advance(receipts)


def cluster_resources() -> dict[str, float]:
    """What the cluster has, or could have once its autoscaler has started every node that it may."""
    import ray
    from ray._private.state import state  # Ray Data and Ray Train ask there too

    present = dict(ray.cluster_resources())
    allowed = state.get_max_resources_from_cluster_config() or {}
    return present | {name: max(float(amount), present.get(name, 0.0)) for name, amount in allowed.items()}


def refuse_unshared(folder: Place) -> None:
    """Raise PipelineError where a node of the cluster cannot see the folder: its pieces would be lost there."""
    if not on_ray():
        return
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"]]
    if not isinstance(folder, Path) or len(nodes) < 2:
        return
    probe = folder / f"probe-{uuid.uuid4().hex[:8]}{PART}"
    probe.touch()
    sees = ray.remote(num_cpus=0)(os.path.exists)
    try:
        where = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=True) for node in nodes]
        asked = [sees.options(scheduling_strategy=node).remote(str(probe.absolute())) for node in where]
        blind = [node["NodeManagerHostname"] for node, seen in zip(nodes, ray.get(asked), strict=True) if not seen]
    finally:
        probe.unlink(missing_ok=True)
    if blind:
        raise PipelineError(
            f"output {folder} is not shared: {', '.join(blind)} cannot see it; give a shared folder or a URI"
        )


def on_ray() -> bool:
    """Whether this process has joined a cluster; without one, all work is done by processes of this machine."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def _stream(stages: Sequence[Stage], table: pa.Table, rows_a_task: int) -> Iterator[pa.Table]:
    """Run stages over a table held by the driver; yields what comes out, in any order."""
    try:
        yield from (_on_ray if on_ray() else stream_here)(stages, table, rows_a_task)
    except StageError as error:
        names = ", ".join(stage.name for stage in stages)
        raise PipelineError(f"the pipeline ({names}) failed: {_reason(error.cause)}{_remedy(error.cause)}") from error


def _on_ray(stages: Sequence[Stage], table: pa.Table, rows_a_task: int) -> Iterator[pa.Table]:
    import ray
    from ray.exceptions import RayError

    refuse_if_short(stages, cluster_resources())
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False  # the jobs show their own
    context.target_max_block_size = TARGET_BLOCK_BYTES
    context.op_resource_reservation_ratio = RESERVED_SHARE
    chunks = [table.slice(start, rows_a_task).combine_chunks() for start in range(0, table.num_rows, rows_a_task)]
    rows = run(stages, ray.data.from_arrow(chunks))
    try:
        yield from rows.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
    except RayError as error:
        raise StageError(getattr(error, "cause", None) or error) from error


def _reason(cause: Exception) -> str:
    """What went wrong on the worker, in one line and without its traceback."""
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return " ".join(str(cause).split())[:500] or type(cause).__name__


def _remedy(cause: Exception) -> str:
    """What to do about a full disk; finished pieces stay."""
    if not is_full(cause):
        return ""
    return "; free some space and run the same command again: what is finished is not done again"

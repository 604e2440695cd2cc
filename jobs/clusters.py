"""Find reposts: groups of uploads with the same content, of a stored night and of the nights before it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from jobs import progress
from jobs.arguments import NIGHTS, count
from jobs.clustering import History, cluster, space_of, uploads_of
from jobs.judge import read_summary
from jobs.retention import why_gone
from jobs.table import clock, printable
from model_registry.errors import UsageError
from pipelines.clusters.members import NAME, Membership, memberships
from pipelines.lock import lock
from pipelines.pieces import Pieces
from pipelines.places import Place, exists, place, read_table, write_table
from pipelines.risk.judge import VIDEO_SIGNALS
from pipelines.risk.verdicts import VERDICTS

EXAMPLES = """examples:
  nightjar clusters recalls/dt=2026-11-21
  nightjar clusters recalls/dt=2026-11-21 --nights 30
  nightjar clusters recalls/dt=2026-11-21 --history archive --json
  nightjar clusters recalls/dt=2026-11-21 --rebuild

Writes clusters.parquet into the night's folder: one row for each upload in each group, with the stretch that it
shares with the group's medoid and whether it came first. The verdicts of record get cluster_id and cluster_size, and
their decisions stay; signals.parquet gets a Copyright/Reupload signal for each later upload by another uploader, which
leads to nothing until a policy's rule says `models = "clusters"`: see `nightjar judge`, which also makes the report
anew. What was compared once is not compared again, and ids stay the same from night to night."""
SHOWN = 20  # clusters of the table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("folder", type=place, metavar="DIR", help="a night's folder, such as recalls/dt=2026-11-21")
    parser.add_argument("--nights", type=count, default=NIGHTS, metavar="N", help=f"nights before (default: {NIGHTS})")
    parser.add_argument("--history", type=place, metavar="DIR", help="where those lie (default: beside the night)")
    parser.add_argument("--bank", type=Path, metavar="DIR", help="compare in the descriptor space of this bank")
    parser.add_argument("--rebuild", action="store_true", help="compare everything again; ids stay")
    parser.add_argument("--json", action="store_true", help="print the rows of clusters.parquet as JSON lines")


def run(args: argparse.Namespace) -> int:
    """Cluster one night and write it down."""
    folder: Place = args.folder.absolute()
    summary = read_summary(folder)
    features = folder / "features" / summary["run"]["features"]
    if why := why_gone(folder, summary):
        raise UsageError(f"{why}: it can be clustered no more")
    if not exists(features):
        raise UsageError(f"{folder} lacks {features}; were the features pruned?")
    space = space_of(str(summary["versions"]["models"][0]), args.bank)
    with lock(folder, "clusters"):
        night = uploads_of(folder, Pieces(features))
        earlier = History(args.nights, args.history).of(folder, summary["run"]["features"])
        progress.say(f"{len(night.uploads)} uploads, {len(earlier)} nights before")
        found, facts = cluster(night, earlier, space, rebuild=args.rebuild)
        keep(folder, memberships(found.rows, folder.name))
    if args.json:
        for row in found.rows:
            print(json.dumps(row, ensure_ascii=True))
    else:
        print_clusters(found.rows)
    compared = f"{facts['pairs_compared']} pairs compared in {facts['seconds']:.1f} s"
    progress.say(f"{facts['clusters']} clusters of {facts['uploads']} uploads, {facts['reposts']} reposts; {compared}")
    progress.say(f"clusters: {folder / NAME}")
    return 0


def keep(folder: Place, found: Mapping[str, Membership]) -> None:
    """Write clusters and reposts into the verdicts and signals of record; what was decided stays."""
    path, signals = folder / "verdicts.parquet", folder / "signals.parquet"
    if not exists(path):
        return
    verdicts = read_table(path, schema=VERDICTS)
    own = [found.get(video_id) for video_id in verdicts["video_id"].to_pylist()]
    for name, values in (
        ("cluster_id", [one and one.cluster_id for one in own]),
        ("cluster_size", [one and one.size for one in own]),
    ):
        column = verdicts.schema.get_field_index(name)
        field = VERDICTS.field(name)
        verdicts = verdicts.set_column(column, field, pa.array(values, field.type))
    write_table(path, verdicts)
    if exists(signals):
        write_table(signals, with_reposts(read_table(signals, schema=VIDEO_SIGNALS), verdicts, found))


def with_reposts(signals: pa.Table, verdicts: pa.Table, found: Mapping[str, Membership]) -> pa.Table:
    """Replace what signals say of reposts."""
    import pyarrow.compute as pc

    from pipelines.clusters.members import SOURCE

    others = signals.filter(pc.invert(pc.equal(signals["source"], SOURCE)))
    durations = dict(zip(verdicts["video_id"].to_pylist(), verdicts["duration_ms"].to_pylist(), strict=True))
    rows = [
        {"video_id": video_id, **{name: getattr(signal, name) for name in VIDEO_SIGNALS.names[1:]}}
        for video_id, one in found.items()
        if (signal := one.signal(durations.get(video_id) or 0))
    ]
    return pa.concat_tables([others, pa.Table.from_pylist(rows, VIDEO_SIGNALS)])


def print_clusters(rows: Iterable[Mapping[str, Any]]) -> None:
    """The largest clusters, a line an upload; names are hostile until shown otherwise."""
    clusters: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        clusters.setdefault(row["cluster_id"], []).append(row)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("cluster", "size", "upload", "night", "uploader", "uploaded", "shares", "note"):
        table.add_column(column, overflow="fold")
    for own in sorted(clusters.values(), key=lambda one: (-one[0]["size"], one[0]["cluster_id"]))[:SHOWN]:
        for row in own:
            shown = [row["cluster_id"], row["size"], row["video_id"], row["night"], row["uploader_id"]]
            shown += [row["uploaded_at"], _shares(row), _note(row)]
            table.add_row(*[printable(str(value if value is not None else "")) for value in shown])
    Console(markup=False).print(table)
    if len(clusters) > SHOWN:
        progress.say(f"{len(clusters) - SHOWN} more clusters are in {NAME}")


def _shares(row: Mapping[str, Any]) -> str:
    if row["start_ms"] is None:
        return "all, the same bytes" if row["role"] == "member" else ""
    mine = f"{clock(row['start_ms'])}-{clock(row['end_ms'])}"
    return f"{mine} = {clock(row['medoid_start_ms'])}-{clock(row['medoid_end_ms'])}, {row['verified']}"


def _note(row: Mapping[str, Any]) -> str:
    words = ["medoid"] * (row["role"] == "medoid") + ["first"] * row["first"] + ["repost"] * row["repost"]
    return ", ".join(words)


if __name__ == "__main__":
    from jobs.cli import main

    main(["clusters", *sys.argv[1:]])

"""Judge stored signals again under another policy: opens no video, loads no model, starts no cluster."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

from jobs import progress
from jobs.outcome import counts, write_report
from jobs.retention import why_gone
from jobs.table import print_json, print_table
from model_registry.errors import UsageError
from model_registry.labels import taxonomy
from pipelines.clusters.members import NAME as CLUSTERS
from pipelines.clusters.members import read_memberships
from pipelines.copyright.matched import Matched, matches_folder
from pipelines.passes import passes
from pipelines.pieces import Pieces
from pipelines.places import Place, exists, place, read_bytes, read_table
from pipelines.risk.judge import Night, Tally, judge_night
from pipelines.risk.policy import Policy, load_policy
from pipelines.text.readings import Readings

EXAMPLES = """examples:
  nightjar judge recalls/dt=2026-11-21 --policy strict
  nightjar judge recalls/dt=2026-11-21 --policy ours.toml --output trial

The verdicts of record stay as they are: the new ones go to DIR/policy=ID/, or where --output says, with a
count of what would change."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("folder", type=place, metavar="DIR", help="a night's folder, such as recalls/dt=2026-11-21")
    parser.add_argument("--policy", required=True, metavar="P", help="a shipped policy or a TOML file")
    parser.add_argument("--output", type=place, metavar="DIR", help="where the new verdicts go")
    parser.add_argument("--json", action="store_true", help="print verdicts as JSON lines")


def run(args: argparse.Namespace) -> int:
    """Judge, report, and say what changed."""
    began = time.monotonic()
    policy = load_policy(args.policy)
    earlier = read_summary(args.folder)
    night = stored_night(args.folder, earlier, policy)
    out = args.output or args.folder / f"policy={policy.id}"
    tally = judge_night(night, policy, out)
    summary = _summary(earlier, night, policy, tally, time.monotonic() - began)
    write_report(out, f"{args.folder.name} under {policy.id}", summary, policy, tally, night.pieces)
    if args.json:
        print_json(out / "verdicts.parquet")
    else:
        print_table(tally)
    for line in changes(args.folder / "verdicts.parquet", out / "verdicts.parquet"):
        progress.say(line)
    progress.say(f"report: {(out / 'report.html').absolute()}")
    return 0


def read_summary(folder: Place) -> dict[str, Any]:
    """Read what a finished night says of itself; raises UsageError."""
    path = folder / "summary.json"
    try:
        found: dict[str, Any] = json.loads(read_bytes(path))
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} is no folder of a finished night: {path.name} cannot be read") from error
    return found


def stored_night(folder: Place, summary: dict[str, Any], policy: Policy | None = None) -> Night:
    """Return what is stored of a night, its matches with a bank included; raises UsageError.

    What a night saw by keyframes only counts as far as the policy has no doubt of it, and nothing of it without one.
    """
    manifest, contents = folder / "manifest.parquet", folder / "features" / "contents.parquet"
    features = folder / "features" / summary["run"]["features"]
    reader = summary.get("text", {}).get("reader")
    read = features / "text" / reader if reader else None
    if why := why_gone(folder, summary):
        raise UsageError(f"{why}: it can be judged and rescanned no more")
    if missing := [str(path) for path in (manifest, contents, features, read) if path and not exists(path)]:
        raise UsageError(f"{folder} lacks {', '.join(missing)}; were the features pruned?")
    bank = summary.get("copyright", {}).get("bank_version")
    matched = Matched(matches_folder(features, bank)) if bank else None
    day = date.fromisoformat(summary["run"].get("day") or summary["run"]["started_at"][:10])  # no day before banks
    readings = Readings(read) if read else None
    bundle = summary["versions"]["bundle"]
    pieces = Pieces(features)
    if policy and (first := summary.get("keyframes")):
        pieces = passes(pieces, Pieces(folder / "features" / first["features"]), policy)
    clusters = read_memberships(folder / CLUSTERS, folder.absolute().name)
    return Night(manifest, read_table(contents), pieces, bundle, matched, day, readings, clusters)


def run_again(job: str, earlier: dict[str, Any], night: Night, took_s: float) -> dict[str, Any]:
    """What a summary says of a run over stored features."""
    kept = {"features": earlier["run"]["features"], "day": night.day.isoformat()}
    began = datetime.fromtimestamp(time.time() - took_s, UTC).isoformat(timespec="seconds")
    return {"job": job, "started_at": began, "seconds": round(took_s, 3), **kept}


def _summary(earlier: dict[str, Any], night: Night, policy: Policy, tally: Tally, took_s: float) -> dict[str, Any]:
    versions = earlier["versions"] | {"policy": policy.id, "taxonomy": taxonomy().version}
    kept: dict[str, Any] = {name: earlier[name] for name in ("copyright", "text", "keyframes") if name in earlier}
    run = run_again("judge", earlier, night, took_s)
    return {"run": run, "counts": counts(tally), **kept, "versions": versions}


def changes(before: Place, after: Place) -> list[str]:
    """Count the videos whose suggestion moved: one sentence a kind of move."""
    if not exists(before):
        return []
    then, now = (_suggestions(path) for path in (before, after))
    moves = Counter((then[video], new) for video, new in now.items() if video in then and then[video] != new)
    same = sum(then.get(video) == new for video, new in now.items())
    moved = [f"{n} from {old} to {new}" for (old, new), n in moves.most_common()]
    return [f"against the verdicts of record: {same} the same" + "".join(f", {move}" for move in moved)]


def _suggestions(verdicts: Place) -> dict[str, str]:
    table = read_table(verdicts, columns=["video_id", "suggestion"])
    return dict(zip(table["video_id"].to_pylist(), table["suggestion"].to_pylist(), strict=True))


if __name__ == "__main__":
    from jobs.cli import main

    main(["judge", *sys.argv[1:]])

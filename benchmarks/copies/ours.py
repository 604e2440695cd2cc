"""Our own detector over a corpus, by the code that `bank add` and `recall` run: pictures, sound, and both together."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.copies.metrics import Match
from jobs import session
from jobs.arguments import REFERENCE_INTERVAL_S
from jobs.bank_add import add
from jobs.matching import known_contents, search
from jobs.recipes import machines_for, match_machine, rows_a_task
from model_registry.bundles import bundle_named, pin
from pipelines.copyright.bank.reader import BankReader
from pipelines.copyright.bank.reference import State
from pipelines.copyright.describe import copy_stages
from pipelines.copyright.matched import Matched, matches_folder
from pipelines.decode.limits import Limits, Sampling
from pipelines.pieces import Pieces
from pipelines.run import hash_contents, look, unsettled

BUNDLE = "lite"
VERIFIED = "verified"


def ours(references: Sequence[Path], queries: Sequence[Path], work: Path) -> dict[str, list[Match]]:
    """Return the matches of "ours, picture", "ours, sound" and "ours, fused"; names are the files' stems."""
    build_bank(references, work / "bank")
    table, names = match_queries(queries, work)
    return {
        "ours, picture": _matches(table, names, "Image", "score"),
        "ours, sound": _matches(table, names, "Audio", "score"),
        "ours, fused": _fused(table, names),
    }


def build_bank(references: Sequence[Path], folder: Path) -> None:
    """Add what the bank does not hold yet."""
    said = {"metadata": None, "kind": None, "bundle": BUNDLE, "alias": "champion", "offline": False}
    paths = [str(path) for path in references]
    add(argparse.Namespace(paths=paths, bank=folder, interval=REFERENCE_INTERVAL_S, **said))


def match_queries(queries: Sequence[Path], work: Path) -> tuple[pa.Table, dict[str, str]]:
    """Look at queries and match them; return the rows of MATCHES, and the stem of each content."""
    bundle = pin(bundle_named(BUNDLE))
    sampling, folder = Sampling(frame_side=bundle.frame_side), work / "features" / bundle.id
    manifest = pa.table({"video_id": [path.stem for path in queries], "uri": [str(path) for path in queries]})
    bank = BankReader.open(work / "bank")
    with session.workers() as resources:
        machines = machines_for(resources, bundle)
        contents = hash_contents(manifest, work / "features" / "contents.parquet", Limits(), lambda _: None)
        todo = unsettled(contents, Pieces(folder).settled())
        stages = copy_stages(bundle, sampling, Limits(), machines, folder, whole=False)
        look(stages, todo, rows_a_task(todo.num_rows, resources.get("CPU", 1.0)), lambda _: None)
        pieces = Pieces(folder)
        matched = Matched(matches_folder(folder, bank.version))
        shas = known_contents(contents, pieces)
        search(bank, bank.references(State.ACTIVE), pieces, shas, matched, match_machine(resources))
    pairs = zip(contents["content_sha256"].to_pylist(), contents["video_id"].to_pylist(), strict=True)
    return matched.table(), dict(pairs)


def _matches(table: pa.Table, names: dict[str, str], form: str, score: str) -> list[Match]:
    rows = [row for row in table.to_pylist() if row["form"] == form]
    return [_match(row, names, score, _is_doubted([row])) for row in rows]


def _fused(table: pa.Table, names: dict[str, str]) -> list[Match]:
    """One match a claim: where picture and sound agree, the span of the surer."""
    claims: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for row in table.to_pylist():
        if row["form"]:
            claims[row["content_sha256"], row["claim"]].append(row)
    surest = ((max(rows, key=lambda row: float(row["score"])), rows) for rows in claims.values())
    return [_match(row, names, "claim_score", _is_doubted(rows)) for row, rows in surest]


def _is_doubted(rows: Sequence[dict[str, Any]]) -> bool:
    """Whether a claim is of pictures alone and none of them was verified; where nothing verifies, no claim is."""
    return all(row["form"] == "Image" and row.get("verified", VERIFIED) != VERIFIED for row in rows)


def _match(row: dict[str, Any], names: dict[str, str], score: str, doubted: bool) -> Match:
    start, end, ref_start, ref_end = (float(row[name]) for name in ("start_ms", "end_ms", "ref_start_ms", "ref_end_ms"))
    query, reference = names[str(row["content_sha256"])], str(row["reference_id"])
    return Match(query, reference, float(row[score]), start, end, ref_start, ref_end, doubted)

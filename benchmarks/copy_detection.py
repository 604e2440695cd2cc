"""Copy detection: ours by picture, by sound and by both, against vPDQ, an average hash and Chromaprint.

The corpus is made from the videos in the manner of VSC2022 (`benchmarks/copies/corpus.py`). What has thresholds is
fitted on the split `fit`; every number is of the split `report`, which shares no footage with it.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.copies.corpus import Corpus, build
from benchmarks.copies.metrics import Match, detection_curve, operating_point
from benchmarks.copies.peers import GRIDS, PUBLISHED, Peer, fitted
from benchmarks.copies.sources import Source, sources_in, sources_of
from benchmarks.copies.tables import Exam, by_edit, by_kind, edit_uap, exam, marks, overall
from benchmarks.copies.twins import judged
from benchmarks.registry import Result
from jobs import progress
from model_registry.home import home

Matches = list[Match]
Ours = Callable[[list[Path], list[Path], Path], Mapping[str, Matches]]
OURS = "ours, "  # picture, sound, fused
PEER = "vPDQ"
MARGIN_EDITS = ("crop", "mirror", "borders_plain", "borders_blurred", "pip_over", "pip_under")
NOTES = (
    "Uploads with footage of the scene that a reference shows, filmed or played again (`[twins]` in "
    "`benchmarks/copies/roles.toml`), count for that reference neither way.",
    "A wrong pair of videos is a false match; an hour here is an hour of uploads, each searched against all references "
    "of the split.",
    "By edit, the APs rank the copies under that edit among all uploads without a copy; recall and false matches are "
    "those at the score where the system's precision over the whole split is 0.9.",
    "`vPDQ` has distance, quality and rule fitted for uAP; `vPDQ as published` has distance 31, quality 50 and the "
    "share of the query's frames. `average hash` and `Chromaprint` are fitted as well.",
    "At the fitted score: the score where precision was 0.9 on the other split, held to this one.",
)


def run(videos: Sequence[Path], repeat: int) -> Result:  # noqa: ARG001 - nothing here is a matter of chance or time
    """Build the corpus and mark every system once; the same corpus gives the same numbers."""
    cache = home() / "benchmarks" / "copies"
    return measure(
        _sources(videos), cache, "default", importlib.import_module("benchmarks.copies.ours").ours
    )  # Ray, only where it runs


def _sources(videos: Sequence[Path]) -> list[Source]:
    """All footage of the folder with a `manifest.csv` that holds the videos, or the videos themselves."""
    shared = Path(os.path.commonpath([video.absolute() for video in videos]))
    folder = next((folder for folder in (shared, *shared.parents) if (folder / "manifest.csv").exists()), None)
    return sources_in(folder) if folder else sources_of(videos)


def measure(sources: Sequence[Source], cache: Path, size: str, ours: Ours) -> Result:
    """Mark ours and the peers on a corpus of that size."""
    progress.say(f"copy_detection: the corpus of {len(sources)} files in {cache}")
    corpus = build(sources, cache, size)
    peers = _fitted_peers(corpus)
    found = {split: _found(corpus, split, peers, ours) for split in ("fit", "report")}
    asked = {split: exam(corpus, split) for split in found}
    fixed = {name: _fitted_score(asked["fit"], matches) for name, matches in found["fit"].items()}
    setup = {"size": size, "corpus": _sizes(corpus), **{name: repr(peer) for name, peer in peers.items()}}
    return Result(_metrics(asked["report"], found["report"]), setup, _notes(asked["report"], found["report"], fixed))


def _fitted_peers(corpus: Corpus) -> dict[str, Peer]:
    references, queries, truth = corpus.references("fit"), corpus.queries("fit"), exam(corpus, "fit").truth
    counted = partial(judged, corpus, "fit")
    peers = {name: fitted(grid(), references, queries, truth, counted) for name, grid in GRIDS.items()}
    return {**{name: peer for name, peer in peers.items() if peer}, **PUBLISHED}


def _found(corpus: Corpus, split: str, peers: Mapping[str, Peer], ours: Ours) -> dict[str, Matches]:
    references, queries = corpus.references(split), corpus.queries(split)
    progress.say(f"copy_detection: {len(queries)} uploads against {len(references)} references ({split})")
    mine = ours(references, queries, corpus.root / "ours" / split)
    theirs = {name: peer.detect(references, queries) for name, peer in peers.items()}
    return {name: judged(corpus, split, matches) for name, matches in {**mine, **theirs}.items()}


def _fitted_score(asked: Exam, matches: Sequence[Match]) -> float:
    return operating_point(detection_curve(asked.truth, matches)).score


def _sizes(corpus: Corpus) -> str:
    parts = []
    for split in ("fit", "report"):
        uploads, references = corpus.rows("queries", split), corpus.rows("references", split)
        copies, hours = len(corpus.rows("truth", split)), sum(int(row["duration_ms"]) for row in uploads) / 3_600_000
        parts.append(f"{split}: {len(uploads)} uploads ({hours:.2f} h), {copies} copies, {len(references)} references")
    return "; ".join(parts)


def _metrics(asked: Exam, found: Mapping[str, Matches]) -> dict[str, list[float]]:
    metrics: dict[str, list[float]] = {}
    for name, matches in found.items():
        slug, own = name.removeprefix(OURS).replace(" ", "_").lower(), marks(asked, matches)
        metrics |= {f"uap_{slug}": [own.uap], f"segment_ap_{slug}": [own.segment_ap]}
        metrics |= {f"recall_p90_{slug}": [own.at_p90.recall], f"false_per_1000h_{slug}": [own.false_at_p90]}
    missed = {name: 1 - marks(asked, matches).at_p90.recall for name, matches in found.items()}
    least = min(share for name, share in missed.items() if not name.startswith(OURS))
    metrics["misses_vs_best_peer"] = [missed[OURS + "fused"] / max(least, 1e-9)]
    picture, peer = found[OURS + "picture"], found[PEER]
    margins = (edit_uap(asked, edit, picture) - edit_uap(asked, edit, peer) for edit in MARGIN_EDITS)
    known = [margin for margin in margins if margin == margin]  # an edit that no upload has is not a number
    return metrics | ({"picture_over_vpdq_least": [min(known)]} if known else {})


def _notes(asked: Exam, found: Mapping[str, Matches], fixed: Mapping[str, float]) -> list[str]:
    absent = [f"{name} is absent: its command was not found." for name in GRIDS if name not in found]
    tables = {"Overall": overall(asked, found, fixed), "By kind of footage": by_kind(asked, found)}
    tables |= {f"By edit: {title}": table for title, table in by_edit(asked, found).items()}
    return [*NOTES, *absent, *(f"## {title}\n\n{table}" for title, table in tables.items())]

"""Copy detection: ours by picture, by sound and by both, against vPDQ, Chromaprint, both joined, and an average hash.

Two corpora a draw: copies in the manner of VSC2022 (`benchmarks/copies/corpus.py`), and look-alikes that are none
(`benchmarks/copies/lookalikes/`). A draw is another pairing, other edits, other spans and other drawings; `--repeat 3`
makes three. The peers are fitted on the split `fit` of the first draw; ours acts by the shipped policy. Every number is
of the split `report`, which shares no footage, template or type with it. `pairs.csv` of each corpus says which uploads
share footage with each other; `benchmarks/copies/reposts.py` has its columns.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.copies.corpus import Corpus, build
from benchmarks.copies.exam import exam
from benchmarks.copies.joined import Calibration, Joined, calibrated
from benchmarks.copies.levels import Levels, shipped
from benchmarks.copies.lookalikes.build import build as build_lookalikes
from benchmarks.copies.metrics import Match, detection_curve, operating_point
from benchmarks.copies.peers import GRIDS, PUBLISHED, Peer, fitted
from benchmarks.copies.sources import SPLITS, Source, sources_in, sources_of
from benchmarks.copies.tables import Trial, by_edit, by_kind, edit_uap, lookalikes, marks, overall, worst
from benchmarks.registry import Result
from jobs import progress
from model_registry.home import home

Matches = list[Match]
Ours = Callable[[list[Path], list[Path], Path], Mapping[str, Matches]]
Draw = Callable[[int], Sequence[Source]]
OURS = "ours, "  # picture, sound, fused
PEER = "vPDQ"
BEST = (PEER, "Chromaprint")
JOINED = "vPDQ and Chromaprint"
FUSED = f"{OURS}fused"
MARGIN_EDITS = ("crop", "mirror", "borders_plain", "borders_blurred", "pip_over", "pip_under")
ALIKE = 65  # look-alikes that false claims are counted on
FEW = {"small": ("quote",)}  # kinds of look-alikes of a corpus of that size; all where nothing is said
NOTES = (
    "A wrong pair of videos is a false match; an hour here is an hour of uploads, each searched against all references "
    "of the split. Half of the uploads hold no copy, and half of those show the scene of a reference, filmed or played "
    "again.",
    "At action and in doubt: ours by the shipped policy's rule for `Copyright` (a claim that was not verified is in "
    "doubt whatever its score); a peer acts from the score on where its precision on the split `fit` was 0.9.",
    "By edit, the APs rank the copies under that edit among all uploads without a copy.",
    "`vPDQ` has distance, quality and rule fitted for uAP; `vPDQ as published` has distance 31, quality 50 and the "
    "share of the query's frames. `average hash` and `Chromaprint` are fitted as well. `vPDQ and Chromaprint` takes "
    "the surer of both, by the precision that a score had on the split `fit`.",
    "Where there are several draws, a cell is the median, with the lowest and the highest.",
)


def run(videos: Sequence[Path], repeat: int) -> Result:
    """Build `repeat` draws and mark every system; the same draw gives the same numbers."""
    cache = home() / "benchmarks" / "copies"
    ours: Ours = importlib.import_module("benchmarks.copies.ours").ours  # Ray, only where it runs
    return measure(lambda draw: sources_for(videos, draw), cache, "default", ours, repeat)


def sources_for(videos: Sequence[Path], draw: int) -> list[Source]:
    """All footage of the folder with a `manifest.csv` that holds the videos, or the videos themselves."""
    shared = Path(os.path.commonpath([video.absolute() for video in videos]))
    folder = next((folder for folder in (shared, *shared.parents) if (folder / "manifest.csv").exists()), None)
    return sources_in(folder, draw) if folder else sources_of(videos, draw)


@dataclass(frozen=True)
class Drawn:
    """What one draw came to: copies, and look-alikes."""

    copies: Trial
    alike: Trial
    sizes: str


def measure(sources: Draw, cache: Path, size: str, ours: Ours, draws: int = 1) -> Result:
    """Mark ours and the peers on corpora of that size."""
    drawn: list[Drawn] = []
    peers: dict[str, Peer] = {}
    levels: dict[str, Levels] = {}
    for draw in range(draws):
        root, footage = cache / f"draw{draw}", sources(draw)
        progress.say(f"copy_detection: draw {draw} of {len(footage)} files in {root}")
        copies = build(footage, root / "main", size, draw, SPLITS if draw == 0 else ("report",))
        alike = build_lookalikes(footage, root / "lookalikes-report", "report", draw, FEW.get(size, ()))
        if not peers:
            peers, levels = _peers(copies)
        sizes = f"{_sizes(copies)}; {_sizes(alike)}"
        drawn.append(Drawn(_trial(copies, peers, levels, ours), _trial(alike, peers, levels, ours), sizes))
    setup = {"size": size, "draws": draws, **{f"draw {at}": one.sizes for at, one in enumerate(drawn)}}
    named = {name: repr(peer) for name, peer in peers.items() if name != JOINED}
    return Result(_metrics(drawn), {**setup, **named}, _notes(drawn))


def _peers(corpus: Corpus) -> tuple[dict[str, Peer], dict[str, Levels]]:
    """Fit every peer on the split `fit`, and the score from which on it acts."""
    references, queries, asked = corpus.references("fit"), corpus.queries("fit"), exam(corpus, "fit")
    progress.say(f"copy_detection: peers fitted on {len(queries)} uploads and {len(references)} references")
    chosen = {name: fitted(grid(), references, queries, asked.truth) for name, grid in GRIDS.items()}
    peers = {**{name: peer for name, peer in chosen.items() if peer}, **PUBLISHED}
    found = {name: peer.detect(references, queries) for name, peer in peers.items()}
    if all(name in peers for name in BEST):
        parts: list[tuple[Peer, Calibration]] = [(peers[n], calibrated(asked.truth, found[n])) for n in BEST]
        peers[JOINED] = Joined(tuple(parts))
        found[JOINED] = peers[JOINED].detect(references, queries)
    scores = {name: operating_point(detection_curve(asked.truth, matches)).score for name, matches in found.items()}
    return peers, {name: Levels(score, score) for name, score in scores.items()}


def _trial(corpus: Corpus, peers: Mapping[str, Peer], levels: Mapping[str, Levels], ours: Ours) -> Trial:
    references, queries = corpus.references("report"), corpus.queries("report")
    progress.say(f"copy_detection: {len(queries)} uploads against {len(references)} references in {corpus.root.name}")
    mine = ours(references, queries, corpus.root / "ours" / "report")
    theirs = {name: peer.detect(references, queries) for name, peer in peers.items()}
    return Trial(exam(corpus, "report"), {**mine, **theirs}, {**dict.fromkeys(mine, shipped()), **levels})


def _sizes(corpus: Corpus) -> str:
    parts = []
    for split in SPLITS:
        uploads, references = corpus.rows("queries", split), corpus.rows("references", split)
        copies, hours = len(corpus.rows("truth", split)), sum(int(row["duration_ms"]) for row in uploads) / 3_600_000
        if uploads:
            counts = f"{len(uploads)} uploads ({hours:.2f} h), {copies} copies, {len(references)} references"
            parts.append(f"{corpus.root.name} {split}: {counts}")
    return "; ".join(parts)


def _metrics(drawn: Sequence[Drawn]) -> dict[str, list[float]]:
    rows = [_figures(one) for one in drawn]
    return {name: [row[name] for row in rows] for name in rows[0] if all(row[name] == row[name] for row in rows)}


def _figures(one: Drawn) -> dict[str, float]:
    """Every figure of one draw; not a number where a corpus cannot say."""
    figures: dict[str, float] = {}
    for name, matches in one.copies.found.items():
        slug, own, held = _slug(name), marks(one.copies.exam, matches), one.copies.said(name)
        figures |= {f"uap_{slug}": own.uap, f"segment_ap_{slug}": own.segment_ap}
        figures |= {f"recall_p90_{slug}": own.at_p90.recall, f"precision_action_{slug}": held.precision}
        figures |= {f"recall_action_{slug}": held.recall, f"false_action_per_200_{slug}": held.false_per(200)}
        figures |= {f"false_doubt_per_200_{slug}": held.false_per(200, "in_doubt")}
        figures |= {f"false_action_per_1000h_{slug}": held.false_per_1000h}
        figures |= _alike_figures(one.alike, name, slug)
    for figure in ("uap", "segment_ap", "recall_p90"):
        best = max((figures[f"{figure}_{_slug(name)}"] for name in BEST if name in one.copies.found), default=0.0)
        figures[f"times_best_peer_{figure}"] = figures[f"{figure}_fused"] / max(best, 1e-9)
        if JOINED in one.copies.found:
            both = figures[f"{figure}_{_slug(JOINED)}"]
            figures[f"times_joined_peers_{figure}"] = figures[f"{figure}_fused"] / max(both, 1e-9)
    figures["times_best_peer"] = min(v for name, v in figures.items() if name.startswith("times_best_peer_"))
    asked, picture, peer = one.copies.exam, one.copies.found[f"{OURS}picture"], one.copies.found[PEER]
    margins = [edit_uap(asked, edit, picture) - edit_uap(asked, edit, peer) for edit in MARGIN_EDITS]
    known = [margin for margin in margins if margin == margin]  # an edit that no upload has is not a number
    return figures | ({"picture_over_vpdq_least": min(known)} if known else {})


def _alike_figures(alike: Trial, name: str, slug: str) -> dict[str, float]:
    likes = alike.part(alike.exam.part(lambda upload: not upload.copied)).said(name)
    copies = alike.part(alike.exam.part(lambda upload: upload.copied)).said(name)
    return {
        f"lookalikes_at_action_{slug}": likes.false_per(ALIKE),
        f"lookalikes_in_doubt_{slug}": likes.false_per(ALIKE, "in_doubt"),
        f"lookalike_copies_at_action_{slug}": copies.recall,
        f"lookalike_copies_with_doubt_{slug}": copies.recall_with_doubt,
    }


def _slug(name: str) -> str:
    return name.removeprefix(OURS).replace(" ", "_").lower()


def _notes(drawn: Sequence[Drawn]) -> list[str]:
    copies, alike = [one.copies for one in drawn], [one.alike for one in drawn]
    absent = [f"{name} is absent: its command was not found." for name in GRIDS if name not in copies[0].found]
    tables = {"Overall": overall(copies), "By kind of footage": by_kind(copies)}
    tables |= {"Look-alikes: false at action + in doubt / copies at action + in doubt": lookalikes(alike)}
    tables |= {"Look-alikes and their copies, ranked": overall(alike)}
    tables |= {"Worst false claims, fused": worst(copies, FUSED), "Worst false look-alikes, fused": worst(alike, FUSED)}
    tables |= {f"By edit: {title}": table for title, table in by_edit(copies).items()}
    return [*NOTES, *absent, *(f"## {title}\n\n{table}" for title, table in tables.items())]

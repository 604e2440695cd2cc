"""Pairs that count neither way: an upload with footage of the scene that a reference shows, filmed or played again."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

from benchmarks.copies.corpus import Corpus
from benchmarks.copies.metrics import Match, Pair

ROLES = Path(__file__).with_name("roles.toml")


def judged(corpus: Corpus, split: str, matches: Sequence[Match]) -> list[Match]:
    """Leave out matches of twins, unless the upload holds a copy of that reference besides."""
    twins = twins_in(corpus, split)
    return [match for match in matches if match.pair not in twins]


def twins_in(corpus: Corpus, split: str) -> set[Pair]:
    """The pairs of upload and reference that show the same scene and are no copies."""
    alike = tomllib.loads(ROLES.read_text("utf-8"))["twins"]
    shown_by = [(row["reference"], set(row["groups"].split(";"))) for row in corpus.rows("references", split)]
    copies = {(row["query"], row["reference"]) for row in corpus.rows("truth", split)}
    pairs = {
        (row["query"], reference)
        for row in corpus.rows("queries", split)
        for reference, shown in shown_by
        if shown & {alike[group] for group in row["groups"].split(";") if group in alike}
    }
    return pairs - copies

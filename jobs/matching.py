"""Match a night's stored features with a reference bank, and hold back references that match too much."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs import progress
from pipelines.copyright.bank.bank import Bank
from pipelines.copyright.bank.flood import FloodLimits, floods
from pipelines.copyright.bank.reader import BankReader
from pipelines.copyright.bank.reference import Reference, State
from pipelines.copyright.matched import Matched, matches_folder
from pipelines.copyright.night import Machine, match_night
from pipelines.pieces import Pieces

LIKELY = 0.5  # from this score on a claim counts for the flood guard


@dataclass(frozen=True)
class Matching:
    """What a night was matched with."""

    matched: Matched
    bank: str  # its folder
    version: str
    references: int
    quarantined: dict[str, str]  # reference id -> why
    verifying_s: float = 0.0  # of this run, all workers together

    def facts(self) -> dict[str, Any]:
        """For the summary."""
        return {
            "bank": self.bank,
            "bank_version": self.version,
            "references": self.references,
            "quarantined": self.quarantined,
        }


def match(
    folder: Path, contents: pa.Table, pieces: Pieces, machine: Machine, limits: FloodLimits | None = None
) -> Matching:
    """Match what this version of the bank has not been matched with yet."""
    bank = Bank.open(folder)
    active, version = bank.references(State.ACTIVE), bank.version
    shas = known_contents(contents, pieces)
    matched = Matched(matches_folder(pieces.folder, version))
    verifying_s = search(bank, active, pieces, shas, matched, machine)
    held = _hold_back(bank, matched, active, len(shas), limits or FloodLimits())
    matched.keep_facts([ref for ref in active if ref.id not in held])
    return Matching(matched, str(folder), version, len(active), held, verifying_s)


def known_contents(contents: pa.Table, pieces: Pieces) -> set[str]:
    """Contents of which there are features."""
    return set(contents["content_sha256"].drop_null().to_pylist()) & pieces.contents.keys()


def search(
    bank: BankReader, references: list[Reference], pieces: Pieces, shas: set[str], matched: Matched, machine: Machine
) -> float:
    """Match contents with some references, with a progress bar; what `matched` has is not done again.

    Returns the seconds that verifying took.
    """
    hits = Counter[str]()
    with progress.bar("matching", len(shas)) as bar:

        def advance(looked: int, found: int) -> None:
            hits["found"] += found
            bar.advance(looked, f"{hits['found']} with a match")

        advance(len(shas & matched.done()), 0)
        return match_night(bank, references, pieces, shas, matched, machine, advance)


def _hold_back(
    bank: Bank, matched: Matched, active: list[Reference], contents: int, limits: FloodLimits
) -> dict[str, str]:
    """Quarantine references that matched too many contents; `nightjar bank enable` lets them go."""
    held = floods(matches_by_reference(matched), contents, active, limits) if contents else {}
    for reference, why in held.items():
        bank.set_state([reference], State.QUARANTINED, why)
        progress.say(f"warning: reference {reference} is quarantined: {why}")
    return held


def matches_by_reference(matched: Matched) -> dict[str, int]:
    """Count the distinct contents that each reference likely matched."""
    table = matched.table(["content_sha256", "reference_id", "claim_score"])
    likely = table.filter(pc.greater_equal(pc.fill_null(table["claim_score"], 0.0), LIKELY))
    counted = likely.group_by("reference_id").aggregate([("content_sha256", "count_distinct")]).to_pydict()
    return dict(zip(counted["reference_id"], counted["content_sha256_count_distinct"], strict=True))

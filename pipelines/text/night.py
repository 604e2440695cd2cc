"""Read a night's texts: what nobody has read yet goes through tiers 1 and 2, here or on Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from model_registry.bundles import PinnedBundle
from model_registry.models.text.heads import Heads
from pipelines.local.pool import engine_waits
from pipelines.run import look
from pipelines.stage import run_local
from pipelines.text.neighbours import over_the_join
from pipelines.text.read import TEXTS, ReadTexts
from pipelines.text.readings import Reader, Readings, readings_table
from pipelines.text.tiers import Band
from pipelines.text.words.lexicon import Lexicons
from pipelines.text.words.matcher import Matcher

FEW = 20_000  # texts that are read in this process: starting a worker takes longer
A_PIECE = 50_000  # texts of one piece


@dataclass(frozen=True)
class Machine:
    """What a reading actor takes of the cluster."""

    actors: int = 1
    cpus: float = 1.0
    threads: int = 1


def reader_of(bundle: PinnedBundle, lexicons: Lexicons) -> Reader:
    """Who reads with these lexicons and the bundle's text models."""
    files = [Heads.read(Path(dict(ref.weights)[ref.spec.artifacts[0]])) for ref in bundle.text_heads]
    known = sorted((label, band) for heads in files for label, band in bands_of(heads).items())
    return Reader(lexicons.id, "+".join(ref.source for ref in bundle.text_heads), tuple(known))


def bands_of(heads: Heads) -> dict[str, Band]:
    """The thresholds of each label as a night is read with them."""
    fitted, measured = heads.bands.items(), heads.registers
    return {label: Band(low, heads.doubts[label], high, measured[label]) for label, (low, high) in fitted}


def read_texts(
    texts: Sequence[str],
    bundle: PinnedBundle,
    lexicons: Lexicons,
    readings: Readings,
    machine: Machine,
    advance: Callable[[int], None],
) -> Readings:
    """Read what `readings` does not have; returns all. `advance` is told how many of the distinct texts are done."""
    todo = readings.unread(texts)
    advance(len(set(texts)) - len(todo))
    if not todo:
        return readings
    stage = reading_stage(bundle, lexicons, readings, machine)
    table = pa.table({"text": todo}, schema=TEXTS)
    if len(todo) <= FEW and not engine_waits():
        advance(run_local([stage], table)["read"].to_pylist()[0])
    else:
        look([stage], table, A_PIECE, lambda read: advance(sum(read["read"].to_pylist())))
    return Readings(readings.folder)


def reading_stage(bundle: PinnedBundle, lexicons: Lexicons, readings: Readings, machine: Machine) -> ReadTexts:
    """What reads texts with these lexicons and the bundle's text models."""
    return ReadTexts(
        lexicons=lexicons,
        folder=str(readings.folder.absolute()),
        tower=bundle.text_tower,
        heads=bundle.text_heads,
        bands=readings.reader.thresholds if readings.reader else {},
        threads=machine.threads,
        actors=machine.actors,
        cpus=machine.cpus,
    )


def read_words_again(texts: Iterable[str], lexicons: Lexicons, earlier: Readings, readings: Readings) -> Readings:
    """Tier 1 with other lexicons; what the words mean is known from an earlier reading and no model runs."""
    todo = readings.unread(texts)
    if todo:
        matched = Matcher(lexicons).match(todo)
        hits = [over_the_join(text, found) for text, found in zip(todo, matched, strict=True)]
        readings.write(readings_table(todo, hits, [earlier.meaning(text) for text in todo]))
    return readings

"""Match one upload at a time, in a fraction of a second: a bank held in memory under indices, one version of it.

What is found is what the night finds, by the same shards, alignment, negatives and claims; only the nearest frames are
looked up in indices (indexed.py), which over a large bank miss a few.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Self, TypeAlias

import numpy as np
import pyarrow as pa

from model_registry.errors import NightjarError
from pipelines.copyright.bank.reader import BankReader
from pipelines.copyright.bank.reference import Kind, Reference, State
from pipelines.copyright.fingerprint import Fingerprint
from pipelines.copyright.indexed import IndexedShard
from pipelines.copyright.match import Found, matches
from pipelines.copyright.matched import MATCHES, Matched, facts_of
from pipelines.copyright.night import Pictures, match_rows
from pipelines.copyright.stored import fingerprint_of
from pipelines.copyright.verification.stills import NO_STILLS, Stills, stills_of
from pipelines.copyright.verification.verifier import Verifier

log = logging.getLogger(__name__)

REFERENCES = 8  # whose stills are held in memory, some 50 MB an hour of film
LATE = 0.2  # of the references: where more have come and gone since the index was made, it is made anew
Key: TypeAlias = "tuple[str, datetime | None]"  # a content, and when it was added: a fingerprint of it never changes


@dataclass(frozen=True)
class Part:
    """Some references of a bank, indexed under numbers from `first` on."""

    keys: tuple[Key, ...]
    shard: IndexedShard

    @classmethod
    def of(cls, reader: BankReader, references: Sequence[Reference], first: int, threads: int) -> Self:
        """Read and index them."""
        numbers = {ref.content_sha256: first + place for place, ref in enumerate(references)}
        prints = [(numbers[sha256], print_) for sha256, print_ in reader.fingerprints(list(numbers))]
        return cls(tuple(map(_key, references)), IndexedShard(prints, reader.space, threads))


class OnlineBank:
    """The active references of one version of a bank; any number of threads may match at once.

    It never changes. Where the bank has moved on, `refreshed` gives another one, at once where little changed: the
    index is shared between them, what came is indexed beside it, and what is not active any more is passed over.
    """

    def __init__(self, reader: BankReader, parts: Sequence[Part], threads: int) -> None:
        active = {_key(ref): ref for ref in reader.references(State.ACTIVE)}
        held = enumerate(key for part in parts for key in part.keys)
        self.folder, self.version, self.space = reader.folder, reader.version, reader.space
        self._parts, self._threads = tuple(parts), threads
        self._references = {number: active[key] for number, key in held if key in active}
        self._durations_ms = {number: ref.duration_ms for number, ref in self._references.items()}
        self._negative = frozenset(n for n, ref in self._references.items() if ref.kind is Kind.NEGATIVE)
        self._pictures = _Pictures(reader)

    @classmethod
    def open(cls, folder: Path, threads: int = 1) -> Self:
        """Read the newest version, to match on so many threads a call.

        Raises UsageError for a folder that is no bank, NightjarError for a torn one.
        """
        return cls._of(BankReader.open(folder), threads)

    @classmethod
    def _of(cls, reader: BankReader, threads: int) -> Self:
        return cls(reader, [Part.of(reader, reader.references(State.ACTIVE), 0, threads)], threads)

    def __len__(self) -> int:
        """How many references may match, negative ones among them."""
        return len(self._references)

    @property
    def source(self) -> str:
        """The bank as signals name it: `bank@version`."""
        return f"bank@{self.version}"

    @property
    def nbytes(self) -> int:
        """The memory of its arrays and indices; most of it is shared with the one it was refreshed from."""
        return sum(part.shard.nbytes for part in self._parts)

    def changed(self) -> bool:
        """Whether the bank has moved on; a bank that cannot be read now has not."""
        try:
            return BankReader.open(self.folder).version != self.version
        except NightjarError as error:
            log.warning("bank %s cannot be looked at: %s", self.folder, error)
            return False

    def refreshed(self) -> Self:
        """Return the newest version, this one where it is that; raises as `open` does."""
        reader, main = BankReader.open(self.folder), self._parts[0]
        if reader.version == self.version:
            return self
        active = {_key(ref): ref for ref in reader.references(State.ACTIVE)}
        indexed = set(main.keys)
        late = [ref for key, ref in active.items() if key not in indexed]
        moved = len(late) + len(indexed - active.keys())
        if reader.space.id != self.space.id or moved > LATE * len(indexed):
            return self._of(reader, self._threads)
        beside = [Part.of(reader, late, len(main.keys), self._threads)] if late else []
        return type(self)(reader, [main, *beside], self._threads)

    def match(self, views: pa.Table, peaks: pa.Table, stills: pa.Table, duration_ms: int) -> FoundMatches:
        """Return what one content holds of the bank, given its rows as `Pieces.rows` has them."""
        owners = [table["content_sha256"][0].as_py() for table in (views, peaks) if table.num_rows]
        if not owners or not self._references:
            return FoundMatches(self.version, MATCHES.empty_table(), ())
        print_ = fingerprint_of(duration_ms, views, peaks).within(self.space)
        return self.match_print(owners[0], replace(print_, stills=stills_of(stills).get(owners[0], NO_STILLS)))

    def match_print(self, content: str, fingerprint: Fingerprint) -> FoundMatches:
        """Return the same for a fingerprint within the bank's space; `content` names it in the rows."""
        uploads = [(0, fingerprint)]
        found = [self._active(part.shard.find(uploads)) for part in self._parts]
        verifier = Verifier(lambda _: fingerprint.stills, self._stills)
        own = matches(found, uploads, self._durations_ms, self._negative, verifier)
        named = sorted({one.reference for one in own[0]})
        rows = match_rows([content], own, self._references, self._pictures)
        matched = FoundMatches(self.version, rows, [self._references[number] for number in named])
        matched.verifying_s = verifier.seconds
        return matched

    def _stills(self, number: int) -> Stills:
        return self._pictures.known(self._references[number])

    def _active(self, found: Found) -> Found:
        """Without what names references that are not active any more."""
        active = np.isin(found.frames.reference, list(self._references))
        sounds = tuple(pair for pair in found.sounds if pair[1].reference in self._references)
        return Found(found.frames.where(active), sounds)


class FoundMatches(Matched):
    """The matches of one content, in memory; nobody writes them down."""

    def __init__(self, version: str, rows: pa.Table, references: Iterable[Reference]) -> None:
        """Take MATCHES and the references that they name."""
        self._version, self._rows, self._facts = version, rows, facts_of(references)

    @property
    def source(self) -> str:
        """The bank as signals name it."""
        return f"bank@{self._version}"

    def table(self, columns: Iterable[str] = MATCHES.names) -> pa.Table:
        """Some columns of every row."""
        return self._rows.select(list(columns))

    def facts(self) -> pa.Table:
        """What is known of the references that matched."""
        return self._facts


class _Pictures(Pictures):
    """Pictures for people: where the bank's folder cannot be read now, a match goes without."""

    def __init__(self, bank: BankReader) -> None:
        super().__init__(bank, REFERENCES)

    def known(self, reference: Reference) -> Stills:
        """The stills of a reference, if they can be had: without them what looks alike stays in doubt."""
        try:
            return self.stills(reference.content_sha256)
        except NightjarError as error:
            log.warning("the stills of reference %s cannot be read: %s", reference.id, error)
            return NO_STILLS

    def near(self, reference: Reference, ms: int) -> bytes | None:
        """The picture closest in time, if it can be had."""
        try:
            return super().near(reference, ms)
        except NightjarError as error:
            log.warning("the picture of reference %s cannot be read: %s", reference.id, error)
            return None


def _key(reference: Reference) -> Key:
    return reference.content_sha256, reference.added_at

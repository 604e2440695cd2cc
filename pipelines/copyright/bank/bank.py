"""The reference bank: who may match, with what fingerprint. What is written takes effect in the next match.

A fingerprint is written before the reference that needs it and removed after it, so that at no moment a reference
lacks its fingerprint, whatever is killed; a fingerprint that nobody needs does not count and is swept later. Writers
take turns by a lock on the folder that ends with their process.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from model_registry.errors import UsageError
from pipelines.copyright.bank import tables
from pipelines.copyright.bank.folder import FINGERPRINTS, NAMED, REFERENCES, claim, is_bank, locked, make, now
from pipelines.copyright.bank.reader import BankReader
from pipelines.copyright.bank.reference import Reference, State
from pipelines.copyright.picture.space import Space

if TYPE_CHECKING:  # it needs torch, which `list` and `disable` do without
    from pipelines.copyright.fingerprint import Fingerprint


class Bank(BankReader):
    """A bank that can be written; writing moves it to the version written."""

    @classmethod
    def create(cls, folder: Path, space: Space) -> Self:
        """Make an empty bank, or open the one that is there if it is for the same tower; raises UsageError.

        What a killed creation left is cleared away. A folder with anything else in it is left alone.
        """
        claim(folder)
        with locked(folder):
            if not is_bank(folder):
                make(folder, space)
        bank = cls.open(folder)
        bank.space.demand(space.tower)
        return bank

    def add(self, reference: Reference, fingerprint: Fingerprint) -> bool:
        """Add one reference; see `add_all`. False where it was there."""
        return bool(self.add_all([(reference, fingerprint)]))

    def add_all(self, pairs: Sequence[tuple[Reference, Fingerprint]]) -> list[str]:
        """Add references, all or none; return the ids that are new.

        One that is there, the same content under the same id, is left as it is. Raises UsageError where a content is
        held under another id, or an id by another content.
        """
        for reference, fingerprint in pairs:
            self._check(reference, fingerprint)
        with self._writing():
            fresh = self._fresh(pairs)
            rows = [replace(ref, added_at=now(), changed_at=now()) for ref, _ in fresh]
            if fresh:
                self._write_fingerprints([(ref.content_sha256, found) for ref, found in fresh])
                self._write(rows)
                self._tidy()
        return [ref.id for ref in rows]

    def _check(self, reference: Reference, fingerprint: Fingerprint) -> None:
        deep = fingerprint.descriptors_ND.shape[1:]
        if len(fingerprint.descriptors_ND) and deep != (self.space.dimensions,):
            raise ValueError(f"{reference.id}: descriptors of {deep}, the bank's have {self.space.dimensions} numbers")

    def _fresh(self, pairs: Sequence[tuple[Reference, Fingerprint]]) -> list[tuple[Reference, Fingerprint]]:
        """Those that are not there yet; refuse what would give a content two ids or an id two contents."""
        ids = {ref.id: ref.content_sha256 for ref in self.with_ids(ref.id for ref, _ in pairs).values()}
        contents = {sha256: ref.id for sha256, ref in self.known(ref.content_sha256 for ref, _ in pairs).items()}
        fresh = []
        for ref, found in pairs:
            if clash := clash_of(ref, ids, contents):
                raise UsageError(clash)
            if ref.id not in ids:
                fresh.append((ref, found))
            ids[ref.id], contents[ref.content_sha256] = ref.content_sha256, ref.id
        return fresh

    def update(self, references: Iterable[Reference]) -> list[str]:
        """Write what is said about references that there are, in one commit; return the ids that changed."""
        return self._change({ref.id: ref for ref in references})

    def set_state(
        self, ids: Iterable[str], state: State, reason: str | None = None, *, trusted: bool | None = None
    ) -> list[str]:
        """Disable, quarantine or make active, in one commit; return the ids that changed. Raises UsageError.

        `trusted` tells the flood guard to leave them alone, or to watch them again.
        """
        trust = {} if trusted is None else {"trusted": trusted}
        return self._edit(ids, state=state, reason=reason, **trust)

    def _edit(self, ids: Iterable[str], **said: Any) -> list[str]:
        wanted = list(dict.fromkeys(ids))
        with self._writing():
            self._refuse_unknown(wanted)
            return self._write_changed([(ref, replace(ref, **said)) for ref in self.with_ids(wanted).values()])

    def _change(self, said: dict[str, Reference]) -> list[str]:
        if not said:
            return []
        with self._writing():
            self._refuse_unknown(said)
            held = self.with_ids(said)
            return self._write_changed([(held[name], _kept(held[name], ref)) for name, ref in said.items()])

    def _write_changed(self, pairs: Iterable[tuple[Reference, Reference]]) -> list[str]:
        changed = [replace(after, changed_at=now()) for before, after in pairs if before != after]
        if changed:
            self._write(changed)
            self._tidy()
        return [ref.id for ref in changed]

    def remove(self, ids: Iterable[str]) -> None:
        """Remove references, in one commit, and then their fingerprints; raises UsageError."""
        wanted = list(dict.fromkeys(ids))
        with self._writing():
            self._refuse_unknown(wanted)
            if wanted:
                with tables.using(self.folder / REFERENCES):
                    self._references.delete(tables.one_of("id", wanted))
            self._sweep()
            self._tidy()

    def sweep(self) -> int:
        """Remove fingerprints that no reference needs, as a killed `add` leaves them; return how many."""
        with self._writing():
            return self._sweep()

    def _sweep(self) -> int:
        needed = self.column("content_sha256")
        held = self._index()["content_sha256"]
        orphans = held.filter(pc.invert(pc.is_in(held, value_set=needed))).to_pylist()
        if orphans:
            with tables.using(self.folder / FINGERPRINTS):
                self._fingerprints.delete(tables.one_of("content_sha256", orphans))
            self._places = None
        return len(orphans)

    def _refuse_unknown(self, ids: Collection[str]) -> None:
        found = self.with_ids(ids)
        unknown = [name for name in ids if name not in found]
        if not unknown:
            return
        there = sorted(self.column("id").to_pylist())
        near = dict.fromkeys(
            close for name in unknown[:NAMED] for close in difflib.get_close_matches(name, there, NAMED)
        )
        hint = f"; near: {', '.join(near)}" if near else f"; it has {len(there)} references"
        named = ", ".join(map(repr, unknown[:NAMED])) + (f" and {len(unknown) - NAMED} more" if unknown[NAMED:] else "")
        raise UsageError(f"bank {self.folder} has no reference {named}{hint}")

    def _write(self, references: Sequence[Reference]) -> None:
        rows = pa.Table.from_pylist([tables.row_of(ref) for ref in references], tables.REFERENCES)
        with tables.using(self.folder / REFERENCES):
            tables.upsert(self._references, "id", rows)

    def _write_fingerprints(self, pairs: Sequence[tuple[str, Fingerprint]]) -> None:
        with tables.using(self.folder / FINGERPRINTS):
            tables.upsert(self._fingerprints, "content_sha256", tables.fingerprint_rows(pairs))
        self._places = None

    def _tidy(self) -> None:
        for name, table in ((REFERENCES, self._references), (FINGERPRINTS, self._fingerprints)):
            with tables.using(self.folder / name):
                tables.tidy(table)
        self._places = None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Be the only writer, on the newest version."""
        with locked(self.folder):
            self.refresh()
            yield


def clash_of(reference: Reference, ids: dict[str, str], contents: dict[str, str]) -> str | None:
    """Say in a sentence why a reference cannot be added beside ids with their contents and contents with their ids."""
    held = contents.get(reference.content_sha256)
    if held not in (None, reference.id):
        return f"the content of {reference.id!r} is that of {held!r}"
    if ids.get(reference.id, reference.content_sha256) != reference.content_sha256:
        return f"{reference.id!r} is in the bank with another content; remove that one or choose another id"
    return None


def _kept(held: Reference, said: Reference) -> Reference:
    """What people say about a reference; what the bank knows of it stays."""
    return replace(held, title=said.title, owner=said.owner, kind=said.kind, licences=said.licences)

"""Putting references in the bank: leave out what is known, fingerprint the rest, commit as it comes."""

from __future__ import annotations

import argparse
import hashlib
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pyarrow as pa

from jobs import progress, session
from jobs.recipes import spread
from jobs.table import printable
from model_registry.bundles import PinnedBundle, bundle_named, pin
from model_registry.errors import UsageError
from pipelines.copyright.bank.bank import Bank, clash_of
from pipelines.copyright.bank.folder import STAGING, is_bank, locked
from pipelines.copyright.bank.reference import Kind, Reference, State, Stated, check_id, read_metadata
from pipelines.copyright.fingerprint import Fingerprint
from pipelines.copyright.picture.space import shipped_space
from pipelines.decode.limits import Limits, Sampling
from pipelines.manifest import manifest_of_paths
from pipelines.nightly import Machines
from pipelines.rows import SOURCES
from pipelines.run import hash_contents

if TYPE_CHECKING:
    from pipelines.copyright.describe import Described

BATCH = 32  # references a commit
BATCH_BYTES = 64 << 20
Pair = tuple[Reference, Fingerprint]


@dataclass(frozen=True)
class Wanted:
    """A file that somebody wants in the bank, and what they say about it."""

    path: str
    uri: str
    id: str
    stated: Stated

    def reference(self, sha256: str) -> Reference:
        """What it will be in the bank, where nothing is known of it yet."""
        return self.stated.over(Reference(id=self.id, content_sha256=sha256, title=self.id, uri=self.uri))


@dataclass(frozen=True)
class Outcome:
    """What became of a file: added, updated, known, refused or unreadable."""

    path: str
    id: str
    outcome: str
    duration_ms: int | None = None
    note: str | None = None


def add(args: argparse.Namespace) -> list[Outcome]:
    """Run the whole command; return what became of each file, in the order given."""
    wanted = wanted_of(args.paths, args.metadata, args.kind)
    bundle = pin(bundle_named(args.bundle), args.alias, download=not args.offline)
    bank = open_for(args.bank, bundle)
    sampling = Sampling(interval_ms=round(args.interval * 1000), frame_side=bundle.frame_side)
    work = "\n".join([bundle.id, sampling.id, *sorted(wanted)])
    with _staging(bank.folder, work) as staging, session.workers() as resources:
        rows = _hashed(wanted.values(), staging)
        outcomes, todo = sort_out(bank, wanted, rows)
        if todo:
            table = pa.Table.from_pylist([row for row in rows if row["uri"] in _uris(todo)], SOURCES)
            machines = spread(resources, bundle, len(rows))
            outcomes += commit(bank, todo, _described(table, bundle, bank, sampling, machines, staging))
    bank.sweep()
    order = {one.path: i for i, one in enumerate(wanted.values())}
    return sorted(outcomes, key=lambda outcome: order[outcome.path])


def _uris(todo: Mapping[str, Wanted]) -> set[str]:
    return {one.uri for one in todo.values()}


def wanted_of(paths: Sequence[str], metadata: Path | None, kind: str | None) -> dict[str, Wanted]:
    """Return the files given, or those that the metadata lists, by URI; raises UsageError where two get one id."""
    stated = read_metadata(metadata) if metadata else {}
    if not (paths or stated):
        raise UsageError("no PATH is given and no --metadata that lists any")
    rows = manifest_of_paths(paths or list(stated)).select(["video_id", "uri"]).to_pylist()
    default = Stated(kind=Kind(kind) if kind else None)
    found = [_wanted(row["video_id"], row["uri"], stated.get(row["uri"], Stated()), default) for row in rows]
    _refuse_shared_ids(found)
    if strangers := sorted(set(stated) - {one.uri for one in found}):
        progress.say(f"warning: {len(strangers)} rows of {metadata} are for no file given, the first {strangers[0]}")
    return {one.uri: one for one in found}


def _wanted(path: str, uri: str, stated: Stated, default: Stated) -> Wanted:
    name = stated.id or printable(Path(urlsplit(path).path if "://" in path else path).stem).strip()
    check_id(name)
    return Wanted(path, uri, name, stated if stated.kind else replace(stated, kind=default.kind))


def _refuse_shared_ids(wanted: Iterable[Wanted]) -> None:
    first: dict[str, Wanted] = {}
    for one in wanted:
        if (other := first.setdefault(one.id, one)) is not one:
            raise UsageError(f"{other.path} and {one.path} would both be {one.id!r}; give them ids with --metadata")


def open_for(folder: Path, bundle: PinnedBundle) -> Bank:
    """Open the bank for a bundle's descriptors, or make it; raises UsageError."""
    tower = bundle.tower.source
    if is_bank(folder):
        bank = Bank.open(folder)
        bank.space.demand(tower)
        return bank
    space = shipped_space(tower)
    if space is None:
        fit = f"nightjar bank fit VIDEOS --bank {folder} --bundle {bundle.name}"
        raise UsageError(f"no descriptor space ships for {tower}; `{fit}` makes a bank with one of your own")
    return Bank.create(folder, space)


@contextmanager
def _staging(folder: Path, work: str) -> Iterator[Path]:
    """Lend a folder for unfinished work; the same call finds it again, and two of them take turns."""
    staging = folder / STAGING / hashlib.sha256(work.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    staging.mkdir(parents=True, exist_ok=True)
    with locked(staging):
        yield staging
        shutil.rmtree(staging, ignore_errors=True)


def _hashed(wanted: Iterable[Wanted], staging: Path) -> list[dict[str, str | None]]:
    """Rows of CONTENTS."""
    manifest = pa.table({"video_id": [one.path for one in wanted], "uri": [one.uri for one in wanted]})
    with progress.bar("hashing", manifest.num_rows) as bar:
        known = staging / "contents.parquet"
        rows: list[dict[str, str | None]] = hash_contents(
            manifest, known, Limits(), lambda table: bar.advance(table.num_rows)
        ).to_pylist()
        return rows


def sort_out(
    bank: Bank, wanted: Mapping[str, Wanted], rows: Iterable[Mapping[str, str | None]]
) -> tuple[list[Outcome], dict[str, Wanted]]:
    """Settle what needs no decoding; return that, and by content what is left to do."""
    outcomes, new = [], []
    told: list[tuple[Wanted, Reference]] = []
    known = bank.known(filter(None, (row["content_sha256"] for row in rows)))
    for row in rows:
        one, sha256 = wanted[row["uri"] or ""], row["content_sha256"]
        if sha256 is None:
            outcomes.append(
                Outcome(one.path, one.id, "unreadable", note=f"{row['error_code']}: {row['error_message']}")
            )
        elif sha256 in known and known[sha256].id == one.id:
            told.append((one, known[sha256]))
        else:
            new.append((one, one.reference(sha256)))
    refused, todo = _without_clashes(bank, known, new)
    return outcomes + _retell(bank, told) + refused, todo


def _retell(bank: Bank, told: Sequence[tuple[Wanted, Reference]]) -> list[Outcome]:
    """Write what is said now about references that are there, in one commit."""
    said = [one.stated.over(known) for one, known in told]
    changed = set(bank.update(new for new, (_, known) in zip(said, told, strict=True) if new != known))
    return [
        Outcome(
            one.path,
            one.id,
            "updated" if known.id in changed else "known",
            known.duration_ms,
            None if known.state is State.ACTIVE else f"it is {known.state}",
        )
        for one, known in told
    ]


def _without_clashes(
    bank: Bank, known: Mapping[str, Reference], new: Iterable[tuple[Wanted, Reference]]
) -> tuple[list[Outcome], dict[str, Wanted]]:
    """Refuse the same content under a second id, and a second content under the same id."""
    refused, todo = [], {}
    contents = {sha256: ref.id for sha256, ref in known.items()}
    ids = {ref.id: ref.content_sha256 for ref in bank.with_ids(one.id for one, _ in new).values()}
    for one, ref in new:
        if clash := clash_of(ref, ids, contents):
            refused.append(Outcome(one.path, one.id, "refused", note=clash))
        else:
            todo[ref.content_sha256] = one
            contents[ref.content_sha256] = ref.id
    return refused, todo


def _described(
    table: pa.Table, bundle: PinnedBundle, bank: Bank, sampling: Sampling, machines: Machines, staging: Path
) -> Iterator[Described]:
    """Decode and fingerprint; torch and Ray are needed from here on."""
    from pipelines.copyright.describe import describe

    with progress.bar("fingerprinting", table.num_rows) as bar:

        def advance(receipts: pa.Table) -> None:
            bar.advance(sum(receipts["last"].to_pylist()))

        yield from describe(table, bundle, bank.space, sampling, Limits(), machines, staging, advance)


def commit(bank: Bank, todo: Mapping[str, Wanted], described: Iterable[Described]) -> list[Outcome]:
    """Add what can be matched, as it comes; what cannot be read at all is told and not added."""
    outcomes, batch, held = {}, [], 0
    for sha256, fingerprint, code, message in described:
        one = todo[sha256]
        if not (len(fingerprint.frame_ms) or len(fingerprint.peaks)):
            note = f"{code}: {message}" if code else "there is nothing in it to match"
            outcomes[sha256] = Outcome(one.path, one.id, "unreadable", note=note)
            continue
        reference = replace(
            one.reference(sha256),
            duration_ms=fingerprint.duration_ms,
            complete=code is None,
            error_code=code,
            error_message=message,
        )
        batch.append((reference, fingerprint))
        held += fingerprint.descriptors_ND.nbytes
        if len(batch) == BATCH or held > BATCH_BYTES:
            outcomes |= _commit(bank, todo, batch)
            batch, held = [], 0
    outcomes |= _commit(bank, todo, batch)
    lost = set(todo) - set(outcomes)
    gone = [Outcome(todo[sha].path, todo[sha].id, "unreadable", note="nothing came back of it") for sha in lost]
    return [*outcomes.values(), *gone]


def _commit(bank: Bank, todo: Mapping[str, Wanted], batch: Sequence[Pair]) -> dict[str, Outcome]:
    """Add all in one commit; where another `add` was first with one of them, each on its own."""
    try:
        bank.add_all(batch)
    except UsageError as error:
        if len(batch) == 1:
            (ref, _), path = batch[0], todo[batch[0][0].content_sha256].path
            return {ref.content_sha256: Outcome(path, ref.id, "refused", note=str(error))}
        alone = [_commit(bank, todo, [pair]) for pair in batch]
        return {sha256: outcome for each in alone for sha256, outcome in each.items()}
    return {ref.content_sha256: _added(todo[ref.content_sha256], ref) for ref, _ in batch}


def _added(one: Wanted, reference: Reference) -> Outcome:
    note = None if reference.complete else f"incomplete: {reference.error_code}: {reference.error_message}"
    return Outcome(one.path, one.id, "added", reference.duration_ms, note)

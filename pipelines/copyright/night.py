"""Match a night with a bank: each worker holds a shard of the references, batches of uploads visit them all.

What is matched is kept in pieces, one folder a bank version, so that a run that was killed goes on where it stood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipelines.copyright.bank.reference import Kind, Reference, State
from pipelines.copyright.claims import ReferenceMatch
from pipelines.copyright.fingerprint import Fingerprint
from pipelines.copyright.match import Found, Shard, matches, spread
from pipelines.copyright.matched import MATCHES, Matched
from pipelines.copyright.stored import stored_fingerprints
from pipelines.copyright.verification.stills import NO_STILLS, Stills, stored_stills
from pipelines.copyright.verification.verifier import Verifier
from pipelines.pieces import Pieces
from pipelines.risk.evidence import EVIDENCE_FLOOR, shown_small
from pipelines.run import on_ray
from pipelines.stage import PipelineError

if TYPE_CHECKING:  # it imports Lance, which a run without a bank does without
    from pipelines.copyright.bank.reader import BankReader

UPLOADS = 64  # that visit the shards together: some 10 MB of descriptors
IN_FLIGHT = 3  # batches
Prints = Sequence[tuple[int, Fingerprint]]  # of a batch of uploads, by their number
Batch = tuple[Sequence[str], Pieces, Prints]  # contents, where they are kept, their fingerprints
Shards = list[list[tuple[int, str]]]  # number and hash of the references of each
Settled = tuple[dict[int, list[ReferenceMatch]], float]  # by number of the upload; seconds that verifying took
REFERENCES = 64  # whose stills are held in memory, some 50 MB an hour of film


@dataclass(frozen=True)
class Machine:
    """What an actor takes of the cluster, and how many there are."""

    actors: int = 1
    cpus: float = 1.0
    gpus: float = 0.0


class ShardActor:
    """A shard of the bank in a worker; it reads its references itself."""

    def __init__(self, bank: Path, references: Sequence[tuple[int, str]], device: str) -> None:
        from pipelines.copyright.bank.reader import BankReader

        reader = BankReader.open(bank)
        numbers = {sha256: number for number, sha256 in references}
        found = reader.fingerprints(list(numbers))
        self.shard = Shard([(numbers[sha256], print_) for sha256, print_ in found], reader.space, device)

    def find(self, uploads: Sequence[tuple[int, Fingerprint]]) -> Found:
        """Look a batch up."""
        return self.shard.find(uploads)


def match_night(
    bank: BankReader,
    references: Sequence[Reference],
    pieces: Pieces,
    contents: Iterable[str],
    matched: Matched,
    machine: Machine,
    advance: Callable[[int, int], None],
) -> float:
    """Match those contents that are not matched yet; `advance` is told how many were, and how many had a match.

    Returns the seconds that verifying took, all workers together.
    """
    todo = sorted(
        set(contents) & pieces.contents.keys() - matched.done(),
        key=lambda sha256: (pieces.contents[sha256].pieces, sha256),  # a batch reads few pieces, and each whole
    )
    active = [ref for ref in references if ref.state is State.ACTIVE]
    verifying_s = 0.0
    if not todo or not active:
        return verifying_s
    pictures = Pictures(bank)
    for batch, (found, seconds) in _searched(bank, active, pieces, todo, machine):
        verifying_s += seconds
        table = match_rows(batch, found, active, pictures)
        matched.write(table)
        hits = {sha256 for sha256, ref in zip(*table.select([0, 1]).to_pydict().values(), strict=True) if ref}
        advance(len(batch), len(hits))
    return verifying_s


def _searched(
    bank: BankReader, references: Sequence[Reference], pieces: Pieces, todo: Sequence[str], machine: Machine
) -> Iterator[tuple[Sequence[str], Settled]]:
    """Send batches around; yields each with what was found, in order."""
    durations_ms = {number: ref.duration_ms for number, ref in enumerate(references)}
    negative = frozenset(number for number, ref in enumerate(references) if ref.kind is Kind.NEGATIVE)
    batches = [todo[first : first + UPLOADS] for first in range(0, len(todo), UPLOADS)]
    uploads = ((batch, pieces.only(batch), _uploads(bank, pieces, batch)) for batch in batches)
    shas = [ref.content_sha256 for ref in references]
    settle = Settle(bank.folder.absolute(), shas, durations_ms, negative)
    shards = _dealt(references, machine)
    if on_ray():
        yield from _by_actors(bank, shards, machine, uploads, settle)
    else:
        yield from _by_processes(bank, shards, uploads, settle)


def _by_processes(
    bank: BankReader, shards: Shards, uploads: Iterator[Batch], settle: Settle
) -> Iterator[tuple[Sequence[str], Settled]]:
    """A process of this machine for each shard; one shard alone needs none."""
    if len(shards) == 1:
        shard = ShardActor(bank.folder.absolute(), shards[0], "cpu")
        yield from ((batch, settle(kept, prints, shard.find(prints))) for batch, kept, prints in uploads)
        return
    with ExitStack() as stack:
        pools = [
            stack.enter_context(
                ProcessPoolExecutor(1, get_context("spawn"), _hold, (bank.folder.absolute(), shard, "cpu"))
            )
            for shard in shards
        ]
        try:
            for batch, kept, prints in uploads:
                asked = [pool.submit(_find, prints) for pool in pools]
                yield batch, settle(kept, prints, *[one.result() for one in asked])
        except BrokenProcessPool as error:
            raise PipelineError(f"matching with bank {bank.folder} failed: a worker died") from error


_held: list[ShardActor] = []  # by a process of `_by_processes`


def _hold(bank: Path, references: Sequence[tuple[int, str]], device: str) -> None:
    _held.append(ShardActor(bank, references, device))


def _find(uploads: Prints) -> Found:
    return _held[0].find(uploads)


def _by_actors(
    bank: BankReader, shards: Shards, machine: Machine, uploads: Iterator[Batch], settle: Settle
) -> Iterator[tuple[Sequence[str], Settled]]:
    """An actor of the cluster for each shard."""
    import ray
    from ray.exceptions import RayError

    settling = ray.remote(num_cpus=0)(lambda kept, prints, *found: settle(kept, prints, *found))
    actors = _actors(bank, shards, machine)
    waiting: list[tuple[Sequence[str], Any]] = []
    try:
        for batch, kept, prints in uploads:
            sent = ray.put(prints)
            asked = [actor.find.remote(sent) for actor in actors]
            waiting.append((batch, settling.remote(kept, sent, *asked)))
            if len(waiting) == IN_FLIGHT:
                yield waiting[0][0], ray.get(waiting.pop(0)[1])
        while waiting:
            yield waiting[0][0], ray.get(waiting.pop(0)[1])
    except RayError as error:
        reason = " ".join(str(getattr(error, "cause", None) or error).split())[:500]
        raise PipelineError(f"matching with bank {bank.folder} failed: {reason}") from error
    finally:
        for actor in actors:
            ray.kill(actor)


@dataclass(frozen=True)
class Settle:
    """Puts together what all shards found for a batch, and verifies it on stills, in whatever worker it runs."""

    bank: Path
    shas: Sequence[str]  # of the references, by number
    durations_ms: Mapping[int, int]
    negative: frozenset[int]

    def __call__(self, pieces: Pieces, uploads: Prints, *found: Found) -> Settled:
        """Return the claims of each upload, and the seconds that verifying took."""
        shas = list(pieces.contents)  # in the order of the batch

        def ours(number: int) -> Stills:
            return stored_stills(pieces, [shas[number]]).get(shas[number], NO_STILLS)

        verifier = Verifier(ours, lambda number: _stills_of(self.bank, self.shas[number]))
        return matches(found, uploads, self.durations_ms, self.negative, verifier), verifier.seconds


@lru_cache(REFERENCES)
def _stills_of(bank: Path, sha256: str) -> Stills:
    return _reader(bank).stills(sha256)


@lru_cache(1)
def _reader(bank: Path) -> BankReader:
    from pipelines.copyright.bank.reader import BankReader

    return BankReader.open(bank)


def _uploads(bank: BankReader, pieces: Pieces, batch: Sequence[str]) -> list[tuple[int, Fingerprint]]:
    raw = stored_fingerprints(pieces, batch)
    return [(number, raw[sha256].within(bank.space)) for number, sha256 in enumerate(batch)]


def _dealt(references: Sequence[Reference], machine: Machine) -> Shards:
    """Deal the references out: no more shards than there are references, each with about as many seconds of them."""
    dealt = spread([ref.duration_ms for ref in references], max(1, min(machine.actors, len(references))))
    return [[(number, references[number].content_sha256) for number in shard] for shard in dealt]


def _actors(bank: BankReader, shards: Shards, machine: Machine) -> list[Any]:
    import ray

    device = "cuda" if machine.gpus else "cpu"
    actor = ray.remote(num_cpus=machine.cpus, num_gpus=machine.gpus, max_restarts=-1, max_task_retries=-1)(ShardActor)
    return [actor.remote(bank.folder.absolute(), shard, device) for shard in shards]


class Pictures:
    """Pictures of references, for people; the last stills read are kept."""

    def __init__(self, bank: BankReader, references: int = REFERENCES) -> None:
        self.stills = lru_cache(references)(bank.stills)

    def near(self, reference: Reference, ms: int) -> bytes | None:
        """The picture closest in time, if there is any."""
        stills = self.stills(reference.content_sha256)
        return shown_small(stills.pictures[stills.at(ms)]) if len(stills) else None


def match_rows(
    batch: Sequence[str],
    found: Mapping[int, list[ReferenceMatch]],
    references: Sequence[Reference] | Mapping[int, Reference],
    pictures: Pictures,
) -> pa.Table:
    """MATCHES of a batch of contents, whose matches are known by its place in it, as references are by number."""
    rows: list[dict[str, object]] = []
    for number, sha256 in enumerate(batch):
        own = [_row(one, references[one.reference], pictures) for one in found[number]]
        rows += [{**row, "content_sha256": sha256} for row in own or [{}]]
    return pa.Table.from_pylist(rows, MATCHES)


def _row(found: ReferenceMatch, reference: Reference, pictures: Pictures) -> dict[str, object]:
    match, shown = found.match, found.shown
    row: dict[str, object] = {**vars(match), "reference_id": reference.id}
    if shown:
        points = [dict(zip(("x", "y", "ref_x", "ref_y"), point, strict=True)) for point in shown.points]
        return row | {"ref_picture": shown.ref_picture, "picture": shown.picture, "points": points}
    middle = (match.ref_start_ms + match.ref_end_ms) // 2
    return row | {"ref_picture": pictures.near(reference, middle) if match.claim_score >= EVIDENCE_FLOOR else None}

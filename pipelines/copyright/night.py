"""Match a night with a bank on Ray: each actor holds a shard of the references, batches of uploads visit them all.

What is matched is kept in pieces, one folder a bank version, so that a run that was killed goes on where it stood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipelines.copyright.bank.reference import Kind, Reference, State
from pipelines.copyright.claims import Match
from pipelines.copyright.fingerprint import Fingerprint
from pipelines.copyright.match import Found, ReferenceMatch, Shard, matches, spread
from pipelines.copyright.matched import MATCHES, Matched
from pipelines.copyright.stored import stored_fingerprints
from pipelines.pieces import Pieces
from pipelines.risk.evidence import EVIDENCE_FLOOR
from pipelines.stage import PipelineError

if TYPE_CHECKING:  # it imports Lance, which a run without a bank does without
    from pipelines.copyright.bank.reader import BankReader

UPLOADS = 64  # that visit the shards together: some 10 MB of descriptors
IN_FLIGHT = 3  # batches
STRIPS = 64  # film strips of references in memory, some MB an hour of film


@dataclass(frozen=True)
class Machine:
    """What an actor takes of the cluster, and how many there are."""

    actors: int = 1
    cpus: float = 1.0
    gpus: float = 0.0


class ShardActor:
    """A shard of the bank in a Ray actor; it reads its references itself."""

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
) -> None:
    """Match those contents that are not matched yet; `advance` is told how many were, and how many had a match."""
    todo = sorted(
        set(contents) & pieces.contents.keys() - matched.done(),
        key=lambda sha256: (pieces.contents[sha256].pieces, sha256),  # a batch reads few pieces, and each whole
    )
    active = [ref for ref in references if ref.state is State.ACTIVE]
    if not todo or not active:
        return
    pictures = Pictures(bank)
    for batch, found in _searched(bank, active, pieces, todo, machine):
        table = _rows(batch, found, active, pictures)
        matched.write(table)
        hits = {sha256 for sha256, ref in zip(*table.select([0, 1]).to_pydict().values(), strict=True) if ref}
        advance(len(batch), len(hits))


def _searched(
    bank: BankReader, references: Sequence[Reference], pieces: Pieces, todo: Sequence[str], machine: Machine
) -> Iterator[tuple[Sequence[str], dict[int, list[ReferenceMatch]]]]:
    """Send batches around; yields each with what was found, in order."""
    import ray
    from ray.exceptions import RayError

    durations_ms = {number: ref.duration_ms for number, ref in enumerate(references)}
    negative = frozenset(number for number, ref in enumerate(references) if ref.kind is Kind.NEGATIVE)
    settle = ray.remote(num_cpus=0)(_settled)
    shards = _shards(bank, references, machine)
    waiting: list[tuple[Sequence[str], Any]] = []
    try:
        for first in range(0, len(todo), UPLOADS):
            batch = todo[first : first + UPLOADS]
            uploads = ray.put(_uploads(bank, pieces, batch))
            asked = [shard.find.remote(uploads) for shard in shards]
            waiting.append((batch, settle.remote(uploads, durations_ms, negative, *asked)))
            if len(waiting) == IN_FLIGHT:
                yield waiting[0][0], ray.get(waiting.pop(0)[1])
        while waiting:
            yield waiting[0][0], ray.get(waiting.pop(0)[1])
    except RayError as error:
        reason = " ".join(str(getattr(error, "cause", None) or error).split())[:500]
        raise PipelineError(f"matching with bank {bank.folder} failed: {reason}") from error
    finally:
        for shard in shards:
            ray.kill(shard)


def _settled(
    uploads: Sequence[tuple[int, Fingerprint]], durations_ms: Mapping[int, int], negative: frozenset[int], *found: Found
) -> dict[int, list[ReferenceMatch]]:
    return matches(found, uploads, durations_ms, negative)


def _uploads(bank: BankReader, pieces: Pieces, batch: Sequence[str]) -> list[tuple[int, Fingerprint]]:
    raw = stored_fingerprints(pieces, batch)
    return [(number, raw[sha256].within(bank.space)) for number, sha256 in enumerate(batch)]


def _shards(bank: BankReader, references: Sequence[Reference], machine: Machine) -> list[Any]:
    """Start the actors: no more than there are references, each with about as many seconds of them."""
    import ray

    device = "cuda" if machine.gpus else "cpu"
    actor = ray.remote(num_cpus=machine.cpus, num_gpus=machine.gpus, max_restarts=-1, max_task_retries=-1)(ShardActor)
    dealt = spread([ref.duration_ms for ref in references], max(1, min(machine.actors, len(references))))
    shas = [[(number, references[number].content_sha256) for number in shard] for shard in dealt]
    return [actor.remote(bank.folder.absolute(), shard, device) for shard in shas]


class Pictures:
    """Pictures of references, for people; the last strips read are kept."""

    def __init__(self, bank: BankReader) -> None:
        self.strip = lru_cache(STRIPS)(bank.strip)

    def near(self, reference: Reference, ms: int) -> bytes | None:
        """The picture closest in time, if there is any."""
        return min(self.strip(reference.content_sha256), key=lambda one: abs(one[0] - ms), default=(0, None))[1]


def _rows(
    batch: Sequence[str],
    found: Mapping[int, list[ReferenceMatch]],
    references: Sequence[Reference],
    pictures: Pictures,
) -> pa.Table:
    rows: list[dict[str, object]] = []
    for number, sha256 in enumerate(batch):
        own = [_row(one.match, references[one.reference], pictures) for one in found[number]]
        rows += [{**row, "content_sha256": sha256} for row in own or [{}]]
    return pa.Table.from_pylist(rows, MATCHES)


def _row(match: Match, reference: Reference, pictures: Pictures) -> dict[str, object]:
    middle = (match.ref_start_ms + match.ref_end_ms) // 2
    shown = pictures.near(reference, middle) if match.claim_score >= EVIDENCE_FLOOR else None
    return {**vars(match), "reference_id": reference.id, "ref_picture": shown}

"""Processes that write a bank until they are killed. What a reference holds follows from its number: it can be checked.

For each line on standard input, what to do, a number and a folder, a child begins. It says its process id
once it is at work; once it is dead, this process says how it ended.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np

from pipelines.copyright.bank import tables as bank_tables
from pipelines.copyright.bank.bank import Bank
from pipelines.copyright.bank.reference import Kind, Reference, State, parse_licences
from pipelines.copyright.fingerprint import Fingerprint
from pipelines.copyright.picture.space import Space
from pipelines.copyright.sound.landmarks import Peaks

WIDE, DEEP = 6, 4


def space(tower: str = "fake_tower@1") -> Space:
    generator = np.random.default_rng(1)
    matrices = (generator.normal(size=shape).astype(np.float16) for shape in ((WIDE,), (WIDE, DEEP), (3, DEEP)))
    return Space(tower, *(matrix.astype(np.float32) for matrix in matrices))


def sha_of(number: int) -> str:
    return f"{number:064x}"


def reference(number: int, **said: object) -> Reference:
    licences = parse_licences("US:2025-01-01..;*") if number % 2 else ()
    known = {
        "title": f"Title {number}",
        "kind": [*Kind][number % 4],
        "licences": licences,
        "duration_ms": 1000 * number,
    }
    return Reference(id=f"r{number}", content_sha256=sha_of(number), uri=f"/films/r{number}.mp4", **(known | said))


def fingerprint(number: int, frames: int | None = None) -> Fingerprint:
    """0 to 6 frames of 2 views and 0 to 10 peaks."""
    generator = np.random.default_rng(number)
    rows, peaks = 2 * (number % 7 if frames is None else frames), number % 11
    return Fingerprint(
        duration_ms=1000 * number,
        frame_ms=np.repeat(np.arange(rows // 2, dtype=np.int64) * 1000, 2),
        view=np.tile(np.arange(2, dtype=np.uint8), rows // 2),
        descriptors_ND=generator.normal(size=(rows, DEEP)).astype(np.float16),
        pdq_NB=generator.integers(0, 256, (rows, 32), dtype=np.uint8),
        pdq_quality=generator.integers(0, 101, rows, dtype=np.uint8),
        peaks=Peaks(np.arange(peaks, dtype=np.int32) * 50, generator.integers(0, 12_000, peaks, dtype=np.uint16)),
    )


def add_for_ever(number: int, folder: Path) -> None:
    """Add one after the other; disable every third, and remove every fifth once two more have come."""
    bank = Bank.create(folder, space())
    for i in count(number):
        bank.add(reference(i), fingerprint(i))
        if i == number:
            say(os.getpid())
        if i % 3 == 0:
            bank.set_state([f"r{i}"], State.DISABLED, "every third")
        if i % 5 == 2 and i - 2 >= number:
            bank.remove([f"r{i - 2}"])


def compact_for_ever(number: int, folder: Path) -> None:
    """The same, where every write merges what there is."""
    bank_tables.MOST_FRAGMENTS = 1
    add_for_ever(number, folder)


def create_for_ever(number: int, folder: Path) -> None:
    """Make one bank after the other."""
    say(os.getpid())
    for i in count(number):
        Bank.create(folder / str(i), space())


def add_some(number: int, folder: Path) -> None:
    """Add twelve, and end."""
    say(os.getpid())
    bank = Bank.create(folder, space())
    for i in range(number, number + 12):
        bank.add(reference(i), fingerprint(i))


WORK: dict[str, Callable[[int, Path], None]] = {
    "add": add_for_ever,
    "compact": compact_for_ever,
    "create": create_for_ever,
    "some": add_some,
}


def say(word: object) -> None:
    os.write(1, f"{word}\n".encode())


if __name__ == "__main__":
    warnings.filterwarnings("ignore", "lance is not fork-safe")  # nor used before the fork
    for line in sys.stdin:
        what, number, folder = line.rstrip("\n").split(" ", 2)
        child = os.fork()  # imports once
        if child == 0:
            WORK[what](int(number), Path(folder))
            os._exit(0)
        say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

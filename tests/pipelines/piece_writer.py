"""Processes that commit pieces until they are killed. What a content holds follows from its name, so it can be checked.

For each line on standard input, the number of the first content and the folder, a child begins to write. It says its
process id after its first piece; once it is dead, this process says how it ended.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from pipelines.pieces import write_piece
from tests.windows import looked_at, seen, window

PIECE_WINDOWS = 3


def windows_of(content: str) -> list[dict]:
    """One to four windows, with none to two signals, one to four frames, none to two peaks and one picture each."""
    count = 1 + sum(map(ord, content)) % 4
    return [
        window(
            content,
            i,
            last=i == count - 1,
            frame_ms=range(i * 1000, i * 1000 + i + 1),
            signals=[seen((1 + n) / 8, i * 1000 + n, i * 1000 + n + 1) for n in range((len(content) + i) % 3)],
            peaks=[(i * 1000 + n, 100 * n) for n in range((len(content) + 2 * i) % 3)],
            pictures={i * 1000: f"{content}/{i}".encode()},
            stills={i * 1000: f"{content}/{i}/small".encode()},
        )
        for i in range(count)
    ]


def batches(number: int) -> Iterator[list[dict]]:
    """Windows for one piece after the other, cut without regard to where a content ends."""
    held: list[dict] = []
    while True:
        while len(held) < PIECE_WINDOWS:
            held += windows_of(f"c{number}")
            number += 1
        yield held[:PIECE_WINDOWS]
        held = held[PIECE_WINDOWS:]


def write_for_ever(folder: Path, number: int) -> None:
    for count, rows in enumerate(batches(number)):
        write_piece(folder, looked_at(*rows))
        if count == 0:
            say(os.getpid())


def say(word: object) -> None:
    os.write(1, f"{word}\n".encode())


if __name__ == "__main__":
    for line in sys.stdin:
        child = os.fork()  # imports once, and no thread is running yet
        if child == 0:
            first, folder = line.rstrip("\n").split(" ", 1)
            write_for_ever(Path(folder), int(first))
        say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

"""Texts of uploads that wait are read with those of the one whose turn it is: a batch costs little more than a text.

The encoder of `lite` mostly reads its own weights. With 16 clients on two cores it takes 1 ms of processor time an
upload instead of 3, and the threads that read and judge take another 1.2 ms less, out of 38. Nobody waits for a batch
to fill: whoever is alone reads alone.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future

import pyarrow as pa

from pipelines.text.read import Read

MOST_CHARACTERS = 2_000  # read at once, unless one upload alone has more: some 20 ms of one core


class Texts:
    """What one upload says, and its readings once it was read along with others."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = tuple(texts)
        self.characters = sum(map(len, self.texts))
        self.read: Future[pa.Table | None] = Future()  # None: nobody did, it is read alone


class ReadAhead:
    """Reads texts, for any number of threads."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._waiting: dict[Texts, None] = {}  # in the order in which they came
        self._turn = threading.Lock()

    def expect(self, texts: Sequence[str]) -> Texts:
        """Announce an upload; whoever reads before its turn may read along what it says."""
        announced = Texts(texts)
        if announced.texts:
            with self._turn:
                self._waiting[announced] = None
        return announced

    def forget(self, announced: Texts) -> None:
        """Let nobody read it along; if its turn comes all the same, it is read alone."""
        with self._turn:
            if announced not in self._waiting:
                return
            del self._waiting[announced]
        announced.read.set_result(None)

    def of(self, announced: Texts, others: Sequence[str] = ()) -> pa.Table | None:
        """READINGS of what an upload says, and of what else was found in it; None where there is nothing.

        Raises what reading these raises, whoever they were read along with.
        """
        found = [self._of(announced)] if announced.texts else []
        more = [text for text in dict.fromkeys(others) if text not in announced.texts]
        if more:
            found.append(self._read(more))
        return pa.concat_tables(found) if found else None

    def _of(self, announced: Texts) -> pa.Table:
        batch = self._along_with(announced)
        if len(batch) > 1:
            self._together(batch)
        elif batch:
            return self._read(announced.texts)
        found = announced.read.result()
        return self._read(announced.texts) if found is None else found

    def _along_with(self, announced: Texts) -> list[Texts]:
        """It and those that wait, while there is room; nothing where it waits no more."""
        with self._turn:
            if announced not in self._waiting:
                return []
            batch, room = [], MOST_CHARACTERS
            for texts in (announced, *(other for other in self._waiting if other is not announced)):
                if texts is announced or texts.characters <= room:
                    batch.append(texts)
                    room -= texts.characters
            for texts in batch:
                del self._waiting[texts]
            return batch

    def _together(self, batch: Sequence[Texts]) -> None:
        """Read them at once; where that fails each is read alone, so that the fault finds whom it belongs to."""
        try:
            table = self._read([text for texts in batch for text in texts.texts])
        except Exception:  # noqa: BLE001 it comes again to the one whose it is
            for texts in batch:
                texts.read.set_result(None)
            return
        row = 0
        for texts in batch:
            texts.read.set_result(table.slice(row, len(texts.texts)))
            row += len(texts.texts)

"""The still closest to a time."""

from __future__ import annotations

import pytest

from pipelines.copyright import strips
from pipelines.copyright.strips import nearest_pictures
from pipelines.pieces import Pieces, write_piece
from tests.windows import looked_at, window

LONG, SHORT, BARE, HALF = "a" * 64, "b" * 64, "c" * 64, "d" * 64


@pytest.fixture(autouse=True)
def unshrunk(monkeypatch):
    """Stills that are names stay what they are."""
    monkeypatch.setattr(strips, "shown_small", lambda still: still)


def pieces_in(folder) -> Pieces:
    """One content in two windows and two pieces, one short, one without pictures, one that is not finished."""
    write_piece(
        folder,
        looked_at(
            window(LONG, 0, last=False, stills={2000: b"two", 0: b"zero", 4000: b"four"}),
            window(SHORT, stills={500: b"short"}),
            window(BARE),
            window(HALF, 0, last=False, stills={0: b"half"}),
        ),
    )
    write_piece(folder, looked_at(window(LONG, 1, stills={30_000: b"thirty"})))
    return Pieces(folder)


def test_the_closest_picture_and_the_earlier_of_two(tmp_path):
    wanted = [(LONG, 0), (LONG, 1000), (LONG, 1001), (LONG, 29_000), (LONG, 99_000), (SHORT, 8000)]
    found = nearest_pictures(pieces_in(tmp_path), wanted)

    assert [found[key] for key in wanted] == [
        (0, b"zero"),
        (0, b"zero"),
        (2000, b"two"),
        (30_000, b"thirty"),
        (30_000, b"thirty"),
        (500, b"short"),
    ]


def test_what_has_no_picture_is_left_out(tmp_path):
    wanted = [(BARE, 0), (HALF, 0), ("e" * 64, 0), ("", 0)]
    assert nearest_pictures(pieces_in(tmp_path), wanted) == {}


def test_batches_change_nothing(tmp_path, monkeypatch):
    pieces, wanted = pieces_in(tmp_path), [(LONG, 1001), (SHORT, 0), (BARE, 0)]
    together = nearest_pictures(pieces, wanted)
    monkeypatch.setattr(strips, "BATCH_MS", 1)
    assert nearest_pictures(pieces, wanted) == together
    assert len(together) == 2

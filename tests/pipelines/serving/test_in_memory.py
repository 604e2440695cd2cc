"""What is held in memory reads as what lies in folders, whole or not, and of nobody else."""

from __future__ import annotations

import pytest

from pipelines.pieces import KINDS, Pieces, write_piece
from pipelines.rows import ErrorCode
from pipelines.serving.in_memory import NO_CONTENT, HeldPieces, HeldReadings
from pipelines.text.readings import Reader, Readings, readings_table
from pipelines.text.tiers import Band
from pipelines.text.words.matcher import Hit
from tests.windows import looked_at, seen, window

FILM = "a" * 64
READER = Reader("starter@1", "heads@1", (("Gambling", Band(0.3, 0.4, 0.8)),))


def film(*, error_codes=(None, None, None)):
    """Three windows: signals and pictures in the first, lines in the second, a voice and nothing else in the third."""
    return [
        window(
            FILM, 0, last=False, frame_ms=[0, 1000], signals=[seen(0.5, 0, 1000), seen(0.6, 1000, 2000)],
            pictures={1000: b"one"}, stills={0: b"small"}, peaks=[(3, 4), (5, 6)], error_code=error_codes[0],
        ),
        window(FILM, 1, last=False, said=[(31_000, 32_000, "place a bet")], shown=[(33_000, 34_000, "bet")],
               found=[(35_000, 36_000, "t.me/bet")],
               error_code=error_codes[1]),
        window(FILM, 2, voice=[1.0, 0.0], duration_ms=70_000, error_code=error_codes[2]),
    ]  # fmt: skip


def held(rows):
    return HeldPieces(FILM, [looked_at(row) for row in rows])


@pytest.fixture(params=[(None, None, None), (None, "model_failed", None), (None, "model_failed", "truncated")])
def both(request, tmp_path):
    rows = film(error_codes=request.param)
    write_piece(tmp_path, looked_at(*rows))
    return held(rows), Pieces(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_those_of_the_folder(both, kind):
    here, there = both
    assert here.rows(kind, [FILM]).num_rows > 0
    assert here.rows(kind, [FILM]).equals(there.rows(kind, [FILM]))


def test_a_content_ended_as_the_folder_says(both):
    here, there = (vars_of(pieces.contents[FILM]) for pieces in both)
    assert here == there


def vars_of(content):
    return content.duration_ms, content.error_code, content.error_message, content.windows


def test_who_asks_for_another_content_gets_no_rows():
    assert held(film()).rows("signals", ["b" * 64]).num_rows == 0
    assert held(film()).rows("signals", []).num_rows == 0


def test_a_kind_that_was_not_looked_for_has_no_rows():
    short = looked_at(film()[0]).drop_columns(["views"])
    found = HeldPieces(FILM, [short])
    assert found.rows("views", [FILM]).schema == held(film()).rows("views", [FILM]).schema
    assert (found.rows("views", [FILM]).num_rows, found.rows("signals", [FILM]).num_rows) == (0, 2)


def test_a_text_has_an_unharmed_content_of_no_length():
    assert vars_of(HeldPieces(NO_CONTENT, []).content) == (0, None, None, 0)


def test_a_failure_is_noted_beside_the_first_error():
    fresh, damaged = held(film()), held(film(error_codes=(None, None, "truncated")))
    for pieces in (fresh, damaged):
        pieces.failed(ErrorCode.MODEL_FAILED, "reading failed")
    assert (fresh.content.error_code, fresh.content.error_message) == ("model_failed", "reading failed")
    assert damaged.content.error_code == "truncated"
    assert damaged.content.error_message == "it is truncated; reading failed"


def test_readings_are_those_of_the_folder(tmp_path):
    hit = Hit("Gambling", 3, True, 0.9, "gambling_en@1", "bet", 8, 11, "plain")
    texts = ["place a bet", "you may bet", "good day"]
    table = readings_table(texts, [[hit], [], []], [None, {"Gambling": 0.5}, {}])
    there = Readings.made_by(READER, tmp_path)
    there.write(table)
    here, later = HeldReadings(READER, table), HeldReadings(READER)
    assert later.of(texts[0]) == []
    later.write(table)
    for text in texts:
        assert here.of(text) == there.of(text) == later.of(text)
        assert here.meaning(text) == there.meaning(text)
    assert [len(here.of(text)) for text in texts] == [1, 1, 0]
    assert here.unread([*texts, "new"]) == ["new"]

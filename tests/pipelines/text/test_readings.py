"""Readings: each text once, only what has something in it kept, and nothing lost by a torn run."""

import pytest

from model_registry.errors import NightjarError
from pipelines.text.readings import Reader, Readings, key_of, readings_table
from pipelines.text.tiers import Band
from pipelines.text.words.matcher import Hit

READER = Reader("starter@1+0", "heads@1", (("Gambling", Band(0.25, 0.5, 0.75)),))
HIT = Hit(
    label="Gambling",
    severity=3,
    certain=False,
    score=0.5,
    lexicon="gambling_en@1",
    term="bet",
    start=3,
    end=6,
    how="plain",
)


@pytest.fixture
def readings(tmp_path):
    made = Readings.made_by(READER, tmp_path)
    texts = ["we bet", "nothing here", "likely", "not asked"]
    made.write(readings_table(texts, [[HIT], [], [], [HIT]], [{"Gambling": 0.5}, {}, {"Gambling": 0.75}, None]))
    return made


def test_what_was_read_is_not_read_again(readings):
    assert readings.unread(["we bet", "new", "nothing here", "new", "likely"]) == ["new"]
    assert len(readings) == 4


def test_only_what_has_something_in_it_is_telling(readings):
    assert [readings.telling(text) for text in ("we bet", "nothing here", "likely", "not asked", "new")] == [
        True,
        False,
        True,
        True,
        False,
    ]


def test_meaning_tells_apart_nothing_from_not_asked(readings):
    assert readings.meaning("nothing here") == {}
    assert readings.meaning("likely") == {"Gambling": 0.75}
    assert readings.meaning("not asked") is None
    assert readings.meaning("new") is None


def test_they_are_the_same_when_read_from_disk(readings):
    again = Readings(readings.folder)
    assert again.reader == READER
    assert again.of("we bet") == readings.of("we bet")
    assert [(one.label, one.score, one.settled) for one in again.of("likely")] == [("Gambling", 0.75, True)]
    assert again.of("nothing here") == []
    assert again.of("not asked")[0].settled is False


def test_another_reader_has_a_folder_of_its_own(readings, tmp_path):
    for other in (
        Reader("starter@2+0", READER.heads, READER.bands),
        Reader(READER.lexicons, "heads@2", READER.bands),
        Reader(READER.lexicons, READER.heads, (("Gambling", Band(0.3, 0.5, 0.75)),)),
    ):
        assert other.id != READER.id
        assert len(Readings.made_by(other, tmp_path)) == 0
    assert len(Readings.made_by(READER, tmp_path)) == 4


def test_a_piece_that_was_not_finished_does_not_count(readings):
    (readings.folder / "readings-9.part").write_bytes(b"PAR1 half")
    assert len(Readings(readings.folder)) == 4


def test_keys_differ_for_texts_that_cannot_be_encoded():
    assert key_of("\ud800") != key_of("\ud801")
    assert 0 <= key_of("") < 2**64


def test_a_torn_piece_is_named_with_its_remedy(readings):
    torn = readings.folder / "readings-0-torn.parquet"
    torn.write_bytes(b"PAR1")
    with pytest.raises(NightjarError, match=r"readings-0-torn\.parquet cannot be read: delete the file"):
        Readings(readings.folder)

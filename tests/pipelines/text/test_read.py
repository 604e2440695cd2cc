"""Reading a night's texts: who is asked what, once each, the same here and on Ray, and again with other words."""

from __future__ import annotations

import pickle
import tomllib

import numpy as np
import pytest

from model_registry.bundles import PinnedBundle
from pipelines.local.pool import kept
from pipelines.predict import loaded
from pipelines.text import night
from pipelines.text import read as read_module
from pipelines.text.night import Machine, read_texts, read_words_again, reader_of, reading_stage
from pipelines.text.readings import Readings
from pipelines.text.words.lexicon import Lexicons, parse_lexicon
from tests.fakes import FakeTower, fake_ref

SURE, WEAK, MEANT, CALM = (
    "come to the blue lantern",
    "it is all free",
    "you dumb bitch nobody likes your stupid ugly ass",
    "the train is late today",
)
TRADITIONAL = "領取免費紅包"


def lexicon(name="ours", sure="blue lantern"):
    text = f"""
name = "{name}"
version = "1"
[[entry]]
label = "Gambling"
severity = 3
language = "en"
certain = true
score = 0.9
terms = ["{sure}"]
examples = {{ match = ["the {sure}"], pass = ["nothing"] }}
[[entry]]
label = "Fraud/Fake Giveaway"
severity = 2
language = "en"
score = 0.4
terms = ["free"]
examples = {{ match = ["free"], pass = ["freedom"] }}
"""
    return Lexicons((parse_lexicon(tomllib.loads(text), name.encode().hex().ljust(64, "0")),))


@pytest.fixture
def asked(lite, monkeypatch):
    """What the semantic model was asked."""
    tower = loaded(lite.text_tower, "cpu", 1)
    texts: list[str] = []
    predict = type(tower).predict
    monkeypatch.setattr(type(tower), "predict", lambda self, batch: texts.extend(batch) or predict(self, batch))
    return texts


def read(lite, tmp_path, *texts, lexicons=None):
    lexicons = lexicons or lexicon()
    readings = Readings.made_by(reader_of(lite, lexicons), tmp_path)
    return read_texts(texts, lite, lexicons, readings, Machine(), lambda count: None)


def test_a_text_that_words_settle_is_not_asked_about(lite, tmp_path, asked):
    found = read(lite, tmp_path, SURE, WEAK, CALM)
    assert asked == [WEAK, CALM]
    assert found.meaning(SURE) is None
    assert [(one.label, one.settled) for one in found.of(SURE)] == [("Gambling", True)]


def test_each_text_is_read_once(lite, tmp_path, asked):
    read(lite, tmp_path, CALM, CALM)
    read(lite, tmp_path, CALM, WEAK)
    assert asked == [CALM, WEAK]
    assert len(list(tmp_path.glob("*/readings-*.parquet"))) == 2


def test_meaning_finds_what_no_word_names_and_calm_talk_has_nothing(lite, tmp_path):
    found = read(lite, tmp_path, MEANT, CALM)
    (abuse,) = [one for one in found.of(MEANT) if one.label == "Abuse"]
    assert abuse.settled
    assert abuse.source == "+".join(ref.source for ref in lite.text_heads)
    assert not [one for one in found.of(CALM) if one.settled]


def test_traditional_characters_mean_what_simplified_ones_do(lite, tmp_path, asked):
    read(lite, tmp_path, TRADITIONAL)
    assert asked == ["领取免费红包"]


def test_thresholds_come_from_the_heads_and_none_is_next_to_nothing(lite):
    reader = reader_of(lite, lexicon())
    assert set(reader.thresholds) == {label for ref in lite.text_heads for label in ref.spec.labels}
    assert all(0 < low < doubt <= high <= 1 for low, doubt, high, _ in reader.thresholds.values())


def test_a_low_score_is_kept_for_a_suspicion_and_for_nothing_else(lite, tmp_path, monkeypatch):
    """A suspicion lives as long as its meaning is above the label's own low threshold, however low that is."""

    def same(model, items):
        return np.full((len(items), len(model.spec.labels) or 1), 0.0625)

    monkeypatch.setattr(read_module, "predict_all", same)
    found = read(lite, tmp_path, WEAK, CALM)
    assert dict(found.meaning(WEAK)) == {"Fraud/Fake Giveaway": 0.0625, "Fraud": 0.0625}
    assert [one.label for one in found.of(WEAK)] == ["Fraud/Fake Giveaway"]
    assert dict(found.meaning(CALM)) == {}


def test_a_bundle_without_text_models_reads_words_only(tmp_path):
    bundle = PinnedBundle("toy", "1", 64, fake_ref(FakeTower))
    found = read(bundle, tmp_path, WEAK, CALM)
    assert [(one.label, one.settled) for one in found.of(WEAK)] == [("Fraud/Fake Giveaway", False)]
    assert found.of(CALM) == []


def test_many_texts_are_read_on_ray_and_give_the_same(lite, tmp_path, monkeypatch, ray_cluster):
    texts = [SURE, WEAK, MEANT, CALM, *(f"{CALM} {n}" for n in range(5))]
    here = read(lite, tmp_path / "here", *texts)
    monkeypatch.setattr(night, "FEW", 0)
    monkeypatch.setattr(night, "A_PIECE", 4)
    there = read(lite, tmp_path / "there", *texts)
    assert len(list(there.folder.glob("readings-*.parquet"))) == 3
    for text in texts:
        assert [(one.label, one.settled) for one in there.of(text)] == [
            (one.label, one.settled) for one in here.of(text)
        ]


def test_an_engine_that_is_kept_reads_the_same(lite, tmp_path):
    here = read(lite, tmp_path / "here", SURE, WEAK, MEANT, CALM)
    with kept(started_ahead=True):
        there = read(lite, tmp_path / "there", SURE, WEAK, MEANT, CALM)
    for text in (SURE, WEAK, MEANT, CALM):
        assert [(one.label, one.settled) for one in there.of(text)] == [
            (one.label, one.settled) for one in here.of(text)
        ]


def test_an_engine_knows_the_reading_stage_that_it_was_told_of_before(lite, tmp_path):
    lexicons = lexicon()
    first, second = (Readings.made_by(reader_of(lite, lexicons), tmp_path) for _ in range(2))
    told = pickle.loads(pickle.dumps(reading_stage(lite, lexicons, first, Machine())))
    assert told == reading_stage(lite, lexicons, second, Machine())
    assert told != reading_stage(lite, lexicon("others"), second, Machine())


def test_other_words_over_what_is_known_ask_no_model(lite, tmp_path, asked):
    earlier = read(lite, tmp_path, SURE, WEAK, MEANT)
    asked.clear()
    other = lexicon("theirs", sure="stupid")
    fresh = Readings.made_by(reader_of(lite, other), tmp_path)
    found = read_words_again([SURE, WEAK, MEANT, "a stupid new text"], other, earlier, fresh)
    assert asked == []
    assert found.of(SURE) == []
    assert {(one.label, one.settled) for one in found.of(MEANT)} >= {("Gambling", True), ("Abuse", True)}
    assert found.of("a stupid new text")[0].settled
    assert [one.score for one in found.of(WEAK)] == [one.score for one in earlier.of(WEAK)]

"""Keyframes settle what is surely low and well covered; everything else is looked at densely."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_registry.errors import UsageError
from pipelines.passes import Passes, passes
from pipelines.pieces import Pieces, write_piece
from pipelines.risk.policy import Policy, Suggestion, load_policy, parse_policy
from pipelines.risk.screening import Doubt, Screened, doubt, longest_gap_ms, screen
from pipelines.risk.verdicts import findings
from tests.windows import looked_at, seen, window

EVERY_2_S = (0, 2000, 4000, 6000)
STORED = float(np.float32(0.7))  # a little less


def policy(unsure_from: float = 0.5, longest_gap_ms: int = 4000, **rule: object) -> Policy:
    """Gambling is reviewed from 0.4 on: a keyframe with 0.2 leaves a doubt."""
    table = {"unsure_from": unsure_from, "longest_gap_ms": longest_gap_ms}
    rules = [{"label": "Gambling", "abstain": [0.4, 0.8], **rule}]
    return parse_policy({"name": "ours", "version": "1", "rule": rules, "keyframes": table}, "0" * 64)


@pytest.mark.parametrize(
    ("times_ms", "duration_ms", "gap_ms"),
    [
        ([0, 2000, 4000], 6000, 2000),
        ([0, 1000], 9000, 8000),  # nothing after the last
        ([0, 7000], 8000, 7000),
        ([5000], 6000, 5000),  # nothing before the first
        ([0], 0, 0),  # a picture
        ([0, 3000], 1000, 3000),  # a container that says too little
        ([], 4000, 4000),
    ],
)
def test_the_longest_gap_is_the_longest_time_nobody_looked(times_ms, duration_ms, gap_ms):
    assert longest_gap_ms(times_ms, duration_ms) == gap_ms


@pytest.mark.parametrize(
    ("score", "gap_ms", "why"),
    [
        (0.19, 4000, None),
        (0.2, 4000, Doubt.SCORE),
        (0.95, 4000, Doubt.SCORE),  # surely over: the dense look has the evidence
        (0.19, 4001, Doubt.GAP),
        (0.2, 4001, Doubt.SCORE),
    ],
)
def test_a_score_or_a_gap_leaves_a_doubt(score, gap_ms, why):
    assert doubt(EVERY_2_S, gap_ms, [seen(score, 0, 2000)], policy()) is why


def test_a_score_means_what_it_says_though_it_is_stored_as_a_float_of_32_bits():
    assert doubt(EVERY_2_S, 2000, [seen(STORED, 0, 2000)], policy(unsure_from=1.0, abstain=[0.7, 0.8])) is Doubt.SCORE


def test_a_video_without_a_keyframe_is_not_settled():
    assert doubt((), 1, [], policy()) is Doubt.GAP


def test_one_high_keyframe_is_enough_though_the_rule_asks_for_a_duration():
    patient = policy(smooth_ms=3000, min_duration_ms=5000)
    assert doubt(EVERY_2_S, 2000, [seen(0.3, 2000, 2001)], patient) is Doubt.SCORE


@pytest.mark.parametrize(
    ("signal", "rule"),
    [
        (seen(0.9, 0, 2000, "Visually Disturbing/Corpses"), {}),  # in shadow
        (seen(0.9, 0, 2000), {"models": "imagenet_*"}),  # of a model that the rule does not speak of
        (seen(0.9, 0, 2000), {"forms": ["Voice"]}),
        (seen(0.9, 0, 2000), {"action": "pass", "in_doubt": "pass"}),  # whatever it finds changes nothing
    ],
)
def test_what_no_rule_acts_on_leaves_no_doubt(signal, rule):
    assert doubt(EVERY_2_S, 2000, [signal], policy(**rule)) is None


@settings(deadline=None)
@given(
    scores=st.lists(st.floats(0.03125, 1, width=32) | st.just(STORED), min_size=1, max_size=8),
    smooth_ms=st.sampled_from([0, 2000, 5000]),
    name=st.sampled_from(["default", "strict"]),
    label=st.sampled_from(["Explicit/Explicit Nudity", "Gambling", "Violence/Graphic Violence"]),
)
def test_no_frame_that_was_looked_at_can_flag_a_settled_video(scores, smooth_ms, name, label):
    """All that is lost lies between keyframes: no policy flags what its own screening lets go."""
    signals = [seen(score, 1000 * n, 1000 * (n + 1), label) for n, score in enumerate(scores)]
    for rules in (load_policy(name), policy(unsure_from=1.0, smooth_ms=smooth_ms, abstain=[0.7, 0.8])):
        found = findings(signals, rules, 1000 * len(scores))
        flagged = any(finding.suggestion is not Suggestion.PASS for finding in found)
        assert not flagged or doubt((0,), 1000, signals, rules) is Doubt.SCORE


def test_strict_settles_no_more_by_keyframes_than_default():
    strict, default = load_policy("strict").keyframes, load_policy("default").keyframes
    assert strict.unsure_from <= default.unsure_from
    assert strict.longest_gap_ms < default.longest_gap_ms
    assert strict.every_ms < default.every_ms


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"unsure_from": 1.5}, "keyframes: unsure_from is 1.5, wanted a number from 0 to 1"),
        ({"every_ms": 0}, "keyframes: every_ms is 0, wanted a whole number from 1 on"),
        ({"longest_gap": 1}, "keyframes has 'longest_gap'; allowed: unsure_from, longest_gap_ms, every_ms"),
    ],
)
def test_a_wrong_table_is_refused_in_one_sentence(table, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        parse_policy({"name": "ours", "version": "1", "rule": [], "keyframes": table}, "0" * 64)


def low(content: str, **more: object) -> dict[str, object]:
    return window(content, frame_ms=EVERY_2_S, duration_ms=8000, signals=[seen(0.05, 0, 2000)], **more)


def high(content: str, score: float = 0.3) -> dict[str, object]:
    return window(content, frame_ms=EVERY_2_S, duration_ms=8000, signals=[seen(score, 2000, 4000)])


class TestStored:
    @pytest.fixture
    def keyframes(self, tmp_path) -> Pieces:
        folder = tmp_path / "keyframes"
        sparse = window("sparse", frame_ms=[0], duration_ms=8000)
        picture = {**window("picture", frame_ms=[0], duration_ms=0, signals=[seen(0.3, 0, 0)]), "media": "picture"}
        sound = {**window("sound", duration_ms=60_000), "media": "audio"}
        write_piece(folder, looked_at(low("low"), high("high"), sparse, picture))
        write_piece(folder, looked_at(sound, low("broken", error_code="damaged")))
        return Pieces(folder)

    def test_every_content_has_its_reason(self, keyframes):
        assert screen(keyframes, keyframes.contents, policy()) == {
            "low": Screened(None, 4, 2000),
            "high": Screened(Doubt.SCORE, 4, 2000),
            "sparse": Screened(Doubt.GAP, 1, 8000),
            "broken": Screened(Doubt.FAILED, 4, 2000),
            "picture": Screened(None, 1, 0),  # a dense look would see the same
            "sound": Screened(None, 0, 0),
        }

    def test_windows_of_one_content_are_judged_together(self, tmp_path):
        first = window("long", 0, last=False, frame_ms=[0, 4000], signals=[seen(0.3, 0, 4000)])
        last = window("long", 1, frame_ms=[30_000], duration_ms=31_000)
        write_piece(tmp_path, looked_at(first))
        write_piece(tmp_path, looked_at(last))
        pieces = Pieces(tmp_path)

        assert screen(pieces, ["long"], policy()) == {"long": Screened(Doubt.SCORE, 3, 26_000)}

    def test_what_nobody_looked_at_densely_is_not_examined(self, keyframes, tmp_path):
        both = passes(Pieces(tmp_path / "dense"), keyframes, policy())

        assert {sha256: content.error_code for sha256, content in both.contents.items()} == {
            "low": None,
            "picture": None,
            "sound": None,
            "high": "not_examined",
            "sparse": "not_examined",
            "broken": "damaged",
        }
        assert "only its keyframes were looked at" in (both.contents["high"].error_message or "")

    def test_a_dense_look_replaces_all_that_keyframes_showed(self, keyframes, tmp_path):
        write_piece(tmp_path / "dense", looked_at(high("high", 0.9), window("sparse", frame_ms=[0, 1000])))
        both = passes(Pieces(tmp_path / "dense"), keyframes, policy())
        rows = both.rows("signals", ["low", "high", "sparse"])
        scores = dict(zip(rows["content_sha256"].to_pylist(), rows["score"].to_pylist(), strict=True))

        assert both.by_keyframes == {"low", "picture", "sound"}
        assert {sha256: round(score, 2) for sha256, score in scores.items()} == {"low": 0.05, "high": 0.9}
        assert len(both.rows("views", ["sparse"])) == 2

    @pytest.mark.parametrize(("code", "counts"), [("damaged", True), ("not_found", False)])
    def test_a_dense_look_that_found_no_file_settles_nothing(self, keyframes, tmp_path, code, counts):
        """An earlier night did not find the file, this one's keyframes settle it."""
        write_piece(tmp_path / "dense", looked_at(window("low", error_code=code)))
        both = passes(Pieces(tmp_path / "dense"), keyframes, policy())

        assert both.contents["low"].error_code == (code if counts else None)
        assert ("low" in both.by_keyframes) is not counts

    def test_what_was_looked_at_densely_does_not_rest_on_keyframes(self, keyframes, tmp_path):
        write_piece(tmp_path / "dense", looked_at(high("low", 0.9)))
        both = Passes(Pieces(tmp_path / "dense"), keyframes, screen(keyframes, keyframes.contents, policy()))

        assert both.by_keyframes == {"picture", "sound"}
        assert both.rows("signals", ["low"])["score"].to_pylist() == pytest.approx([0.9])

    def test_reading_nothing_has_the_right_columns(self, keyframes, tmp_path):
        both = Passes(Pieces(tmp_path / "dense"), keyframes, {})
        assert both.rows("signals", []).column_names == keyframes.rows("signals", []).column_names
        assert both.rows("signals", []).num_rows == 0

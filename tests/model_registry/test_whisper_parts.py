"""What all Whispers are made of: length classes, tokens to passages, words of lines, other sample rates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.errors import NightjarError
from model_registry.model import Line, Word
from model_registry.models.speech.batches import CLASSES_S, MARGIN_S, batches, class_s
from model_registry.models.speech.listening import Heard, Whisper, whisper_spec
from model_registry.models.speech.sound import AUDIO_HZ, to_16k
from model_registry.models.speech.tokens import Decoded, Passage, compression, passages, room_for, said, tokenizer_of
from model_registry.models.speech.words import later, token_starts_ms, words

T0 = 1000  # first timestamp token; below are words


def at(seconds: float) -> int:
    return T0 + round(seconds * 50)


class TestBatches:
    @given(st.lists(st.integers(0, 30 * AUDIO_HZ), max_size=60), st.sampled_from([1, 30, 60, 480]))
    def test_every_sound_goes_once_with_its_class_and_no_batch_is_too_long(self, lengths, longest_s):
        found = list(batches(lengths, longest_s))

        assert sorted(place for batch in found for place in batch.places) == list(range(len(lengths)))
        for batch in found:
            assert {class_s(lengths[place]) for place in batch.places} == {batch.seconds}
            assert len(batch.places) == 1 or len(batch.places) * batch.seconds <= longest_s
            assert all(lengths[place] <= batch.seconds * AUDIO_HZ for place in batch.places)

    @pytest.mark.parametrize(("seconds", "padded"), [(0, 10), (8, 10), (8.1, 14), (24, 26), (24.1, 30), (30, 30)])
    def test_a_class_leaves_a_margin_of_silence(self, seconds, padded):
        assert MARGIN_S == 2
        assert class_s(int(seconds * AUDIO_HZ)) == padded

    def test_no_class_has_as_many_mel_frames_as_an_encoder_has_channels(self):
        """CTranslate2 tells features from encoder output by that number."""
        assert not {seconds * 100 for seconds in CLASSES_S} & {384, 512, 768, 1024, 1280}


class TestPassages:
    def test_a_passage_stands_between_timestamps(self):
        tokens = [at(0), 5, 6, at(2), at(2.5), 7, at(4)]

        assert passages(tokens, T0, 4500) == ([Passage(0, 2000, (5, 6)), Passage(2500, 4000, (7,))], None)

    def test_an_open_passage_ends_with_the_sound(self):
        assert passages([at(1), 5, 6], T0, 4500) == ([Passage(1000, 4500, (5, 6))], None)

    def test_times_are_those_of_the_sound(self):
        assert passages([at(0), 5, at(4)], T0, 3095) == ([Passage(0, 3095, (5,))], None)

    def test_a_time_that_runs_backwards_makes_no_negative_length(self):
        assert passages([at(3), 5, at(1)], T0, 3500)[0] == [Passage(3000, 3000, (5,))]

    @pytest.mark.parametrize("ending", [[at(8)], [at(8), at(8)]])
    def test_sound_left_after_the_last_is_to_be_listened_to(self, ending):
        assert passages([at(0), 5, *ending], T0, 20_000) == ([Passage(0, 8000, (5,))], 8000)

    @pytest.mark.parametrize(
        ("tokens", "duration_ms"),
        [([at(0), 5, at(8)], 9000), ([at(0), 5, at(0)], 9000), ([at(0), at(2)], 9000), ([], 9000), ([at(0), 5], 9000)],
        ids=["little left", "no progress", "no text", "nothing", "no end"],
    )
    def test_else_all_was_heard(self, tokens, duration_ms):
        assert passages(tokens, T0, duration_ms)[1] is None

    def test_silence_is_believed_only_of_an_unsure_decoding(self):
        tokens = (at(0), 5, at(1))

        assert said(Decoded(tokens, -1.2, 0.7, "en"), T0, 1000) == ([], None)
        assert said(Decoded(tokens, -0.2, 0.7, "en"), T0, 1000)[0] == [Passage(0, 1000, (5,))]
        assert said(Decoded(tokens, -1.2, 0.5, "en"), T0, 1000)[0] == [Passage(0, 1000, (5,))]

    def test_loops_have_no_room(self):
        assert [room_for(ms) for ms in (0, 1000, 1001, 30_000)] == [20, 35, 50, 440]

    def test_text_that_repeats_itself_is_compressed(self):
        assert compression("") == 0
        assert compression("ask not what your country can do for you") < 1.2
        assert compression("ask not what " * 20) > 2.4

    def test_confidence_is_the_mean_probability(self):
        assert Decoded((), np.log(0.5), 0, "en").confidence == pytest.approx(0.5)


class TestWords:
    def test_a_token_begins_at_its_first_frame(self):
        assert token_starts_ms([(0, 0), (0, 1), (1, 2), (1, 3), (2, 9)], 2) == [0, 40, 180]

    def test_a_token_without_a_frame_lies_between_its_neighbours(self):
        assert token_starts_ms([(0, 0), (2, 10), (3, 20)], 3) == [0, 100, 200, 400]

    def test_no_alignment_is_no_time(self):
        assert token_starts_ms([], 2) == [0, 0, 0]

    def test_words_lie_in_text_and_time(self):
        text, found = words([" Ask", " not", ",", " you"], [1, 1, 1, 2], [0, 100, 200, 220, 300, 500], 20, 450)

        assert text == "Ask not, you"
        assert found == (Word(0, 3, 20, 100), Word(4, 7, 100, 200), Word(9, 12, 220, 450))
        assert [text[word.start : word.end] for word in found] == ["Ask", "not", "you"]

    def test_chinese_has_a_word_a_letter(self):
        text, found = words(["天", "氣", "好", "。"], [2, 1, 1, 1], [0, 20, 40, 60, 80, 90], 0, 1000)

        assert [text[word.start : word.end] for word in found] == ["天", "氣", "好"]
        assert [word.start_ms for word in found] == [0, 40, 60]

    def test_a_later_line_takes_its_words_along(self):
        line = Line("Ask", 0.5, "en", 20, 450, (Word(0, 3, 20, 100),))

        assert later(line, 1000) == Line("Ask", 0.5, "en", 1020, 1450, (Word(0, 3, 1020, 1100),))


class Parrot(Whisper):
    """Says how many samples it was given, and asks to go on from one second as long as there are two."""

    spec = whisper_spec("parrot", (), memory_mb=1, gpus=0)

    def __init__(self) -> None:
        self.device = "cpu"
        self.calls: list[tuple[int, int]] = []

    @classmethod
    def load(cls, weights, device):
        return cls()

    def hear(self, sounds, seconds):
        self.calls.append((len(sounds), seconds))
        lines = [(Line(str(len(sound)), 1.0, start_ms=0, end_ms=1000),) for sound in sounds]
        longer = [len(sound) >= 2 * AUDIO_HZ for sound in sounds]
        return [Heard(line, 1000 if more else None) for line, more in zip(lines, longer, strict=True)]


def tone(length: int, loudness: int = 1000) -> np.ndarray:
    return (loudness * np.sin(np.arange(length) / 10)).astype(np.int16)


class TestListening:
    @pytest.mark.parametrize(("loudest", "lines"), [(0, 0), (32, 0), (33, 1), (-32, 0), (-33, 1), (-32_768, 1)])
    def test_what_nobody_can_hear_is_not_heard(self, loudest, lines):
        sound = np.zeros(AUDIO_HZ, np.int16)
        sound[AUDIO_HZ // 2] = loudest

        assert len(Parrot().predict([sound])[0]) == lines

    def test_order_is_restored_and_what_is_no_syllable_is_not_heard(self):
        lengths = [20_000, 0, 17_000, 1, 400_000, 18_000]

        found = Parrot().predict([tone(length) for length in lengths])

        assert [lines[0].text if lines else "" for lines in found] == ["20000", "", "17000", "", "400000", "18000"]

    def test_sounds_of_one_class_go_together_as_many_as_fit(self):
        parrot = Parrot()
        parrot.predict([tone(AUDIO_HZ)] * 13 + [tone(11 * AUDIO_HZ)])

        assert parrot.calls[:4] == [(6, 10), (6, 10), (1, 10), (1, 14)]

    def test_it_goes_on_where_it_broke_off_and_gives_up_after_four_times(self):
        [lines] = Parrot().predict([tone(10 * AUDIO_HZ)])

        assert [(line.start_ms, line.text) for line in lines] == [
            (0, "160000"),
            (1000, "144000"),
            (2000, "128000"),
            (3000, "112000"),
        ]


class TestRates:
    @pytest.mark.parametrize("hz", [8_000, 22_050, 44_100, 48_000])
    def test_a_sine_keeps_its_pitch_loudness_and_length(self, hz):
        sine = (10_000 * np.sin(2 * np.pi * 440 * np.arange(hz) / hz)).astype(np.int16)

        found = to_16k(sine, hz)

        wanted = 10_000 * np.sin(2 * np.pi * 440 * np.arange(AUDIO_HZ) / AUDIO_HZ)
        assert (found.dtype, len(found)) == (np.int16, AUDIO_HZ)
        assert np.abs(found - wanted)[200:-200].max() < 60

    def test_what_16_khz_cannot_hold_is_filtered_and_not_folded(self):
        sine = (10_000 * np.sin(2 * np.pi * 15_000 * np.arange(48_000) / 48_000)).astype(np.int16)

        assert np.abs(to_16k(sine, 48_000)[200:-200]).max() < 300

    def test_16_khz_and_nothing_are_returned_as_they_are(self):
        sound = np.arange(9, dtype=np.int16)

        assert to_16k(sound, AUDIO_HZ) is sound
        assert len(to_16k(sound[:0], 8_000)) == 0

    def test_full_scale_does_not_wrap_around(self):
        square = np.where(np.arange(8000) // 20 % 2, 32_767, -32_768).astype(np.int16)

        found = to_16k(square, 8_000)

        assert (np.sign(found[210:-210:80]) == np.sign(found[210])).all()
        assert (found.min(), found.max()) == (-32_768, 32_767)

    def test_no_rate_is_refused(self):
        with pytest.raises(ValueError, match=r"^a sample rate is 0, must be at least 1$"):
            to_16k(np.zeros(9, np.int16), 0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [("not json", "is not a tokenizer: "), ('{"version": "1.0", "model": {"type": "BPE"', "is not a tokenizer: ")],
)
def test_a_damaged_tokenizer_is_one_sentence_that_names_it(tmp_path, content, reason):
    path = tmp_path / "tokenizer.json"
    path.write_text(content, "utf-8")

    with pytest.raises(NightjarError, match=f"^{path} {reason}[^\n]+$"):
        tokenizer_of(path)


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    from tokenizers import Tokenizer
    from tokenizers.models import BPE

    path = tmp_path / "tokenizer.json"
    Tokenizer(BPE(vocab={"a": 0}, merges=[])).save(str(path))

    with pytest.raises(NightjarError, match=r"is not a tokenizer of Whisper: it has no token <\|startoftranscript\|>"):
        tokenizer_of(path)

"""Each guard by its reason: what is made up goes, what is said stays."""

from __future__ import annotations

import re

import pytest

from model_registry.model import Line, Span, Word
from pipelines.speech.guards import Reason, guarded, main_language, speech_share, without_loop

SPEECH = [Span(0, 10_000, 0.95)]
NONE: list[Span] = []


def line(text: str, confidence: float = 0.8, language: str = "en", start_ms: int = 0, end_ms: int = 5000) -> Line:
    return Line(text, confidence, language, start_ms, end_ms)


def spoken(text: str, word_ms: int = 300) -> Line:
    """Every word lasts so long, one after the other."""
    places = [match.span() for match in re.finditer(r"\S+", text)]
    words = tuple(Word(*place, n * word_ms, (n + 1) * word_ms) for n, place in enumerate(places))
    return Line(text, 0.8, "en", 0, len(words) * word_ms, words)


def reason(one: Line, spans: list[Span] = SPEECH) -> Reason | None:
    found = guarded([one], spans)
    assert len(found.lines) + len(found.dropped) == 1
    return found.dropped[0][1] if found.dropped else None


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Ask not what your country can do for you.", "en"),
        ("No, no, no! I said no.", "en"),
        ("Ha ha ha ha, very funny", "en"),
        ("点击下方链接,添加客服微信,领取免费红包", "zh"),
        ("买它买它买它,今天只要九块九", "zh"),
        ("加微信一三八零零一三八零零零", "zh"),
        ("100% guaranteed, 1000 dollars a day", "en"),
        ("Thank you for watching over my children.", "en"),
    ],
)
def test_what_is_said_stays_as_it_is(text, language):
    said = line(text, language=language)

    assert guarded([said], SPEECH).lines == (said,)


class TestLoops:
    def test_a_phrase_is_kept_once_with_what_stands_before(self):
        looped = line("今天天氣很好,我們去散步,我們去散步,我們去散步,我們去散步,我們去", language="zh")

        assert [each.text for each in guarded([looped], SPEECH).lines] == ["今天天氣很好,我們去散步"]

    def test_what_follows_a_loop_stays(self):
        looped = line("This is the end " + "of the world " * 5 + "and so on")

        assert without_loop(looped).text == "This is the end of the world and so on"

    def test_words_and_time_are_cut_with_the_text(self):
        words = tuple(Word(3 * n, 3 * n + 2, 500 * n, 500 * n + 10) for n in range(6))
        looped = Line("ab cd cd cd cd cd", 0.8, "en", 0, 9000, words)

        found = without_loop(looped, SPEECH)

        assert (found.text, found.words, found.end_ms) == ("ab cd", words[:2], 510)

    def test_words_behind_a_loop_move_with_the_text(self):
        words = tuple(Word(3 * n, 3 * n + 2, 10 * n, 10 * n + 10) for n in range(6))
        looped = Line("cd cd cd cd cd ef", 0.8, "en", 0, 9000, words)

        found = without_loop(looped, SPEECH)

        assert found.text == "cd ef"
        assert [found.text[word.start : word.end] for word in found.words] == ["cd", "ef"]
        assert found.words[-1].start_ms == 50

    def test_what_a_person_repeats_stays_with_what_follows(self):
        said = spoken("come on come on come on come on come on come on add me on my channel")

        assert guarded([said], [Span(0, said.end_ms, 0.9)]).lines == (said,)

    def test_a_number_with_the_same_digit_over_and_over_stays(self):
        said = spoken("call 8 8 8 8 8 8 8 8 1 2")

        assert guarded([said], [Span(0, said.end_ms, 0.9)]).lines == (said,)

    def test_a_loop_in_which_nobody_speaks_goes(self):
        said = spoken("come on come on come on come on come on come on")

        assert without_loop(said, NONE).text == "come on"

    def test_a_loop_packed_into_the_sound_goes(self):
        said = spoken("come on come on come on come on come on come on", word_ms=40)

        assert without_loop(said, [Span(0, said.end_ms, 0.9)]).text == "come on"

    def test_without_words_the_time_stays(self):
        assert without_loop(line("ab cd cd cd cd cd")).end_ms == 5000

    @pytest.mark.parametrize("times", [2, 3])
    def test_three_times_is_how_people_talk(self, times):
        said = line("buy it " * times)

        assert without_loop(said) is said

    def test_a_letter_may_come_seven_times(self):
        assert without_loop(line("哈哈哈哈哈哈哈", language="zh")).text == "哈哈哈哈哈哈哈"
        assert without_loop(line("うううううううううう", language="ja")).text == "う"

    def test_a_text_of_marks_only_is_no_speech(self):
        assert reason(line(". . . . . . .")) is Reason.LOOP

    def test_a_loop_with_changes_in_it_is_found_by_its_compression(self):
        numbers = ("one", "two", "one", "two", "six", "one", "two")
        text = " ".join(f"and {number} we go again and again to the market place" for number in numbers)

        assert reason(line(text, end_ms=30_000)) is Reason.LOOP


class TestSound:
    def test_more_text_than_the_sound_could_hold(self):
        sentence = "Ask not what your country can do for you, ask what you can do for your country"

        assert reason(line(sentence, end_ms=1000)) is Reason.TOO_FAST
        assert reason(line(sentence, end_ms=2500)) is None

    def test_chinese_letters_are_syllables(self):
        sentence = "点击下方链接添加客服微信领取免费红包"

        assert reason(line(sentence, language="zh", end_ms=1000)) is Reason.TOO_FAST
        assert reason(line(sentence, language="zh", end_ms=2000)) is None

    def test_a_line_of_no_length_may_hold_a_word(self):
        assert reason(line("Stop!", start_ms=2000, end_ms=2000)) is None

    def test_words_in_silence_go_unless_they_are_sure(self):
        assert reason(line("He said so.", 0.5), NONE) is Reason.SILENCE
        assert reason(line("He said so.", 0.9), NONE) is None

    def test_words_in_little_speech_go_only_when_very_unsure(self):
        some = [Span(0, 2500, 0.9)]

        assert reason(line("He said so.", 0.36), some) is Reason.SILENCE
        assert reason(line("He said so.", 0.38), some) is None
        assert reason(line("He said so.", 0.36), SPEECH) is None


class TestInvented:
    @pytest.mark.parametrize(
        "text",
        [
            "Thanks for watching!",
            "Thank you so much for watching.",
            "Please subscribe to my channel",
            "Subtitles by the Amara.org community",
            "Thank you.",
            "you",
            "Bye. Bye.",
            "字幕由Amara.org社区提供",
            "字幕製作人Zither Harp",
            "谢谢观看",
            "感謝觀看",
            "请不吝点赞 订阅 转发 打赏支持明镜与点点栏目",
            "ご視聴ありがとうございました",
            "시청해주셔서 감사합니다",
        ],
    )
    def test_goes_where_it_is_unsure_or_hardly_anybody_speaks(self, text):
        sure, unsure = line(text, 0.9, ""), line(text, 0.4, "")

        assert reason(unsure) is Reason.INVENTED
        assert reason(sure, [Span(0, 1400, 0.9)]) is Reason.INVENTED
        assert reason(sure) is None

    @pytest.mark.parametrize("text", ["Thank you for the money.", "I told you", "bye bye money", "这个字幕很大"])
    def test_is_not_found_in_what_only_looks_like_it(self, text):
        assert reason(line(text, 0.4)) is None


class TestLanguage:
    def test_an_unsure_line_in_another_language_than_the_rest_goes(self):
        chinese, welsh = line("今天天气很好", 0.8, "zh"), line("Mae hi'n braf", 0.3, "cy", 5000, 8000)

        found = guarded([chinese, welsh], SPEECH)

        assert found.lines == (chinese,)
        assert found.dropped == ((welsh, Reason.FOREIGN),)

    def test_a_sure_one_stays_and_so_does_an_unsure_one_alone(self):
        chinese, english = line("今天天气很好", 0.8, "zh"), line("nice weather", 0.5, "en", 5000, 8000)

        assert guarded([chinese, english], SPEECH).lines == (chinese, english)
        assert reason(line("Mae hi'n braf", 0.3, "cy")) is None

    def test_the_main_language_has_the_most_text_that_is_sure(self):
        lines = [line("今天天气很好", 0.8, "zh"), line("ok", 0.9), line("x" * 99, 0.4, "cy")]

        assert main_language(lines) == "zh"
        assert main_language(lines[2:]) == main_language([]) == ""


def test_the_share_of_speech_is_weighted_by_its_probability():
    spans = [Span(0, 1000, 0.5), Span(1500, 4000, 1.0), Span(9000, 9500, 1.0)]

    assert speech_share(line("x", start_ms=500, end_ms=2500), spans) == pytest.approx((500 * 0.5 + 1000) / 2000)
    assert speech_share(line("x", start_ms=5000, end_ms=8000), spans) == 0
    assert speech_share(line("x", start_ms=300, end_ms=300), spans) == 0


def test_nothing_in_nothing_out():
    assert guarded([], SPEECH).lines == guarded([], NONE).lines == ()

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.text.words.characters import Kind, simplified, tables
from pipelines.text.words.normalise import fold, normal_forms, normalise

ANYTHING = st.text(st.characters(codec=None), max_size=80) | st.text("a 加微é\u0301\u200b\n\ud800ﬁ①ая１", max_size=60)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("Hello World", "hello world"),
        ("ＷｅＣｈａｔ １２３", "wechat 123"),
        ("𝓌𝔢𝒸𝓱𝐚𝗍", "wechat"),
        ("ⓦⓔⓒⓗⓐⓣ", "wechat"),
        ("🅆🅴🅲🅷🅰🆃 🇼🇽", "wechat wx"),
        ("ᴡᴇᴄʜᴀᴛ", "wechat"),
        ("Straße ﬁne Æon", "strasse fine aeon"),
        ("café naïve Łódź", "cafe naive lodz"),
        ("①③⑧ ⑴ ❶ ²", "138 1 1 2"),
        ("٣٤ ४", "34 4"),
        ("國軟體 聯繫", "国软体联系"),
        ("w\u200be\u200dc\u2060h\ufeffat", "wechat"),
        ("\u202ewechat\u202c", "wechat"),
        ("加\u00ad微\ufe0f信", "加微信"),
        ("z\u0301\u0302\u0303a\u0334l\u0489go", "zalgo"),
        ("wัeัcัhัaัt", "wechat"),  # Thai marks on Latin letters
        ("  many   spaces \t\n here ", "many spaces here"),
        ("加 微\u3000信 vx 号", "加微信vx号"),
        ("a\x00b\x07c", "abc"),
        ("\ud800x", "\ufffdx"),
    ],
)
def test_the_normal_form(text, expected):
    assert normalise(text).text == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tеlеgrаm", "telegram"),  # Cyrillic е and а in a Latin word
        ("Ηеllο", "hello"),  # Greek capital eta looks like H
        ("аdd mу ассоunt", "add my account"),  # "ассо" beside Latin letters, "аdd" too
        ("сор on duty", "cop on duty"),  # a word all of lookalikes in a Latin text
    ],
)
def test_lookalikes_are_read_where_they_pass_for_latin(text, expected):
    assert normalise(text).text == expected


@pytest.mark.parametrize(
    "text",
    ["привет мир, как дела", "сор в избе", "она пишет", "καλημερα φιλε", "на iphone снято сор", "բարի", "नमस्ते", "สวัสดี"],
)
def test_genuine_words_of_other_alphabets_stay(text):
    assert normalise(text).text == text


def test_a_span_leads_back_to_what_was_written():
    text = "请　加\u200b微\u0301信 ﬁnd ＶＸ"
    found = normalise(text)

    assert found.text == "请加微信find vx"
    assert text[slice(*found.span(1, 4))] == "加\u200b微\u0301信"
    assert text[slice(*found.span(4, 6))] == "ﬁ"
    assert text[slice(*found.span(9, 11))] == "ＶＸ"
    assert found.span(0, len(found.text)) == (0, len(text))
    assert found.span(3, 3) == (6, 6)
    assert found.span(11, 11) == (len(text), len(text))
    assert normalise("").span(0, 0) == (0, 0)


def test_a_span_out_of_the_text_is_refused():
    with pytest.raises(ValueError, match=r"span \[0, 4\) of a text of 3 characters"):
        normalise("abc").span(0, 4)


@given(ANYTHING)
def test_any_text_has_a_normal_form_whose_characters_lie_in_it(text):
    found = normalise(text)

    assert len(found.source_N) == len(found.text)
    assert (found.source_N[:-1] <= found.source_N[1:]).all()
    assert not len(found.text) or (found.source_N[0] >= 0 and found.source_N[-1] < len(text))
    assert "\n" not in found.text
    assert "  " not in found.text
    found.text.encode()  # no half of a surrogate pair is left


@given(st.lists(ANYTHING, max_size=6))
def test_texts_folded_together_are_those_folded_alone(texts):
    assert normal_forms(texts) == [normalise(text).text for text in texts]


@given(st.lists(ANYTHING, max_size=6))
def test_each_edge_stands_between_its_texts(texts):
    folded = fold(texts)

    assert len(folded.edges) == len(texts) + 1
    assert (folded.start_T == [1 + sum(len(text) + 1 for text in texts[:n]) for n in range(len(texts))]).all()


@given(ANYTHING)
def test_a_second_time_changes_nothing(text):
    once = normalise(text).text

    assert normalise(once).text == once


def folded_plainly(text):
    """What a loop makes of a text without foreign letters, marks and spaces beside Chinese."""
    kept = [char for char in unicodedata.normalize("NFKC", text).casefold() if unicodedata.category(char) != "Cf"]
    return " ".join("".join(kept).split())


@given(st.text("abcXYZ019 ,.!?ＡｂＣ１２ﬁ\u200b\u00ad\t①%$", max_size=60))
def test_latin_texts_are_folded_as_a_loop_folds_them(text):
    assert normalise(text).text == folded_plainly(text)


def test_the_table_of_both_is_the_two_tables():
    known = tables()

    assert {char: int(known.kind[ord(char)]) for char in "a9%加 я,"} == {
        "a": Kind.LATIN,
        "9": Kind.DIGIT,
        "%": Kind.DIGIT,
        "加": Kind.HAN,
        " ": Kind.SPACE,
        "я": Kind.LETTER,
        ",": Kind.GAP,
    }
    for char in "Ａ國é，":
        both = int(known.both[ord(char)])
        assert both & 0xFFFFFF == known.fold[ord(char)]
        assert both >> 24 == known.kind[known.fold[ord(char)]]


@pytest.mark.parametrize(
    "text",
    ["a" * 10**6, "加" * 10**6, "a" + "\u0301" * 100_000 + "b", "\u202e" * 10_000 + "x", "\ud800" * 10_000,
     "а" * 50_000 + "b", " " * 100_000],
    ids=["letters", "chinese", "marks", "directions", "surrogates", "lookalikes", "spaces"],
)  # fmt: skip
@pytest.mark.timeout(20)
def test_hostile_texts_take_bounded_time(text):
    assert len(normalise(text).text) <= len(text)


def test_traditional_characters_are_simplified_one_by_one_and_nothing_else_changes():
    assert simplified("領取免費紅包 Straße ＡＢＣ\ud800") == "领取免费红包 Straße ＡＢＣ\ud800"

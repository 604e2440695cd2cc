"""What the shipped lexicons flag by words alone with nothing around, and what they leave, each beside its twin."""

import pytest

from pipelines.text.context import Circumstances, settle_doubt
from pipelines.text.neighbours import joined, over_the_join
from pipelines.text.tiers import settle
from pipelines.text.transcripts import TranscriptLine, units
from pipelines.text.words.lexicon import load_lexicons
from pipelines.text.words.matcher import Matcher

FLAGGED = 0.5


@pytest.fixture(scope="module")
def matcher():
    return Matcher(load_lexicons())


def worth(matcher, text):
    """The highest score after tier 3 where no model was asked."""
    readings = settle(matcher.match([text])[0], None, {}, "")
    left = [settle_doubt(reading, Circumstances(), {}) for reading in readings]
    return max((reading.score for reading in left if reading), default=0.0)


@pytest.mark.parametrize(
    "text",
    [
        "围欣 abc12345", "想要资料的加我薇芯", "佳威芯领资料", "快嘉薇欣", "姐妹们家微信",  # of one sound
        "电话壹柒陆零零三三九九二一", "幺三八洞洞幺幺二二勾拐",
        "call me at triple five oh one two three four",  # in words
        "✚V领", "╋薇", "加💚", "🐧群 123456", "进✈️群看", "点击🔗领取资料 加v", "tap the 🔗 in my bio",  # as signs
        "微信abc12345", "vx kefu888", "加我 lili2026",  # without a colon
        "绿泡泡联系", "企鹅号 3344556677", "下载纸飞机",  # slang
        "click the l!nk in my bio",  # leet
        "评论区扣1发你", "comment INFO and I'll send you the link", "私信我领取", "dm me the word money",  # calls
        "推線號是多少", "大家騷馬劍群",  # heard
        "老板➕我拿货", "vx: kefu888", "打给我13812345678", "t . me / xyz",
    ],
)  # fmt: skip
def test_a_lure_is_flagged_in_any_disguise(matcher, text):
    assert worth(matcher, text) >= FLAGGED


@pytest.mark.parametrize(
    "text",
    [
        "100+ videos about knitting", "BM25 + vector search", "the line is moving slowly today", "Python+Qt",
        "one, two, three, four, five, six, seven", "人家微信都不回我", "凡是让你加微信转账的都是骗子", "for dotnet",
        "watch your back when you lift a heavy box", "https://example.org/about", "包围欣赏风景", "因为信号不好",
        "增加维修人员", "维新变法", "卫星发射成功", "折一只纸飞机", "小朋友吹绿泡泡", "企鹅在南极", "把链接贴到文档里",
        "评论区见", "leave a comment below", "the link is broken", "call 911 in an emergency", "二零二六年一月一日",
        "press one for sales, two for support, three for help", "今天扫码点餐", "公司信任我", "他加我们队",
        "你+我=我们",
        "0216aa1c75f56e13941955416ce6d118", "一二三四五六七八九十", "the function has no side effects",
    ],
)  # fmt: skip
def test_its_innocent_twin_is_not(matcher, text):
    assert worth(matcher, text) < FLAGGED


@pytest.mark.parametrize(
    ("lure", "told"),
    [
        ("加微信领资料", "凡是让你加微信领资料的都是骗子"),
        ("跟着老师稳赚不赔", "警方提醒：稳赚不赔的投资都是骗局"),
        ("add me on whatsapp", "if someone says add me on whatsapp, it is a scam"),
        ("I'll kill you", "in the movie he says I'll kill you"),
        ("this tea cures everything", "it is a myth that tea cures everything"),
        ("有卖冰毒的", "男子卖冰毒被判刑"),
    ],
)
def test_a_warning_a_report_or_a_quotation_takes_back_that_a_hit_is_certain(matcher, lure, told):
    assert any(hit.certain for hit in matcher.match([lure])[0])
    assert not any(hit.certain for hit in matcher.match([told])[0])


@pytest.mark.parametrize(
    "text",
    ["谨防假冒，认准加微信", "不是骗子，加微信", "don't miss out, add me on whatsapp", "no scam, add me on whatsapp"],
)
def test_a_lure_that_only_sounds_like_a_warning_stays_certain(matcher, text):
    assert any(hit.certain for hit in matcher.match([text])[0])


def test_what_is_said_of_a_number_leaves_the_number_certain(matcher):
    assert any(hit.certain for hit in matcher.match(["别信他 13812345678 是骗子"])[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("click the l!nk in my bio", ["click the l!nk in my bio"]),
        ("Hi! How are you? Fine", ["Hi!", "How are you?", "Fine"]),
        ("来!快来！加微信", ["来!", "快来！", "加微信"]),
    ],
)
def test_a_sign_within_a_word_ends_no_sentence(text, expected):
    assert list(units(text)) == expected


def line(text, form="OCR", at=0):
    return TranscriptLine(form, at, at + 1000, text)


def certain_over_the_join(matcher, *lines):
    texts = [pair.text for pair in joined(lines)]
    return [hit.term for text in texts for hit in over_the_join(text, matcher.match([text])[0])]


def test_a_lure_cut_over_two_lines_is_found(matcher):
    assert certain_over_the_join(matcher, line("想学的加我微"), line("信领资料", at=1000)) != []
    assert certain_over_the_join(matcher, line("click the link"), line("in my bio", at=1000)) != []


def test_two_lines_of_another_form_or_a_hit_of_one_line_are_no_lure(matcher):
    assert certain_over_the_join(matcher, line("想学的加我微"), line("信领资料", "Voice")) == []
    assert certain_over_the_join(matcher, line("加微信"), line("今天天气不错")) == []
    assert certain_over_the_join(matcher, line("我们又增加"), line("微信支付了")) == []
    assert certain_over_the_join(matcher, line("版本 2.15.9"), line("2022-06-02")) == []
    assert certain_over_the_join(matcher, line("打给我 138 1234"), line("5678 谢谢")) != []

import pickle
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.text.words.hits import MOST_HITS
from pipelines.text.words.lexicon import Boundary, Entry, Lexicon, Lexicons
from pipelines.text.words.matcher import Matcher, longest
from pipelines.text.words.plain_matcher import PlainMatcher

LURE, ABUSE = "Fraud/Off-Platform Lure", "Abuse/Insult"


def lexicons(*entries):
    return Lexicons((Lexicon("test", "1", "0" * 64, entries),))


def entry(*terms, label=LURE, **given):
    return Entry(label, given.pop("severity", 3), "any", given.pop("score", 0.9), terms=terms, **given)


KNOWN = lexicons(
    entry("加微信", "add my wechat", "telegram", "vx", "微信", "扫码进群", "银行卡", unless=("增加", "telegram style")),
    entry("ass", "viagra", "free", "asshole", "you", "100%有效", "don't", label=ABUSE, unless=("free wifi",)),
    entry(regexes=(r"1[3-9]\d(?:[ -]?\d){8}", r"t ?\. ?me ?/ ?[a-z0-9_]{3,20}", r"\bvx\d{2,4}\b", r"[^ ]{2}。$")),
    entry("scam", label="Fraud", boundary=Boundary.START),
    entry("porn", label="Explicit", boundary=Boundary.NONE),
    entry("приват", "赌", label="Gambling"),
)


@pytest.fixture(scope="module")
def matcher():
    return Matcher(KNOWN)


@pytest.fixture(scope="module")
def plain():
    return PlainMatcher(KNOWN)


def found(matcher, text):
    return [(text[hit.start : hit.end], hit.term, str(hit.how)) for hit in matcher.match([text])[0]]


@pytest.mark.parametrize(
    ("text", "piece", "term", "how"),
    [
        ("请加微信abc", "加微信", "加微信", "plain"),
        ("Add my WeChat", "Add my WeChat", "add my wechat", "plain"),
        ("ＶＸ：abc", "ＶＸ", "vx", "folded"),
        ("請加微\u200b信", "加微\u200b信", "加微信", "folded"),
        ("on tеlеgrаm", "tеlеgrаm", "telegram", "folded"),
        ("t\u0301e\u0302l\u0303egram", "t\u0301e\u0302l\u0303egram", "telegram", "folded"),
        ("快加!!!微信", "加!!!微信", "加微信", "squeezed"),
        ("加.微.信 1", "加.微.信", "加微信", "squeezed"),
        ("加 微 信 吧", "加 微 信", "加微信", "squeezed"),
        ("来微*信聊", "微*信", "微信", "squeezed"),
        ("t e l e g r a m now", "t e l e g r a m", "telegram", "squeezed"),
        ("T.E.L.E.G.R.A.M", "T.E.L.E.G.R.A.M", "telegram", "squeezed"),
        ("addmywechat", "addmywechat", "add my wechat", "squeezed"),
        ("freeeee stuff", "freeeee", "free", "stretched"),
        ("加加加微信", "加加加微信", "加微信", "stretched"),
        ("加微微微信", "加微微微信", "加微信", "stretched"),
        ("v1agra", "v1agra", "viagra", "leet"),
        ("fr33 stuff", "fr33", "free", "leet"),
        ("@dd my wechat", "@dd my wechat", "add my wechat", "leet"),
        ("an a55hole", "a55hole", "asshole", "leet"),
        ("te1egram", "te1egram", "telegram", "leet"),
        ("加weixin", "加weixin", "加微信", "pinyin"),
        ("jia weixin", "jia weixin", "加微信", "pinyin"),
        ("jiaweixin", "jiaweixin", "加微信", "pinyin"),
        ("Jia Wei Xin!", "Jia Wei Xin", "加微信", "pinyin"),
        ("wei信", "wei信", "微信", "pinyin"),
        ("办yinhang卡", "yinhang卡", "银行卡", "pinyin"),
        ("银hang卡", "银hang卡", "银行卡", "pinyin"),
        ("a100%有效", "100%有效", "100%有效", "plain"),
        ("scammers", "scam", "scam", "plain"),
        ("xxpornxx", "porn", "porn", "plain"),
        ("vx888", "vx888", r"\bvx\d{2,4}\b", "plain"),
        ("１３８-1234 5678", "１３８-1234 5678", r"1[3-9]\d(?:[ -]?\d){8}", "folded"),
        ("see t . me / xyz_1!", "t . me / xyz_1", r"t ?\. ?me ?/ ?[a-z0-9_]{3,20}", "plain"),
        ("в приват", "приват", "приват", "plain"),
        ("Don't", "Don't", "don't", "plain"),
    ],
)  # fmt: skip
def test_a_disguised_term_is_found_where_it_is(matcher, plain, text, piece, term, how):
    assert (piece, term, how) in found(matcher, text)
    assert plain.match([text]) == matcher.match([text])


@pytest.mark.parametrize(
    "text",
    [
        "增加微信支付", "增加，微信", "打微 信", "加徽信",  # allowed context, two words that meet, another character
        "was sent to class", "as sent", "a ss", "assassin Essex classic grape therapist", "Scunthorpe", "mass",
        "xvx", "vxx", "v.x", "2100%有效", "1 00%有效", "free wifi", "free-wifi", "telegram style",
        "c u at 5", "y o", "fre", "freedom", "carefree", "4k mp3 h2o covid19 $5", "wei lai women", "weixing",
        "приватный", "при ват", "加*****微*****信", "t.....e.....l.....e.....g.....r.....a.....m",
        "jia......wei......xin", "t....e....l....e....g....r....a....m",
        "微。行信", "yin hang la jia wei xing", "escam", "138123456789x"[:10], "138-1234",
    ],
)  # fmt: skip
def test_a_near_miss_is_none(matcher, plain, text):
    assert found(matcher, text) == []
    assert plain.match([text]) == [[]]


def test_a_hit_says_what_its_entry_says(matcher):
    (hit,) = Matcher(lexicons(entry("加微信", severity=5, score=0.7, certain=True))).match(["请加微信"])[0]

    assert (hit.label, hit.severity, hit.score, hit.certain) == (LURE, 5, 0.7, True)
    assert (hit.lexicon, hit.term, hit.start, hit.end) == ("test@1", "加微信", 1, 4)


def test_of_two_that_overlap_the_longer_stands_and_another_label_stays():
    both = Matcher(lexicons(entry("微信"), entry("加微信"), entry("微信群", label=ABUSE)))

    assert [hit.term for hit in both.match(["加微信群"])[0]] == ["加微信", "微信群"]


def test_a_certain_hit_is_not_hidden_by_a_longer_suspicion():
    both = Matcher(lexicons(entry("微信", certain=True), entry("加微信群")))

    assert [hit.term for hit in both.match(["加微信群"])[0]] == ["微信"]


@pytest.mark.parametrize(("pinyin", "hits"), [(None, 0), (True, 1), (False, 0)])
def test_short_pinyin_is_found_where_the_entry_wants_it(pinyin, hits):
    assert len(Matcher(lexicons(entry("他妈", pinyin=pinyin))).match(["ta ma"])[0]) == hits


def test_partly_in_pinyin_the_characters_are_the_terms_own():
    homes = Matcher(lexicons(entry("加微信", "回家")))

    assert found(homes, "加weixin") == [("加weixin", "加微信", "pinyin")]
    assert found(homes, "家weixin") == []


@pytest.mark.parametrize("before", ["", "汉", "é", "😀"])
def test_places_in_long_texts_are_those_of_characters(matcher, before):
    text = before * 9000 + "加微信" + before * 9000

    assert [(hit.start, hit.end) for hit in matcher.match([text])[0]] == [(len(before) * 9000, len(before) * 9000 + 3)]


def test_no_term_no_regex_no_text():
    assert Matcher(lexicons()).match(["加微信", ""]) == [[], []]
    assert Matcher(KNOWN).match([]) == []


def test_hits_do_not_cross_texts(matcher):
    assert matcher.match(["加微", "信", "13812", "345678", "free", "wifi"]) == [
        [], [], [], [], matcher.match(["free"])[0], []
    ]  # fmt: skip


def test_many_batches_are_one(matcher, monkeypatch):
    texts = ["加微信", "", "a" * 50, "增加微信", "free 加.微.信"] * 20
    whole = matcher.match(texts)

    monkeypatch.setattr("pipelines.text.words.matcher.BATCH_CHARACTERS", 30)

    assert matcher.match(texts) == whole
    assert whole == [matcher.match([text])[0] for text in texts]


def test_a_matcher_is_pickled_by_its_lexicons(matcher):
    assert pickle.loads(pickle.dumps(matcher)).match(["加微信"]) == matcher.match(["加微信"])


def test_the_first_and_then_the_longest_of_a_pattern():
    assert longest([(0, 2, 4), (0, 1, 3), (0, 1, 5), (0, 5, 6), (1, 2, 3)]) == [(0, 1, 5), (0, 5, 6), (1, 2, 3)]


PIECES = st.sampled_from(
    ["加", "微", "信", "加微信", "vx", "VX12", "free", "fr33", "wifi", "ass", "a55", "telegram", "t e l e g r a m",
     "tеlegram", "wei", "xin", "jia", "weixin", "银", "hang", "卡", "增加", "100%", "有效",
     "138", "1234", "5678", "-",
     " ", ".", "，", "。", "!", "*", "t . me/", "abc", "don't", "приват", "scam", "porn", "eee", "微微微",
     "\u200b", "\u0301", "ﬁ", "😀", "\n", "add my wechat"]
)  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(st.lists(st.lists(PIECES, max_size=10).map("".join), max_size=5))
def test_equal_to_the_plain_reference(matcher, plain, texts):
    assert matcher.match(texts) == plain.match(texts)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(st.characters(codec=None), max_size=30), max_size=4))
def test_any_text_is_matched_and_hits_lie_in_it_apart(matcher, texts):
    for text, hits in zip(texts, matcher.match(texts), strict=True):
        assert all(0 <= hit.start < hit.end <= len(text) for hit in hits)
        for label in {hit.label for hit in hits}:
            same = [hit for hit in hits if hit.label == label]
            assert all(one.end <= other.start for one, other in pairwise(same))


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ("x" * 10**6, 0),
        ("加微信" * 300_000, MOST_HITS),
        ("vx " * 300_000, MOST_HITS),
        ("1" * 10**6, 0),
        ("138" * 300_000, MOST_HITS),
        ("加" + "\u0301" * 100_000 + "微信", 1),
        ("加" + "\u200b" * 100_000 + "微信", 1),
        ("fr" + "e" * 10**6, 1),
        ("w3e" * 300_000, 0),
        ("j i a " * 150_000, 0),
        ("weixin加" * 100_000, MOST_HITS),
        ("加," * 300_000, 0),
        ("\ud800" * 10_000 + "加微信", 1),
        ("\x00加\x00微\x07信\x1b", 1),
        ("\u202e加微信\u202c", 1),
        ("a " * 500_000, 0),
    ],
    ids=range(16),
)
@pytest.mark.timeout(60)
def test_hostile_texts_take_bounded_time(matcher, text, hits):
    began = time.process_time()

    assert len(matcher.match([text])[0]) == hits
    assert time.process_time() - began < 30

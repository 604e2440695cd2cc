"""The shipped lexicons: every entry's examples, every term by itself, and prose in which nothing is certain."""

import pytest

from pipelines.text.words.lexicon import Lexicon, Lexicons, load_lexicons
from pipelines.text.words.matcher import Matcher

ENTRIES = [
    pytest.param(lexicon.name, entry, id=f"{lexicon.name}-{number}")
    for lexicon in load_lexicons().lexicons
    for number, entry in enumerate(lexicon.entries, 1)
]


@pytest.fixture(scope="module")
def everything():
    return Matcher(load_lexicons())


def alone(name, entry):
    return Matcher(Lexicons((Lexicon(name, "1", "0" * 64, (entry,)),)))


@pytest.mark.parametrize(("name", "entry"), ENTRIES)
def test_examples(name, entry):
    matcher = alone(name, entry)

    assert [text for text, hits in zip(entry.match, matcher.match(entry.match), strict=True) if not hits] == []
    assert [text for text, hits in zip(entry.passes, matcher.match(entry.passes), strict=True) if hits] == []


@pytest.mark.parametrize(("name", "entry"), ENTRIES)
def test_there_are_examples_both_ways(name, entry):
    assert entry.match
    assert entry.passes


@pytest.mark.parametrize(("name", "entry"), ENTRIES)
def test_every_term_is_found_by_itself(name, entry):
    found = alone(name, entry).match(entry.terms)
    whole = [
        any((hit.start, hit.end) == (0, len(term)) for hit in hits)
        for term, hits in zip(entry.terms, found, strict=True)
    ]

    assert [term for term, is_found in zip(entry.terms, whole, strict=True) if not is_found] == []


PROSE = [
    "今天天气很好，我们一家人去公园野餐，孩子们玩得很开心。",
    "这道红烧肉的做法很简单，先把五花肉切块焯水，再小火慢炖一个小时。",
    "他增加了微量元素的摄入，医生说要多吃水果蔬菜，少吃油炸食品。",
    "第三十二届运动会昨天闭幕，我校代表队获得团体总分第二名。",
    "2026年11月22日，气温3.5°C，西北风4级，明天有雨夹雪。",
    "编辑部收到1999封来信，选登了其中的38封，全文约12000字。",
    "The assassin in the classic novel was sent to Essex, as some therapists assess.",
    "Install version 2.10.3 with pip, then open report.pdf and notes.txt on your 4k screen.",
    "My grandmother grapes and grows peas in Scunthorpe; c u at 5, bring mp3s and 2 litres of H2O.",
    "Сегодня хорошая погода, мы идём в парк кормить уток.",
    "El perro de mi vecino ladra toda la noche y no me deja dormir.",
    "The bank raised its rate to 3.25% while oil fell $1.10 to $72.45 a barrel.",
    "She passed the class with a compass, some brass and a glass of grass juice.",
    "Call of the wild is a book by Jack London, first published in 1903.",
]


@pytest.mark.parametrize("text", PROSE)
def test_prose_has_no_certain_hit(everything, text):
    assert [hit for hit in everything.match([text])[0] if hit.certain] == []


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("姐妹们➕薇❤：abc888 领取资料", {"Fraud/Off-Platform Lure"}),
        ("老师带你稳.赚.不.赔，日入过千", {"Fraud/Investment Scam"}),
        ("Telegram: @winners_club, get fr33 robux",
         {"Fraud/Contact Details", "Fraud/Off-Platform Lure", "Fraud/Fake Giveaway"}),
        ("這款酒是國宴特供，100％有效", {"Spoken Claim/Official Endorsement", "Spoken Claim/Absolute Claim"}),
        ("Ｃｌｉｃｋ ｔｈｅ ｌｉｎｋ ｉｎ ｂｉｏ, buy w e e d delivery",
         {"Fraud/Off-Platform Lure", "Drugs & Tobacco/Products"}),
        ("i'll k1ll you, a$$hole", {"Abuse/Threat", "Abuse/Insult"}),
    ],
)  # fmt: skip
def test_a_line_is_read_in_all_its_disguises(everything, text, labels):
    assert {hit.label for hit in everything.match([text])[0]} == labels


def test_there_are_enough_terms_in_both_languages():
    count = {"zh": 0, "en": 0, "any": 0}
    for _, entry in (each.values for each in ENTRIES):
        count[entry.language] += len(entry.terms) + len(entry.regexes)

    assert count["zh"] > 400
    assert count["en"] > 400
    assert count["any"] > 10

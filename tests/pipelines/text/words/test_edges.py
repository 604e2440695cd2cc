import pytest

from model_registry.errors import UsageError
from pipelines.text.words.lexicon import Entry, Lexicon, Lexicons
from pipelines.text.words.matcher import Matcher
from pipelines.text.words.plain_matcher import PlainMatcher


def of(regex):
    return Lexicons((Lexicon("test", "1", "0" * 64, (Entry("Gambling", 3, "any", 0.9, regexes=(regex,)),)),))


@pytest.mark.parametrize(
    ("regex", "text", "found"),
    [
        (r"\bдешево\b", "купи дешево, я дешево", ["дешево", "дешево"]),
        (r"\bдешево\b", "недешево дешевое", []),
        (r"\bبيع\b", "هذا بيع", ["بيع"]),
        (r"\bبيع\b", "للبيع", []),
        (r"куп\w{2,4} дешево", "купить дешево", ["купить дешево"]),
        (r"куп\w{2,4} дешево", "куп... дешево", []),
        (r"\W微信", "!微信 a微信 加微信", ["!微信"]),
        (r"\bvx\d{2}", "加vx88", ["vx88"]),
        (r"\d{3} руб\b", "100 рублей, ١٢٣ руб", ["١٢٣ руб"]),
        (r"\b(?:cheap|дешево)\b", "cheapд cheap", ["cheap"]),
        (r"[а-я]{2}\b!", "да!", ["да!"]),
    ],
)
def test_words_have_edges_in_every_script(regex, text, found):
    hits = Matcher(of(regex)).match([text])
    assert [text[hit.start : hit.end] for hit in hits[0]] == found
    assert PlainMatcher(of(regex)).match([text]) == hits


@pytest.mark.parametrize(
    ("regex", "reason"),
    [
        (r"\b微信", r"has \\b beside Chinese"),
        (r"x(?:\bда)", r"has \\b where letters outside a to z may be"),
        (r"\Bда", r"has \\B where letters outside a to z may be"),
    ],
)
def test_an_edge_that_would_mean_something_else_is_refused(regex, reason):
    with pytest.raises(UsageError, match=reason):
        of(regex)

import pickle
import time
from contextlib import suppress

import pytest

from model_registry.errors import UsageError
from pipelines.text.words.edges import word_class
from pipelines.text.words.lexicon import Boundary, Entry, load_lexicons, shipped
from pipelines.text.words.matcher import Matcher
from pipelines.text.words.patterns import folded_regex

GOOD = """
name = "mine"
version = "1.0.0"

[[entry]]
label = "Gambling"
severity = 4
language = "en"
score = 0.5
terms = ["casino night"]
regexes = ['bet[0-9]{3}']
unless = ["charity"]
[entry.examples]
match = ["Casino night"]
pass = ["a night in"]
"""


@pytest.fixture
def write(tmp_path):
    def write(text=GOOD, name="mine.toml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_a_file_is_read(write):
    (lexicon,) = load_lexicons([write()]).lexicons

    assert lexicon.title == "mine@1.0.0"
    assert lexicon.entries == (
        Entry("Gambling", 4, "en", 0.5, False, ("casino night",), ("bet[0-9]{3}",), ("charity",),
              match=("Casino night",), passes=("a night in",)),
    )  # fmt: skip
    assert lexicon.entries[0].boundary is Boundary.WORD


def test_a_folder_is_read_and_shipped_ones_may_stand_beside(write, tmp_path):
    write()

    assert [lexicon.name for lexicon in load_lexicons([tmp_path]).lexicons] == ["mine"]
    assert len(load_lexicons([tmp_path, *shipped()]).lexicons) == len(shipped()) + 1
    assert load_lexicons() == load_lexicons(shipped())


def test_the_identity_follows_every_byte(write):
    first = load_lexicons([write()])
    other = load_lexicons([write(GOOD.replace("0.5", "0.6"))])

    assert first.id.startswith("mine@1.0.0+")
    assert len({first.id, other.id, load_lexicons().id}) == 3
    assert load_lexicons().id == load_lexicons().id


def test_lexicons_can_be_pickled(write):
    lexicons = load_lexicons([write()])

    assert pickle.loads(pickle.dumps(lexicons)) == lexicons
    assert pickle.loads(pickle.dumps(Matcher(lexicons))).match(["casino night"])[0][0].term == "casino night"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('label = "Gambling"', 'label = "Betting"', r"entry 1 \('Betting'\): label 'Betting' is not in taxonomy"),
        ("severity = 4", "severity = 6", r"entry 1 \('Gambling'\): severity is 6, wanted 1 to 5"),
        ("severity = 4", "severity = true", "severity is True, wanted a whole number from 1 to 5"),
        ('language = "en"', 'language = "fr"', "language is 'fr', wanted one of zh, en, any"),
        ("score = 0.5", "score = 1.5", "score is 1.5, wanted more than 0 and at most 1"),
        ("score = 0.5", "skore = 0.5", "has 'skore'; allowed: label, severity"),
        ('terms = ["casino night"]', "", "regexes"),
        ('["casino night"]', '"casino night"', "terms is 'casino night', wanted a list of texts in quotes"),
        ('"casino night"', '"casino night", "ＣＡＳＩＮＯ  night"', "'casino night', .* stand in it twice"),
        ('"casino night"', '"t|me/"', r"term 't\|me/' has '/', '\|', wanted letters, digits"),
        ('"casino night"', '"x"', "term 'x' is too short, wanted a Chinese character or two letters"),
        ('"casino night"', '"!!"', "wanted letters, digits"),
        ('"casino night"', f'"{"a" * 70}"', "has 70 characters, wanted at most 64"),
        ("bet[0-9]{3}", "bet[0-9]+", r"a repetition without end, wanted one of at most 64, such as \{0,20\}"),
        ("bet[0-9]{3}", "(b)\\1", "a backreference"),
        ("bet[0-9]{3}", "(?<=b)et", "a lookahead or lookbehind"),
        ("bet[0-9]{3}", "b{0,3}", "matches the empty text"),
        ("bet[0-9]{3}", "((b{1,50}){1,50}){1,50}", "unrolls to 125000 characters, wanted at most"),
        ("bet[0-9]{3}", "bet(", "is none"),
        ("bet[0-9]{3}", "(?i)bet", "sets flags"),
        ("[entry.examples]", "[entry.samples]", "has 'samples'; allowed: label"),
        ('name = "mine"', "", "it lacks name"),
        ('version = "1.0.0"', "version = 1", "version is 1, wanted a version such as '1.0.0' in quotes"),
        ('name = "mine"', 'name = "mine', "line 2"),
    ],
)  # fmt: skip
def test_a_fault_is_refused_in_one_sentence_that_names_the_file(write, old, new, sentence):
    assert old in GOOD
    text = GOOD.replace(old, new)
    if sentence == "regexes":
        text, sentence = text.replace("regexes = ['bet[0-9]{3}']", ""), "it has neither terms nor regexes"

    with pytest.raises(UsageError, match=sentence) as raised:
        load_lexicons([write(text)])

    assert str(raised.value).startswith("lexicon ")
    assert "mine.toml" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_term_in_two_entries_of_one_label_is_refused(write):
    with pytest.raises(UsageError, match=r"entry 2 \('Gambling'\): 'casino night' stands in entry 1 already"):
        load_lexicons([write(GOOD + GOOD.split("\n\n", 1)[1])])


def test_two_lexicons_of_one_name_are_refused(write):
    with pytest.raises(UsageError, match="two lexicons of the name 'mine'"):
        load_lexicons([write(), write(name="other.toml")])


def test_what_is_no_file_of_text_is_refused(write, tmp_path):
    with pytest.raises(UsageError, match=r"gone\.toml cannot be read: No such file"):
        load_lexicons([tmp_path / "gone.toml"])
    with pytest.raises(UsageError, match="byte 1 is not UTF-8"):
        load_lexicons([write(b"\xff\xfe")])
    with pytest.raises(UsageError, match="holds no lexicon"):
        load_lexicons([tmp_path.joinpath("empty").mkdir() or tmp_path / "empty"])


@pytest.mark.parametrize(
    "regex",
    [
        "(?:ab?){30}c",
        "[a-z]{1,60}[0-9]{1,60}",
        ".{0,60}a.{0,60}b.{0,60}c.{0,60}d.{0,60}",
        "(?:a{0,30}b{0,30}){1,9}c",
        "(?:.{1,20}x.{1,20}){1,14}",
        "(?:[^a]{1,30}|.{1,30}b){1,9}y",
        "(?:" * 12 + "a" + "){1,2}" * 9 + ")" * 3,
    ],
)
@pytest.mark.timeout(60)
def test_any_regex_is_refused_or_compiled_and_matched_in_bounded_time(write, regex):
    began = time.process_time()
    with suppress(UsageError):
        Matcher(load_lexicons([write(GOOD.replace("bet[0-9]{3}", regex))])).match(["abcd" * 10_000, "x" * 20_000])

    assert time.process_time() - began < 20


def test_what_the_matcher_cannot_compile_is_refused_by_name(write):
    with pytest.raises(
        UsageError, match=r"entry 1 \('Gambling'\): regex '\.\{0,60\}a.* is beyond the matcher.*too large"
    ):
        load_lexicons([write(GOOD.replace("bet[0-9]{3}", ".{0,60}a.{0,60}b.{0,60}c.{0,60}d.{0,60}"))])


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("VX", "vx"),
        ("國", "国"),
        ("[A-Z國]", "[a-z国]"),
        (r"a.b\.c", r"a.b\.c"),
        ("[^a]", r"[^a\n]"),
        (r"\S\W", rf"[^ \n][^{word_class()}\n]"),
        ("a|㎏", "(?:[a]|(?:kg))"),
        ("x{2,3}?", "(?:x){2,3}"),
    ],
)
def test_a_regex_is_rewritten_for_folded_texts(source, expected):
    assert folded_regex(source) == expected

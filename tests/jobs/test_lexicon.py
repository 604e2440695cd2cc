import json

import pytest

from jobs.cli import main
from pipelines.text.words.lexicon import load_lexicons
from pipelines.text.words.matcher import Matcher

LABEL = ("--label", "Fraud/Contact Details")


def nightjar(*words):
    with pytest.raises(SystemExit) as exit_:
        main(["lexicon", *map(str, words)])
    return exit_.value.code


def made(tmp_path, name, text):
    (tmp_path / name).write_text(text, "utf-8")
    assert nightjar("import", tmp_path / name, *LABEL, "--output", tmp_path / "own.toml") == 0
    return load_lexicons([tmp_path / "own.toml"])


def test_a_list_becomes_a_lexicon_and_every_refused_line_has_a_reason(tmp_path, capsys):
    text = "# mine\n加微信\n加微信\n💊\nbad-site.com\nv\na|b\nfree money\nＦree  Money\n赌\n"
    (entry,) = made(tmp_path, "list.txt", text).lexicons[0].entries
    said = capsys.readouterr().err

    assert entry.terms == ("加微信", "💊", "bad-site.com", "free money", "赌")
    assert "5 terms, 2 said twice, 2 refused" in said
    assert "line 6: term 'v' is too short" in said
    assert "line 7: term 'a|b' has '|'" in said
    assert "warning: '赌' stands in" in said


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.csv", 'id,Domain\n1,evil.example\n2,"bad-site.com"\n'),
        ("list.tsv", "evil.example\t1\nbad-site.com\t2\n"),
        ("list.jsonl", '"evil.example"\n\n{"domain": "bad-site.com"}\n'),
        ("list.json", '{"a": ["evil.example"], "b": [{"word": "bad-site.com", "id": 3}]}'),
    ],
)
def test_tables_and_json_are_lists_too(tmp_path, name, text):
    assert made(tmp_path, name, text).lexicons[0].entries[0].terms == ("evil.example", "bad-site.com")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("visit bad-site.com now", True),
        ("https://www.Bad-Site.com/x", True),
        ("b4d-site.com", True),
        ("notbad-site.com", False),
        ("x-bad-site.com", False),
        ("bad-site.com.au", False),
        ("a bad site com", False),
        ("进✈️群", True),
        ("进飞机场", False),
    ],
)
def test_an_address_is_itself_and_a_sign_is_found(tmp_path, text, found):
    assert bool(Matcher(made(tmp_path, "list.txt", "bad-site.com\n✈️群\n")).match([text])[0]) == found


def test_hits_are_shown_as_a_table_and_as_json(tmp_path, capsys):
    made(tmp_path, "list.txt", "bad-site.com\n")
    lines = tmp_path / "lines.txt"
    lines.write_text("nothing here\nsee bad-site.com\n", "utf-8")
    capsys.readouterr()

    assert nightjar("test", lines, "--lexicon", tmp_path / "own.toml") == 0
    assert "bad-site.com" in capsys.readouterr().out
    assert nightjar("test", lines, "--lexicon", tmp_path / "own.toml", "--json") == 0
    (row,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (row["line"], row["hits"][0]["start"], row["hits"][0]["end"]) == (2, 4, 16)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("list.json", b"{", "is no JSON"),
        ("list.jsonl", b'"a thing"\n{', "line 2 is no JSON"),
        ("list.txt", b"a thing\nb\xff", "line 2, byte 2 is not UTF-8"),
        ("list.txt", b"\xff\xfe", "byte 1 is not UTF-8"),
        ("list.txt", b"\nv\n", "has no line that could be a term"),
    ],
)
def test_a_list_that_is_none_is_one_error(tmp_path, capsys, name, content, reason):
    (tmp_path / name).write_bytes(content)
    assert nightjar("import", tmp_path / name, *LABEL) == 2
    assert reason in capsys.readouterr().err
    assert not list(tmp_path.glob("*.toml*"))


def test_a_list_of_any_size_is_read_a_line_at_a_time(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pipelines.text.words.wordlist.MOST_TERMS", 3)
    monkeypatch.setattr("pipelines.text.words.wordlist.LARGEST_FILE", 10)
    monkeypatch.setattr("pipelines.text.words.wordlist.AT_ONCE", 2)
    text = "term one\nterm two\nterm one\n" + "x" * 200_000 + "\nterm three\nterm four\nterm five\na|b"
    (entry,) = made(tmp_path, "list.txt", text).lexicons[0].entries
    said = capsys.readouterr().err

    assert entry.terms == ("term one", "term two", "term three")
    assert "8 lines; 3 terms, 1 said twice, 2 refused" in said
    assert "line 4: term 'xxx" in said
    assert "line 8: term 'a|b' has '|'" in said
    assert "2 more terms have no room" in said

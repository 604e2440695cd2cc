"""Copies on a terminal: which work, where in it, and no wider than needed."""

from __future__ import annotations

from jobs.table import print_table, why
from pipelines.risk.judge import Tally
from pipelines.risk.judged import Judged
from tests.jobs.test_table import label, segment, verdict

FILM = "Copyright/Film and TV"


def copy(form="Image", score=0.97, reference_id="film-7", text: str | None = "Some Film", start_ms=12_000) -> dict:
    spans = {"start_ms": start_ms, "end_ms": start_ms + 19_000, "ref_start_ms": 2_462_000, "ref_end_ms": 2_481_000}
    return segment(FILM, form=form) | spans | {"score": score, "reference_id": reference_id, "text": text}


def test_a_copy_says_of_what_and_where():
    found = verdict(labels=[label(FILM, 0.97)], segments=[copy()])

    assert why(found) == "Copyright/Film and TV 0.97 0:12-0:31 = Some Film 41:02"


def test_picture_and_sound_are_one_reason():
    found = verdict(
        labels=[label(FILM, 0.97, "Audio"), label(FILM, 0.97), label()],
        segments=[segment(), copy(), copy("Audio", start_ms=11_000)],
    )

    assert why(found) == "Copyright/Film and TV 0.97 0:12-0:31 = Some Film 41:02; Gambling 0.75 at 0:00-0:01"


def test_the_surest_work_is_named_and_the_others_counted():
    others = [copy(score=0.6, reference_id="film-8", start_ms=0), copy(score=0.5, reference_id="film-9")]
    found = verdict(
        labels=[label(FILM, 0.97), label(FILM, 0.6, "Audio")], segments=[*others, copy(), copy("Audio", 0.6)]
    )

    assert why(found) == "Copyright/Film and TV 0.97 0:12-0:31 = Some Film 41:02 (+2 more)"


def test_a_work_without_a_title_goes_by_its_id():
    assert why(verdict(labels=[label(FILM)], segments=[copy(text=None)])).endswith("= film-7 41:02")


def test_a_long_title_is_cut_and_a_hostile_one_harmless(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    found = verdict(labels=[label(FILM, 0.97)], segments=[copy(text="\x1b]0;owned\x07\n[red]" + "x" * 500)])
    print_table(Tally(videos=1, shown=[Judged(found, "", [])]))
    out = capsys.readouterr().out

    assert "= \\x1b]0;owned\\x07 [red]xxxxxxxxx… 41:02" in out
    assert not {"\x1b", "\x07"} & set(out)

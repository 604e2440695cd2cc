"""Cues: a reference's title and the words of pirates count, in English and Chinese; short titles and parts do not."""

from __future__ import annotations

import pytest

from pipelines.copyright.cues import HINT, TITLE, cue, normal


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("The Godfather (1972) part 3", "The Godfather"),
        ("watch THE   GODFATHER now", "the godfather"),
        ("the-godfather!!", "The Godfather"),
        ("ＴＨＥ ＧＯＤＦＡＴＨＥＲ", "The Godfather"),
        ("some words\nthe godfather", "The Godfather"),
        ("【流浪地球】精彩", "流浪地球"),
        ("我看了流浪地球二", "流浪地球"),
        ("甄嬛传", "甄嬛传"),
        ("Amélie de Montmartre", "AMÉLIE"),
    ],
)
def test_the_title_stands_there(written, title):
    assert cue(written, title) == pytest.approx(TITLE)


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("stepfather the godfathers", "The Godfather"),
        ("god father", "Godfather"),
        ("", "The Godfather"),
        ("it went up and up", "Up"),
        ("it was it", "It"),
        ("今天很美", "美"),
        ("a holiday by the sea", ""),
        ("!!!", "!!!!!!"),
    ],
)
def test_it_does_not(written, title):
    assert cue(written, title) == 0


@pytest.mark.parametrize(
    "written",
    [
        "FULL MOVIE free",
        "full episode here",
        "S02E05",
        "s2 ep 5",
        "Season 1 Episode 10",
        "episode 7",
        "best movie clips",
        "HDCAM leaked",
        "BD-Rip",
        "WEB rip 1080p",
        "no copyright intended",
        "credit to the owner",
        "fair use",
        "第3集",
        "第 十二 季",
        "电影解说",
        "完整版在这里",
        "侵删",
        "超清蓝光",
        "全集",
    ],
)
def test_words_that_go_with_films(written):
    assert cue(written, "The Godfather") == pytest.approx(HINT)


@pytest.mark.parametrize(
    "written", ["my holiday", "the second season of the year", "ripe tomatoes", "集合", "1080 people"]
)
def test_words_that_do_not(written):
    assert cue(written, "The Godfather") == 0


def test_both_count_for_more_than_either_and_never_for_certain():
    both = cue("The Godfather full movie", "The Godfather")

    assert max(TITLE, HINT) < both < 1
    assert both == pytest.approx(1 - (1 - TITLE) * (1 - HINT))


def test_normal_has_one_case_one_width_and_no_punctuation():
    assert normal("Ｆｕｌｌ－Movie:  №1 “HD”!") == "full movie no1 hd"

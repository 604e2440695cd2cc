"""The transcript in the report: what counted is marked, in the right line, and hostile text stays text."""

import html
import re

from jobs.report.page import Page, ReportVideo, render
from jobs.report.transcript import QUIET, Part, parts, transcript
from pipelines.risk.policy import parse_policy
from pipelines.risk.signals import Signal
from pipelines.risk.verdicts import VERDICTS, findings
from pipelines.text.transcripts import SAID, SHOWN, WRITTEN, TranscriptLine

POLICY = parse_policy(
    {
        "name": "test",
        "version": "1",
        "rule": [
            {"label": "Fraud", "abstain": [0.5, 0.8], "action": "block"},
            {"label": "Abuse", "abstain": [0.9, 0.9]},
        ],
    },
    digest="0" * 64,
)
LURE, INSULT = "please add my wechat now", "you are a fool"


def told(text, label, score, start_ms=0, end_ms=1000, form=SAID, marks=()):
    times = {"start_ms": start_ms, "end_ms": end_ms, "evidence_ms": start_ms}
    return Signal(label=label, form=form, score=score, source="fraud_en@1", text=text, marks=marks, **times)


def made(lines, signals):
    segments = [found.as_segment() for found in findings(signals, POLICY, 10_000)]
    return transcript(lines, signals, segments, POLICY)


def test_words_that_counted_are_marked_with_what_came_of_them():
    signals = [
        told(LURE, "Fraud/Off-Platform Lure", 0.6, marks=((7, 20),)),
        told(INSULT, "Abuse/Insult", 0.6, 2000, 3000),
    ]
    lines = [
        TranscriptLine(SAID, 0, 1500, LURE),
        TranscriptLine(SAID, 2000, 3000, INSULT),
        TranscriptLine(SAID, 3000, 4000, "bye"),
    ]
    found = made(lines, signals)
    assert [line.parts for line in found.lines] == [
        (Part("please "), Part("add my wechat", "review"), Part(" now")),
        (Part(INSULT, QUIET),),
        (Part("bye"),),
    ]
    assert [line.kind for line in found.lines] == ["review", QUIET, ""]
    assert [line.kind for line in found.told] == ["review"]
    assert found.told[0].when == "0:00 to 0:01"
    assert [[label.name for label in line.labels] for line in found.lines] == [["Fraud/Off-Platform Lure"], [], []]
    assert found.total == 3


def test_the_same_words_at_another_time_are_not_marked():
    lines = [
        TranscriptLine(SAID, 0, 1500, LURE),
        TranscriptLine(SAID, 60_000, 61_000, LURE),
        TranscriptLine(SHOWN, 0, 1500, LURE),
    ]
    found = made(lines, [told(LURE, "Fraud/Off-Platform Lure", 0.9, 60_000, 61_000)])
    assert [line.kind for line in found.lines] == ["", "block", ""]


def test_a_title_stands_first_and_is_no_line_of_the_transcript():
    found = made([TranscriptLine(SAID, 0, 100, "hi")], [told(LURE, "Fraud", 0.9, 0, 10_000, WRITTEN)])
    assert [(line.form, line.when) for line in found.lines] == [("Text", "title or description"), ("Voice", "at 0:00")]
    assert found.total == 1


def test_where_stretches_overlap_the_gravest_counts():
    assert parts("abcdef", [(1, 4, "review"), (3, 5, "block"), (0, 6, QUIET)]) == (
        Part("a", QUIET),
        Part("bc", "review"),
        Part("de", "block"),
        Part("f", QUIET),
    )


def test_stretches_outside_the_line_and_empty_ones_do_no_harm():
    assert parts("abc", [(-5, 1, "review"), (2, 99, "block"), (2, 2, "review")]) == (
        Part("a", "review"),
        Part("b"),
        Part("c", "block"),
    )
    assert parts("", [(0, 0, "review")]) == ()


def page(text, signals):
    row = dict.fromkeys(VERDICTS.names) | {
        "video_id": "v",
        "uri": "v.mp4",
        "duration_ms": 10_000,
        "suggestion": "review",
        "segments": [found.as_segment() for found in findings(signals, POLICY, 10_000)],
        "complete": True,
    }
    video = ReportVideo(row, "", signals, {}, None, lines=[TranscriptLine(SAID, 0, 1000, text, "zh")])
    return render(Page("Recall", {}, POLICY, [video], 1))


def test_the_page_shows_and_searches_the_line():
    text = page("请 加微信 吧", [told("请 加微信 吧", "Fraud/Off-Platform Lure", 0.9, marks=((2, 5),))])
    assert '<bdi lang="zh">请 <mark class="block">加微信</mark> 吧</bdi>' in text
    assert "Transcript, 1 line<" in text
    assert "请 加微信 吧" in re.search(r'data-search="([^"]*)"', text)[1]


def test_hostile_text_stays_text():
    hostile = "</bdi><script>alert(1)</script>\u202e\x00 add wechat"
    text = page(hostile, [told(hostile, "Fraud", 0.9, marks=((5, 12),))])
    assert "<script>alert" not in text
    assert "\u202e" not in text
    assert "\x00" not in text
    marked = re.search(r"<mark[^>]*>(.*?)</mark>", text)[1]
    assert html.unescape(marked) == hostile[5:12]

"""Copies from stored pieces to the report and to `evidence/`: both sides, as far as they were kept."""

from __future__ import annotations

import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.outcome import counts, write_report
from pipelines.copyright import strips
from pipelines.copyright.bank.reference import Kind, Reference, parse_licences
from pipelines.copyright.matched import MATCHES, Matched
from pipelines.pieces import Pieces, write_piece
from pipelines.risk.judge import Night, judge_night
from pipelines.rows import CONTENTS, MANIFEST
from tests.jobs.claimed import POLICY, match
from tests.windows import looked_at, seen, window

COPY, DANCE = "a" * 64, "b" * 64


@pytest.fixture
def night(tmp_path, monkeypatch) -> Night:
    """One copy of two films at once, by picture and sound, with a nude in it; one licensed dance without pictures."""
    stills = {0: b"zero", 20_000: b"twenty", 22_000: b"twenty-two"}
    monkeypatch.setattr(strips, "shown_small", lambda still: still)  # names stay what they are
    nude = seen(0.9, 0, 1000, "Explicit")
    write_piece(
        tmp_path / "f",
        looked_at(
            window(COPY, signals=[nude], pictures={0: b"nude", 15_000: b"poster"}, stills=stills, duration_ms=40_000),
            window(DANCE, duration_ms=40_000),
        ),
    )
    rows = [{"video_id": name, "uri": f"/in/{name}", "title": "T"} for name in ("copy", "dance")]
    pq.write_table(pa.Table.from_pylist(rows, MANIFEST), tmp_path / "manifest.parquet")
    known = [{**row, "content_sha256": sha} for row, sha in zip(rows, (COPY, DANCE), strict=True)]
    contents = pa.Table.from_pylist(known, CONTENTS)
    return Night(tmp_path / "manifest.parquet", contents, Pieces(tmp_path / "f"), "lite@1", matched(tmp_path))


def matched(folder) -> Matched:
    found = Matched(folder / "f" / "matches" / "3")
    rows = [
        match(content_sha256=COPY, ref_picture=b"film", claim_score=0.99),
        match("Audio", 0.9, content_sha256=COPY, ref_picture=b"film", claim_score=0.99),
        match(score=0.6, content_sha256=COPY, reference_id="remake", ref_picture=b"remake"),
        match(score=0.4, content_sha256=COPY, reference_id="weak", start_ms=2000, end_ms=9000, ref_picture=b"weak"),
        match("Audio", content_sha256=DANCE, reference_id="song", ref_picture=b"song"),
    ]
    found.write(pa.Table.from_pylist(rows, MATCHES))
    works = [Reference(id=name, content_sha256=name, title=f"The {name}") for name in ("film-7", "remake", "weak")]
    song = Reference(id="song", content_sha256="song", kind=Kind.MUSIC, licences=parse_licences("US"))
    found.keep_facts([*works, song])
    return found


def test_evidence_shows_both_sides_of_a_copy(night, tmp_path):
    judge_night(night, POLICY, tmp_path / "out")
    pictures = {path.name: path.read_bytes() for path in (tmp_path / "out" / "evidence").iterdir()}

    assert pictures == {
        f"{COPY}-0.webp": b"nude",
        f"{COPY}-21500.webp": b"twenty-two",
        f"{COPY}-21500-reference.webp": b"film",
    }, "of two works at one time the surer; nothing of what is weak or licensed"


def test_the_report_shows_both_sides_of_a_copy(night, tmp_path):
    tally = judge_night(night, POLICY, tmp_path / "out")
    summary = {"counts": counts(tally), "copyright": {"bank": "films", "references": 4, "quarantined": {}}}
    write_report(tmp_path / "out", "Recall", summary, POLICY, tally, night.pieces)
    text = (tmp_path / "out" / "report.html").read_text("utf-8")

    assert json.loads((tmp_path / "out" / "summary.json").read_text("utf-8")) == summary
    assert "4 claims of 4 references in bank films" in text
    assert re.findall(r'alt="([^"]*): [^"]*"', text.partition('class="frames')[0])[-4:] == [
        "This upload at 0:22",
        "The film-7, about 41:11",
        "This upload at 0:22",
        "The remake, about 41:11",
    ]
    assert text.count('<section class="copy licensed">') == 1

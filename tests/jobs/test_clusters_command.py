"""`nightjar clusters` over stored nights, what judging and the report make of it, and references made of uploads."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import bank_add, bank_from_upload, clustering
from jobs.cli import main
from jobs.report.clusters import fold
from jobs.report.page import Page, ReportVideo, render
from pipelines.clusters.members import CLUSTERS, read_memberships
from pipelines.copyright.bank.bank import Bank
from pipelines.copyright.bank.reference import Kind
from pipelines.copyright.picture.views import View
from pipelines.pieces import FORMAT, Pieces, write_piece
from pipelines.risk.judge import Night, judge_night
from pipelines.risk.policy import load_policy, parse_policy
from pipelines.rows import CONTENTS, MANIFEST
from tests.pipelines.copyright.drawn import WIDE, as_window, fingerprint, footage, picture, plain_space
from tests.windows import looked_at

TOWER = "fake_tower@1"
FILM, OTHER = footage(0, 30), footage(1, 30)
FEATURES = f"lite-1/s1000-v{FORMAT}"
ROWS = [
    ("first", "a", FILM, "ann", "2026-11-24T08:00:00Z"),
    ("same-bytes", "a", FILM, "ben", "2026-11-24T09:00:00Z"),
    ("excerpt", "b", np.concatenate([OTHER[:12], FILM[8:24]]), "cat", "2026-11-24T10:00:00Z"),
    ("own", "c", FILM[:29], "ann", "2026-11-24T11:00:00Z"),
    ("alone", "d", footage(2, 30), "dan", "2026-11-24T07:00:00Z"),
]


def stored(folder: Path, rows=ROWS, features=FEATURES) -> Path:
    """A night as `recall` leaves it, as far as these commands read it."""
    kept = folder / "features" / features
    for content, vectors in {content: vectors for _, content, vectors, *_ in rows}.items():
        write_piece(kept, looked_at(as_window(content * 64, fingerprint(vectors))))
    manifest = [
        {
            "video_id": name,
            "uri": f"https://videos/{name}.mp4",
            "title": name.title(),
            "uploader_id": who,
            "uploaded_at": at,
        }
        for name, _, _, who, at in rows
    ]
    pq.write_table(pa.Table.from_pylist(manifest, MANIFEST), folder / "manifest.parquet")
    hashed = [{"video_id": name, "content_sha256": content * 64} for name, content, *_ in rows]
    contents = pa.Table.from_pylist(hashed, CONTENTS)
    pq.write_table(contents, folder / "features" / "contents.parquet")
    judge_night(Night(folder / "manifest.parquet", contents, Pieces(kept), "lite@1"), load_policy("default"), folder)
    run = {"features": features, "started_at": "2026-11-24T00:00:00+00:00", "day": "2026-11-24"}
    versions = {"models": [TOWER], "bundle": "lite@1", "policy": load_policy("default").id}
    summary = {"run": run, "versions": versions, "counts": {"videos": len(rows)}}
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


@pytest.fixture
def night(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(clustering, "shipped_space", lambda tower: plain_space() if tower == TOWER else None)
    return stored(tmp_path / "dt=2026-11-24")


def call(*words) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


def rows_of(folder, table="verdicts"):
    return {row["video_id"]: row for row in pq.read_table(folder / f"{table}.parquet").to_pylist()}


def test_it_writes_clusters_and_the_verdicts_name_them(night, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    before = rows_of(night)

    assert call("clusters", night) == 0

    out, told = capsys.readouterr()
    assert "same-bytes" in out
    assert "1 clusters of 4 uploads, 2 reposts" in told
    assert pq.read_schema(night / "clusters.parquet").equals(CLUSTERS)
    verdicts = rows_of(night)
    [name] = {row["cluster_id"] for row in rows_of(night, "clusters").values()}
    assert {video: row["cluster_id"] for video, row in verdicts.items()} == {
        **dict.fromkeys(("first", "same-bytes", "excerpt", "own"), name),
        "alone": None,
    }
    assert {row["cluster_size"] for row in verdicts.values()} == {4, None}
    decided = [key for key in before["first"] if not key.startswith("cluster_")]
    assert all(verdicts[video][key] == before[video][key] for video in before for key in decided)


def test_reposts_are_signals_that_only_a_rule_by_name_acts_on(night):
    for _ in range(2):
        assert call("clusters", night) == 0
    signals = pq.read_table(night / "signals.parquet").to_pylist()
    assert [(one["video_id"], one["label"]) for one in signals] == [
        ("same-bytes", "Copyright/Reupload"),
        ("excerpt", "Copyright/Reupload"),
    ]

    policy = night.parent / "ours.toml"
    text = 'name = "ours"\nversion = "1"\n[[rule]]\nlabel = "Copyright/Reupload"\nabstain = [0.5, 0.9]\n'
    policy.write_text(text)
    assert call("judge", night, "--policy", policy, "--output", night.parent / "shadow") == 0
    policy.write_text(text + 'models = "clusters"\n')
    assert call("judge", night, "--policy", policy, "--output", night.parent / "named") == 0

    suggested = [
        {k: row["suggestion"] for k, row in rows_of(night.parent / name).items()} for name in ("shadow", "named")
    ]
    assert set(suggested[0].values()) == {"pass"}
    assert {video for video, one in suggested[1].items() if one == "review"} == {"same-bytes", "excerpt"}


def test_json_is_a_line_a_row(night, capsys):
    assert call("clusters", night, "--json") == 0

    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["video_id"] for row in rows] == ["first", "same-bytes", "excerpt", "own"]
    assert set(rows[0]) == set(CLUSTERS.names)


def test_nights_before_are_taken_in_and_those_of_other_features_are_named(night, tmp_path, capsys):
    later = stored(tmp_path / "dt=2026-11-25", [("next", "e", FILM[2:], "eve", "2026-11-25")])
    stored(tmp_path / "dt=2026-11-23", [("old", "f", FILM, "fay", "2026-11-23")], "lite-1/s1000-v3")

    assert call("clusters", later, "--json") == 0

    out, told = capsys.readouterr()
    assert {json.loads(line)["video_id"] for line in out.splitlines()} == {
        "first",
        "same-bytes",
        "excerpt",
        "own",
        "next",
    }
    assert f"dt=2026-11-23 is left out: its features are lite-1/s1000-v3 and tonight's {FEATURES}" in told
    assert rows_of(later)["next"]["cluster_size"] == 5


def test_what_another_version_kept_is_named_and_made_anew(night, capsys):
    assert call("clusters", night) == 0
    names = [row["cluster_id"] for row in rows_of(night).values()]
    [kept] = (night / "features" / FEATURES / "clusters").iterdir()
    older = kept.rename(kept.with_name(f"2-{kept.name.partition('-')[2]}"))
    capsys.readouterr()

    assert call("clusters", night) == 0

    told = capsys.readouterr().err
    assert f"{night.name} has clusters kept as {older.name} and this version reads {kept.name}" in told
    assert [row["cluster_id"] for row in rows_of(night).values()] == names
    assert call("clusters", night) == 0
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize("broken", ["no-night", "no-features", "no-space"])
def test_what_cannot_be_clustered_is_one_sentence(night, capsys, monkeypatch, broken):
    if broken == "no-night":
        (night / "summary.json").unlink()
    elif broken == "no-features":
        (night / "features" / FEATURES).rename(night / "gone")
    else:
        monkeypatch.setattr(clustering, "shipped_space", lambda _: None)

    assert call("clusters", night) == 2

    [line] = capsys.readouterr().err.strip().splitlines()
    wanted = {"no-night": "is no folder of a finished night", "no-features": "lacks", "no-space": "no descriptor space"}
    assert wanted[broken] in line


class TestReport:
    @pytest.fixture
    def videos(self, night):
        call("clusters", night)
        found = read_memberships(night / "clusters.parquet", night.name)
        verdicts = rows_of(night)
        return [
            ReportVideo(
                row | {"segments": [], "labels": []}, row["video_id"].title(), [], {}, None, cluster=found.get(video)
            )
            for video, row in verdicts.items()
        ]

    def test_a_cluster_is_one_card_at_its_medoid(self, videos):
        folded = fold(videos)

        assert [len(one.videos) for one in folded] == [4, 1]
        assert folded[0].video.cluster.row["role"] == "medoid"

    def test_the_card_lists_its_members_and_filters_find_them(self, videos):
        videos[2] = ReportVideo(
            videos[2].verdict | {"suggestion": "block"}, "A Title", [], {}, None, cluster=videos[2].cluster
        )
        html = render(Page("Recall", {}, parse_policy({"name": "n", "version": "1", "rule": []}, "0" * 64), videos, 5))

        assert html.count('<article class="card') == 2
        assert "4 uploads of this content" in html
        assert 'href="https://videos/same-bytes.mp4"' in html
        assert 'data-suggestion="block pass"' in html
        assert "A Title" in html.partition('data-search="')[2].partition('"')[0]
        assert '<b class="chip plain">came first</b>' in html
        assert "4 uploads of this content; first was <bdi>first by ann</bdi>" in html
        assert "uploaded <bdi>2026-11-24 09:00 UTC</bdi>" in html
        assert re.search(r"0:\d\d to 0:\d\d is 0:\d\d to 0:\d\d of (first|same-bytes) \(frames in the same order", html)


class TestFromUpload:
    @pytest.fixture(autouse=True)
    def bundle(self, monkeypatch):
        pinned = SimpleNamespace(name="fake", id="fake@1", tower=SimpleNamespace(source=TOWER))
        monkeypatch.setattr(bank_from_upload, "pin", lambda *_, **__: pinned)
        monkeypatch.setattr(bank_from_upload, "bundle_named", lambda name: name)
        monkeypatch.setattr(bank_add, "shipped_space", lambda _: plain_space())

    def add(self, night, *words):
        return call("bank", "add", "--bank", night.parent / "bank", "--night", night, "--from-upload", *words)

    def test_an_upload_becomes_a_reference(self, night, capsys):
        assert self.add(night, "first", "--json") == 0

        said = json.loads(capsys.readouterr().out)
        assert (said["outcome"], said["id"]) == ("added", "first")
        assert "no stretched views" in said["note"]
        bank = Bank.open(night.parent / "bank")
        [reference] = bank.references()
        assert (reference.kind, reference.owner, reference.title) == (Kind.CREATOR, "ann", "First")
        assert np.array_equal(bank.fingerprint("a" * 64).descriptors_ND, FILM.astype(np.float16))

        assert self.add(night, "first", "--json") == 0
        assert json.loads(capsys.readouterr().out)["outcome"] == "known"

    def test_the_kind_can_be_said(self, night):
        assert self.add(night, "first", "--kind", "known_bad") == 0
        assert Bank.open(night.parent / "bank").references()[0].kind is Kind.KNOWN_BAD

    def test_stills_give_the_stretched_views(self, night, monkeypatch):
        import io

        from PIL import Image

        out = io.BytesIO()
        Image.fromarray(picture(1, 100, 180)).save(out, "JPEG")
        row = as_window("e" * 64, fingerprint(FILM)) | {"stills": [{"frame_ms": 4000, "jpeg": out.getvalue()}]}
        write_piece(night / "features" / FEATURES, looked_at(row))
        monkeypatch.setattr(bank_from_upload, "loaded", lambda *_: None)
        shapes = []
        monkeypatch.setattr(
            bank_from_upload,
            "predict_all",
            lambda _, squares: shapes.extend(s.shape for s in squares) or np.ones((1, WIDE)),
        )
        found, note = bank_from_upload.fingerprint_of(
            "e" * 64, Pieces(night / "features" / FEATURES), SimpleNamespace(tower=None)
        )

        assert note is None
        assert shapes == [(256, 256, 3)]
        assert found.frame_ms[found.view == View.WHOLE].tolist() == [4000]
        assert len(found.frame_ms) == 31
        assert (np.diff(found.frame_ms) >= 0).all()

    @pytest.mark.parametrize(
        ("words", "wanted"),
        [(["nobody"], "has no upload 'nobody'"), (["first", "--kind", "film", "--metadata", "x.csv"], "no --metadata")],
    )
    def test_what_is_not_there_is_refused(self, night, capsys, words, wanted):
        assert self.add(night, *words) == 2
        assert wanted in capsys.readouterr().err

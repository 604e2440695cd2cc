"""Nights on disk: what is written, who came first, ids that stay, and that what is known is not compared again."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.clusters import night as module
from pipelines.clusters.compare import Seen
from pipelines.clusters.contents import NightUploads
from pipelines.clusters.members import CLUSTERS, read_memberships
from pipelines.clusters.night import Clustering
from pipelines.clusters.uploads import Upload
from pipelines.pieces import Pieces, write_piece
from tests.pipelines.copyright.drawn import as_window, fingerprint, footage, plain_space, tune
from tests.windows import looked_at

FILM, OTHER, THIRD = footage(0, 40), footage(1, 40), footage(2, 40)
CONTENTS = {
    "film": FILM,
    "copy": FILM[1:39],
    "excerpt": np.concatenate([THIRD[:20], FILM[10:25]]),
    "other": OTHER,
    "lonely": footage(3, 30),
}


def sha(name):
    return f"{name.encode().hex():0<64}"[:64]


def night_of(folder: Path, rows, contents=CONTENTS, shuffle=0) -> NightUploads:
    """Rows are (video_id, content, uploader, time); the features are written in some order."""
    features = folder / "features"
    known = Pieces(features).contents if features.exists() else {}
    names = sorted({content for _, content, *_ in rows} - {name for name in contents if sha(name) in known})
    random.Random(shuffle).shuffle(names)
    for name in names:
        peaks = tune(sorted(contents).index(name), 5)
        write_piece(features, looked_at(as_window(sha(name), fingerprint(contents[name], peaks=peaks))))
    uploads = [
        Upload(video_id, sha(content), folder.name, f"/in/{video_id}.mp4", uploader, at)
        for video_id, content, uploader, at in rows
    ]
    random.Random(shuffle).shuffle(uploads)
    return NightUploads(folder.name, folder, Pieces(features), uploads)


MONDAY = [
    ("m1", "film", "ann", "2026-11-23T08:00:00Z"),
    ("m2", "copy", "ben", "2026-11-23T09:00:00Z"),
    ("m3", "other", "cat", "2026-11-23T09:00:00Z"),
    ("m4", "lonely", "dan", None),
]
TUESDAY = [
    ("t1", "excerpt", "eve", "2026-11-24"),
    ("t2", "film", "ann", "2026-11-24T10:00:00Z"),
    ("t3", "other", "fay", "2026-11-22"),
]


def run(night, *earlier, seen=Seen.SAME, **more):
    return Clustering(night, earlier, plain_space(), look=lambda _: lambda *_: (seen, 0.9), **more).run()


def groups(done):
    found = {}
    for row in done.rows:
        found.setdefault(row["cluster_id"], []).append(row)
    return {name: sorted(row["video_id"] for row in rows) for name, rows in found.items()}


@pytest.fixture
def monday(tmp_path):
    return night_of(tmp_path / "dt=2026-11-23", MONDAY)


@pytest.fixture
def tuesday(tmp_path):
    return night_of(tmp_path / "dt=2026-11-24", TUESDAY)


def test_a_night_by_itself(monday):
    done = run(monday)

    assert list(groups(done).values()) == [["m1", "m2"]]
    rows = {row["video_id"]: row for row in pq.read_table(monday.folder / "clusters.parquet").to_pylist()}
    assert pq.read_schema(monday.folder / "clusters.parquet").equals(CLUSTERS)
    assert {name: row["role"] for name, row in rows.items()} == {"m1": "member", "m2": "medoid"}
    assert (rows["m1"]["start_ms"], rows["m1"]["medoid_end_ms"]) == (500, 37_500)
    assert {row["verified"] for row in rows.values()} == {"exact", "verified"}
    assert [(row["first"], row["repost"], row["first_uploader_id"], row["size"]) for row in rows.values()] == [
        (True, False, "ann", 2),
        (False, True, "ann", 2),
    ]


def test_the_next_night_joins_keeps_the_id_and_compares_only_what_is_new(monday, tuesday):
    [name] = groups(run(monday))

    done = run(tuesday, monday)

    assert groups(done) == {name: ["m1", "m2", "t1", "t2"], **{k: ["m3", "t3"] for k in groups(done) if k != name}}
    assert (done.contents, done.new) == (5, 1)
    assert done.compared <= 2
    rows = {row["video_id"]: row for row in done.rows}
    assert {video_id for video_id, row in rows.items() if row["first"]} == {"m1", "t3"}
    assert {video_id for video_id, row in rows.items() if row["repost"]} == {"m2", "t1", "m3"}
    assert not rows["t2"]["repost"]  # ann's own
    assert rows["t1"]["founded"] == monday.folder.name


def test_a_second_run_changes_nothing_and_compares_nothing(monday, tuesday):
    run(monday)
    before = run(tuesday, monday)
    again = run(tuesday, monday)

    assert again.rows == before.rows
    assert (again.new, again.compared) == (0, 0)


def test_a_rebuild_keeps_ids(monday, tuesday):
    run(monday)
    before = run(tuesday, monday)
    again = run(tuesday, monday, rebuild=True)

    assert groups(again) == groups(before)
    assert again.new == 5


@pytest.mark.parametrize("shuffle", [1, 2, 3])
def test_the_order_of_input_changes_nothing(tmp_path, shuffle):
    rows = MONDAY + TUESDAY
    wanted = run(night_of(tmp_path / "a" / "dt=2026-11-24", rows))
    found = run(night_of(tmp_path / "b" / "dt=2026-11-24", rows, shuffle=shuffle))

    assert found.rows == wanted.rows


def test_another_picture_of_the_same_kind_is_not_joined(monday):
    assert groups(run(monday, seen=Seen.OTHER)) == {}
    assert groups(run(monday, seen=Seen.DOUBT)) == {}


def test_the_same_bytes_are_a_group_without_features(tmp_path):
    night = NightUploads("dt=2026-11-24", tmp_path, Pieces(tmp_path / "features"), night_uploads())

    assert list(groups(run(night)).values()) == [["x", "y"]]


def night_uploads():
    return [Upload(name, sha("gone"), "dt=2026-11-24", "", name, f"2026-11-2{n}") for n, name in enumerate("xy")]


def test_a_night_whose_cluster_lost_its_medoid_keeps_the_id(tmp_path, monday):
    [name] = groups(run(monday))
    rest = night_of(tmp_path / "dt=2026-11-24", [("t1", "film", "eve", "2026-11-24"), ("t4", "excerpt", "x", None)])
    tuesday = run(rest, monday)
    assert name in groups(tuesday)

    later = night_of(tmp_path / "dt=2026-11-25", [("w1", "film", "eve", "2026-11-25")])
    done = run(later, rest)  # Monday is too long ago

    assert groups(done) == {name: ["t1", "t4", "w1"]}


def test_memberships_name_the_largest_cluster_of_tonights_uploads(monday, tuesday):
    run(monday)
    done = run(tuesday, monday)

    found = read_memberships(tuesday.folder / "clusters.parquet", tuesday.name)

    assert {video_id: one.size for video_id, one in found.items()} == {"t1": 4, "t2": 4, "t3": 2}
    assert [row["video_id"] for row in found["t1"].rows] == ["m1", "m2", "t1", "t2"]
    assert len({one.cluster_id for one in found.values()}) == len(groups(done))
    assert read_memberships(tuesday.folder / "none.parquet", tuesday.name) == {}


def test_a_repost_is_a_signal(monday):
    found = read_memberships_of(run(monday), monday)

    assert found["m1"].signal(40_000) is None
    signal = found["m2"].signal(40_000)
    assert (signal.label, signal.model, signal.form) == ("Copyright/Reupload", "clusters", "Image")
    assert (signal.start_ms, signal.end_ms) == (0, 40_000)
    assert "ann's m1 came first" in signal.detail


def read_memberships_of(done, night):
    assert done.rows
    return read_memberships(night.folder / "clusters.parquet", night.name)


def test_a_killed_run_goes_on_from_its_vectors(monday, monkeypatch):
    monkeypatch.setattr(module, "nominate", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run(monday)
    monkeypatch.undo()
    described = []
    monkeypatch.setattr(module, "clip_of", lambda one: described.append(one))

    assert list(groups(run(monday)).values()) == [["m1", "m2"]]
    assert described == []

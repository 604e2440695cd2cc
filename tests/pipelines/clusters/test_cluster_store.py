"""What a night keeps: vectors there and back, stars, and which contents were compared, written once."""

from __future__ import annotations

import json
from operator import itemgetter
from types import SimpleNamespace

import numpy as np
import pytest

from pipelines.clusters import store as module
from pipelines.clusters.links import Basis, Link, Stretch
from pipelines.clusters.store import MOST_FILES, STATE, Stored, StoredStar
from pipelines.clusters.vector_table import mapped, table_of, vectors_of
from pipelines.clusters.windows import Clip, Vectors

WIDE = 4
LINK = Link((Stretch("Image", 1, 9, 0, 8), Stretch("Audio", 20, 24, 30, 34)), 0.5, Basis.VERIFIED)
STARS = [StoredStar("c1", "dt=1", "a", (0, 8), {"b": LINK, "c": LINK}), StoredStar("c2", "dt=2", "d", (3, 4), {})]


def vectors(first=0, **windows) -> Vectors:
    """So many windows a content, each of them told apart by a number."""
    clips = {}
    for name, count in windows.items():
        numbers = first + np.arange(count)
        rows = np.repeat(numbers[:, None], WIDE, axis=1).astype(np.float16)
        clips[name] = Clip(numbers, numbers + 5, rows, np.full((count, 32), first, np.uint8), numbers % 2 == 0)
    return Vectors.of(clips, WIDE)


def plainly(found: Vectors) -> list[tuple]:
    """In order of contents; rows of one are in order of time."""
    clip = found.clip
    numbers = [row[0] for row in clip.vectors_WD[:].tolist()]
    owners = [found.contents[owner] for owner in found.owner.tolist()]
    columns = (clip.start_ms, clip.end_ms, clip.pdq_WB[:][:, 0], clip.hashed_W, found.whole)
    return sorted(zip(owners, numbers, *(column.tolist() for column in columns), strict=True), key=itemgetter(0))


def test_there_and_back():
    made = vectors(b=3, a=2, none=0, c=1)
    found = vectors_of([table_of(made)], WIDE)
    assert found.contents == ("a", "b", "c", "none")
    assert plainly(found) == plainly(made)


def test_of_a_content_in_several_tables_the_first_counts():
    found = vectors_of([table_of(vectors(10, b=2)), table_of(vectors(20, a=1, b=3)), table_of(vectors(30, a=2))], WIDE)
    assert [(name, number) for name, number, *_ in plainly(found)] == [("a", 20), ("b", 10), ("b", 11)]


def test_files_of_one_night_are_one_table(tmp_path):
    stored = Stored(tmp_path)
    for begin, name in ((0, "m"), (10, "z"), (20, "a")):
        stored.keep_vectors(vectors(begin, **{name: 2}))
    assert [row[:2] for row in plainly(vectors_of(stored.vectors(), WIDE))] == [
        *(("a", 20), ("a", 21), ("m", 0), ("m", 1), ("z", 10), ("z", 11))
    ]


def test_vectors_are_not_copied_but_where_some_do_not_count(tmp_path):
    stored = Stored(tmp_path)
    stored.keep_vectors(vectors(0, m=2, none=0))
    stored.keep_vectors(vectors(10, z=1, m=3, a=2))
    found = vectors_of(stored.vectors(), WIDE)
    mapped, copied = found.clip.vectors_WD.parts
    assert (mapped.flags.owndata, mapped.flags.writeable, len(mapped), len(copied)) == (False, False, 2, 3)
    assert [found.contents[one] for one in found.owner.tolist()] == ["m", "m", "a", "a", "z"]
    assert found.first[[0, 1, 3]].tolist() == [2, 0, 4]


def test_no_table_and_no_content():
    assert len(vectors_of([], WIDE)) == len(vectors_of([table_of(vectors())], WIDE)) == 0


def test_stars_there_and_back(tmp_path):
    stored = Stored(tmp_path)
    assert (stored.stars(), stored.covered()) == ([], None)
    stored.keep_stars(STARS, ["a", "b", "c", "d"], {"b": [1]})
    assert stored.stars() == STARS
    assert stored.covered().stopped == {"b": [1]}
    assert stored.covered().among(["a", "x", "d"]).tolist() == [True, False, True]


def test_a_run_that_adds_writes_only_what_is_new(tmp_path):
    stored = Stored(tmp_path)
    stored.keep_stars(STARS, ["a", "b", "c"], {"b": [1], "c": [2]})
    stored.keep_stars(STARS, ["a", "b", "c", "e"], {"b": [1, 3], "e": [0]}, known=np.array([1, 1, 1, 0], bool))

    files = [tmp_path / name for name in stored.covered().files]
    assert [mapped(path)["content_sha256"].to_pylist() for path in files] == [["a", "b", "c"], ["e", "b", "c"]]
    found = stored.covered()
    assert found.among(["a", "b", "c", "e", "f"]).tolist() == [True] * 4 + [False]
    assert {name: places for name, places in found.stopped.items() if places} == {"b": [1, 3], "e": [0]}

    stored.keep_stars(STARS, ["a", "b", "c", "e"], {"b": [1, 3], "e": [0]}, known=np.ones(4, bool))
    assert stored.covered().files == found.files


def test_contents_that_go_are_compared_again_when_they_come_back(tmp_path):
    stored = Stored(tmp_path)
    stored.keep_stars(STARS, ["a", "b"], {})
    stored.keep_stars(STARS, ["b", "c"], {})
    assert stored.covered().among(["a", "b", "c"]).tolist() == [False, True, True]
    assert len(list(tmp_path.glob("covered-*"))) == 1


def test_clusters_that_stay_are_not_written_again(tmp_path):
    stored = Stored(tmp_path)
    stored.keep_stars(STARS, ["a", "b", "c", "d"], {})
    base = stored.stars()
    more = StoredStar("c1", "dt=1", "a", (0, 8), {"b": LINK})
    stored.keep_stars([base[1], more], ["a", "b", "c", "d"], {}, base)

    assert stored.stars() == [more, base[1]]
    names = json.loads((tmp_path / STATE).read_text())["stars"]
    assert [set(mapped(tmp_path / name)["cluster_id"].to_pylist()) for name in names] == [{"c1", "c2"}, {"c1"}]

    stored.keep_stars(stored.stars()[:1], ["a", "b", "c", "d"], {}, stored.stars())
    assert [one.id for one in stored.stars()] == ["c1"]


def test_many_files_become_one(tmp_path):
    stored = Stored(tmp_path)
    for number in range(MOST_FILES + 1):
        base = stored.stars()
        made = StoredStar(f"c{number}", "dt=1", f"m{number}", (0, 8), {"b": LINK})
        known = np.arange(number + 1) < number
        stored.keep_stars([*base, made], [f"m{one}" for one in range(number + 1)], {}, base, known if number else None)
    assert len(stored.stars()) == MOST_FILES + 1
    assert len(list(tmp_path.glob("stars-*"))) == len(list(tmp_path.glob("covered-*"))) == 1


def test_what_other_versions_kept_is_named(tmp_path):
    (tmp_path / "clusters" / "2-1f00").mkdir(parents=True)
    (tmp_path / "clusters" / "2-1f00" / "stars.parquet").touch()
    (tmp_path / "clusters" / "2-feed").mkdir()
    (tmp_path / "clusters" / "2-feed" / "stars.parquet").touch()
    stored = Stored.of(tmp_path, SimpleNamespace(id="tower@1+1f00"))
    stored.keep_stars(STARS, ["a"], {})
    assert stored.other_formats() == ["2-1f00"]


@pytest.mark.parametrize("at", ["covered", "stars", STATE])
def test_a_run_that_was_killed_leaves_the_state_of_before(tmp_path, monkeypatch, at):
    stored = Stored(tmp_path)
    stored.keep_stars(STARS[:1], ["a"], {})
    base = stored.stars()
    monkeypatch.setattr(module, "write_text" if at == STATE else "write_arrow", _killed_at(at, module.write_arrow))
    with pytest.raises(KeyboardInterrupt):
        stored.keep_stars([*base, STARS[1]], ["a", "b"], {}, base)
    monkeypatch.undo()
    assert stored.covered().among(["a", "b"]).tolist() == [True, False]
    assert stored.stars() == STARS[:1]

    stored.keep_stars([*base, STARS[1]], ["a", "b"], {}, base, np.array([True, False]))
    assert stored.stars() == STARS
    assert len(list(tmp_path.glob("*.arrow"))) == 4  # and what the killed run left behind is gone


def _killed_at(kind, write):
    def wrote(path, rows):
        if path.name.startswith(kind):
            raise KeyboardInterrupt
        write(path, rows)

    return wrote

"""The manifest: every shape of input, every fault as one sentence, ids that are unique and stay what they were."""

from __future__ import annotations

import csv
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_registry.errors import UsageError
from pipelines import tables
from pipelines.manifest import manifest_of_paths, read_manifest
from pipelines.places import local_path_of
from pipelines.rows import MANIFEST


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(here):
    """The one sentence with which an input is refused."""

    def sentence(source: str, content: str | bytes | None = None) -> str:
        if content is not None:
            (here / source).write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(UsageError) as refusal:
            read_manifest(source)
        assert "\n" not in str(refusal.value)
        return str(refusal.value)

    return sentence


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def ids(manifest: pa.Table) -> list[str]:
    return manifest["video_id"].to_pylist()


def read(here: Path, name: str, content: str | bytes) -> list[dict]:
    (here / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    manifest = read_manifest(name)
    assert manifest.schema == MANIFEST
    return manifest.to_pylist()


def parquet(here: Path, **columns) -> pa.Table:
    pq.write_table(pa.table(columns), here / "m.parquet")
    manifest = read_manifest("m.parquet")
    assert manifest.schema == MANIFEST
    return manifest


CSV = "video_id,uri,title,views\n007,/in/a.mp4,Dice,12\n8,s3://b/c.mp4,,\n"
JSONL = '{"video_id": "007", "uri": "/in/a.mp4", "views": 12}\n\n{"uri": "s3://b/c.mp4", "video_id": 8}\n'


class TestTables:
    def test_csv(self, here):
        first, second = read(here, "m.csv", CSV)

        assert (first["video_id"], first["uri"], first["title"], first["views"]) == ("007", "/in/a.mp4", "Dice", 12)
        assert (second["video_id"], second["uri"], second["views"]) == ("8", "s3://b/c.mp4", None)
        assert (first["description"], first["uploader_id"], first["uploaded_at"]) == (None, None, None)

    def test_csv_as_spreadsheets_write_it(self, here):
        text = '\ufeffvideo_id,uri,title\r\n1,/a,"two\nlines, ""quoted"""\r\n\r\n2,/b,"5"" knife"\r\n'

        assert [row["title"] for row in read(here, "M.CSV", text)] == ['two\nlines, "quoted"', '5" knife']

    def test_csv_ids_stay_what_they_look_like(self, here):
        looks = ["007", "1e5", "true", "NA", "null", "2026-11-21", " x ", "１２"]
        rows = read(here, "m.csv", "video_id,uri\n" + "".join(f"{look},/a\n" for look in looks))

        assert [row["video_id"] for row in rows] == looks

    @pytest.mark.parametrize("suffix", ["jsonl", "ndjson", "json"])
    def test_json_lines(self, here, suffix):
        first, second = read(here, f"m.{suffix}", JSONL)

        assert (first["video_id"], first["uri"], first["views"]) == ("007", "/in/a.mp4", 12)
        assert (second["video_id"], second["uri"], second["views"]) == ("8", "s3://b/c.mp4", None)

    def test_json_ids_that_look_like_times_stay_what_they_are(self, here):
        line = '{"video_id": "2026-11-21", "uri": "/a", "uploaded_at": "2026-11-21T10:00:00Z", "views": 3.0}'
        (row,) = read(here, "m.jsonl", line)

        assert (row["video_id"], row["uploaded_at"], row["views"]) == ("2026-11-21", "2026-11-21T10:00:00Z", 3)

    def test_parquet(self, here):
        manifest = parquet(here, uri=["/a", "/b"], video_id=["x", "y"], views=pa.array([1, None], pa.int32()))

        assert ids(manifest) == ["x", "y"]
        assert manifest["views"].to_pylist() == [1, None]

    @pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.int32(), pa.dictionary(pa.int8(), pa.int64())])
    def test_whole_numbers_as_ids(self, here, kind):
        assert ids(parquet(here, video_id=pa.array([7, 2**31 - 1], kind), uri=["/a", "/b"])) == ["7", "2147483647"]

    @pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
    def test_texts_of_all_kinds(self, here, kind):
        assert ids(parquet(here, video_id=pa.array(["007"], kind), uri=["/a"])) == ["007"]

    @pytest.mark.parametrize("unit", ["s", "ms"])
    def test_a_time_becomes_text(self, here, unit):
        when = pa.array([datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)], pa.timestamp(unit, "UTC"))
        manifest = parquet(here, video_id=["a"], uri=["/a"], uploaded_at=when)

        assert manifest["uploaded_at"][0].as_py().startswith("2026-11-21 10:00:00")

    def test_floats_with_holes_as_views_because_pandas_writes_them(self, here):
        manifest = parquet(here, video_id=["a", "b"], uri=["/a", "/b"], views=[3.0, None])

        assert manifest["views"].to_pylist() == [3, None]

    def test_other_columns_are_ignored(self, here):
        text = "duration,video_id,views_per_day,uri\n3,a,x,/a\n"

        assert list(read(here, "m.csv", text)[0]) == MANIFEST.names

    def test_a_folder_of_parquet_files_is_one_table(self, here):
        (here / "m.parquet").mkdir()
        for name in "ab":
            pq.write_table(pa.table({"video_id": [name], "uri": [f"/{name}"]}), here / "m.parquet" / f"{name}.parquet")

        assert sorted(ids(read_manifest("m.parquet"))) == ["a", "b"]

    def test_a_table_by_its_uri(self, here):
        (here / "my m.csv").write_text(CSV)

        assert ids(read_manifest((here / "my m.csv").as_uri())) == ["007", "8"]

    def test_paths_start_from_the_current_folder(self, here):
        rows = read(here, "m.csv", "video_id,uri\n1,clips/a.mp4\n2,/in/b.mp4\n3,s3://c/d.mp4\n4,./中.mp4\n")

        assert [row["uri"] for row in rows] == [f"{here}/clips/a.mp4", "/in/b.mp4", "s3://c/d.mp4", f"{here}/中.mp4"]

    def test_limit(self, here):
        (here / "m.csv").write_text(CSV)

        assert ids(read_manifest("m.csv", 1)) == ["007"]
        assert ids(read_manifest("m.csv", 99)) == ["007", "8"]

    def test_many_rows_in_blocks(self, here, monkeypatch):
        monkeypatch.setattr(tables, "CHUNK_ROWS", 3)
        rows = read(here, "m.csv", "video_id,uri\n" + "".join(f"{n},/{n}\n" for n in range(10)))

        assert [row["video_id"] for row in rows] == [str(n) for n in range(10)]

    @settings(max_examples=50, deadline=None)
    @given(cells=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
    def test_any_title_survives_csv_and_json(self, cells, tmp_path_factory):
        folder = tmp_path_factory.mktemp("tables")
        with (folder / "m.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("video_id", "uri", "title"), *((n, "/a", c) for n, c in enumerate(cells))])
        lines = [json.dumps({"video_id": n, "uri": "/a", "title": c}) for n, c in enumerate(cells)]
        (folder / "m.jsonl").write_text("\n".join(lines))

        for name in ("m.csv", "m.jsonl"):
            assert read_manifest(str(folder / name))["title"].to_pylist() == cells


class TestFaults:
    def test_a_missing_column(self, refused):
        assert refused("m.csv", "id,uri\n1,/a\n") == "manifest m.csv lacks video_id; its columns are id, uri"
        assert refused("m.jsonl", '{"id": 1}') == "manifest m.jsonl lacks video_id, uri; its columns are id"

    def test_semicolons(self, refused):
        assert refused("m.csv", "video_id;uri\n1;/a\n").endswith("lacks video_id, uri; its columns are video_id;uri")

    def test_an_id_twice(self, refused):
        text = "video_id,uri\nb,/1\na,/2\nb,/3\na,/4\n"

        assert refused("m.csv", text) == "manifest m.csv: video_id 'b' stands in more than one row (2 ids do)"

    @pytest.mark.parametrize("name", ["m.csv", "m.jsonl", "m.json"])
    @pytest.mark.parametrize("content", ["", "\n\n"])
    def test_nothing_in_it(self, refused, name, content):
        assert refused(name, content) == f"manifest {name} is empty, wanted at least one video"

    def test_only_a_header(self, refused):
        assert refused("m.csv", "video_id,uri\n") == "manifest m.csv is empty, wanted at least one video"

    @pytest.mark.parametrize("blank", ["", "   ", "\t", "\u3000"])
    def test_a_blank_id_or_uri(self, refused, blank):
        assert refused("m.csv", f'video_id,uri\na,/1\n"{blank}",/2\n') == "manifest m.csv: video_id is empty in row 2"
        assert refused("m.csv", f'video_id,uri\na,"{blank}"\n') == "manifest m.csv: uri is empty in row 1"

    def test_a_null_id(self, refused):
        text = '{"video_id": "a", "uri": "/1"}\n{"uri": "/2"}'

        assert refused("m.jsonl", text) == "manifest m.jsonl: video_id is empty in row 2"

    @pytest.mark.parametrize("views", ["many", "1.5", "1,000", "99999999999999999999"])
    def test_views_that_are_no_number(self, refused, views):
        said = refused("m.csv", f'video_id,uri,views\na,/1,"{views}"\n')

        assert said.startswith("manifest m.csv: column views is string, wanted int64 (")
        assert views in said

    @pytest.mark.parametrize("value", ["1.5", "true", '["a"]', "{}", "NaN"])
    def test_a_json_id_that_is_neither_text_nor_a_whole_number(self, refused, value, monkeypatch):
        monkeypatch.setattr(tables, "CHUNK_ROWS", 1)
        text = f'{{"video_id": "a", "uri": "/1"}}\n{{"video_id": {value}, "uri": "/2"}}'
        said = refused("m.jsonl", text)

        assert said == f"manifest m.jsonl cannot be read: video_id in row 2 is {value}, wanted text or a whole number"

    @pytest.mark.parametrize(
        "column",
        [
            pa.array([12345678.0]),
            pa.array([True]),
            pa.array([["a"]]),
            pa.array([b"\xff"]),
            pa.array([datetime.now(UTC)]),
        ],
    )
    def test_an_id_column_that_would_not_read_the_same(self, refused, here, column):
        pq.write_table(pa.table({"video_id": column, "uri": ["/a"]}), here / "m.parquet")

        kind = str(column.type).replace("item", "element")  # as Parquet calls what is in a list

        assert refused("m.parquet").startswith(f"manifest m.parquet: column video_id is {kind}, wanted string (")

    @pytest.mark.parametrize(
        ("name", "content", "cause"),
        [
            ("m.parquet", b"PAR1 not really", "cannot be read: "),
            ("m.parquet", b"", "cannot be read: "),
            ("m.csv", b"video_id,uri\n1,\xff\n", "is not UTF-8 text; save it as UTF-8"),
            ("m.csv", "video_id,uri\n1,/a\n2\n", "cannot be read: line 3 has 1 values and the header 2"),
            ("m.csv", 'video_id,uri\n1,"/a\n2,/b\n', "cannot be read: unexpected end of data"),
            ("m.csv", "video_id,uri,uri\n1,/a,/b\n", "cannot be read: column 'uri' stands there more than once"),
            (
                "m.jsonl",
                '[{"video_id": 1}]',
                "cannot be read: line 1 is '[{\"video_id\": 1}]', wanted one JSON object a",
            ),
            (
                "m.jsonl",
                '{"video_id": 1, "uri": "/a"}\n{"vi',
                "cannot be read: line 2 is '{\"vi', wanted one JSON object",
            ),
            ("m.jsonl", '{"video_id": "\\ud800", "uri": "/a"}', "cannot be read: "),
        ],
    )
    def test_a_file_that_is_not_what_its_name_says(self, refused, name, content, cause):
        assert refused(name, content).startswith(f"manifest {name} {cause}")

    def test_a_video_called_csv(self, refused):
        assert (
            refused("m.csv", b"\x00\x00\x00\x18ftypmp42\x00\x00\xff")
            == "manifest m.csv is not UTF-8 text; save it as UTF-8"
        )

    def test_a_table_that_is_not_there(self, refused):
        assert refused("no.csv") == "manifest no.csv cannot be read: No such file or directory"

    def test_a_store_nobody_knows(self, refused):
        assert refused("nowhere://bucket/m.csv").startswith("manifest nowhere://bucket/m.csv cannot be read: ")

    def test_columns_that_stand_twice_in_parquet(self, refused, here):
        pq.write_table(pa.table([["a"], ["b"], ["/a"]], names=["video_id", "video_id", "uri"]), here / "m.parquet")

        assert refused("m.parquet") == "manifest m.parquet has more than one column video_id"


class TestFolders:
    def test_ids_are_relative_and_in_order(self, here):
        make(here / "in", "b.mp4", "a.mp4", "sub/c.mp4", "sub/deep/d.mp4", "another/e.mp4")
        manifest = manifest_of_paths(["in"])

        assert ids(manifest) == ["a.mp4", "b.mp4", "another/e.mp4", "sub/c.mp4", "sub/deep/d.mp4"]
        assert manifest["uri"].to_pylist() == [str(here / "in" / name) for name in ids(manifest)]

    def test_hidden_files_and_folders_are_left_out(self, here):
        make(here / "in", "a.mp4", ".hidden.mp4", ".cache/b.mp4")

        assert ids(manifest_of_paths(["in"])) == ["a.mp4"]

    def test_links_to_files_count_links_to_folders_do_not(self, here):
        make(here, "in/a.mp4", "else/b.mp4")
        (here / "in" / "link.mp4").symlink_to(here / "else" / "b.mp4")
        (here / "in" / "broken.mp4").symlink_to(here / "nowhere")
        (here / "in" / "folder").symlink_to(here / "else")
        (here / "in" / "loop").symlink_to(here / "in")

        assert ids(manifest_of_paths(["in"])) == ["a.mp4", "broken.mp4", "link.mp4"]

    @pytest.mark.timeout(20)
    def test_a_pipe_is_listed_and_not_opened(self, here):
        (here / "in").mkdir()
        os.mkfifo(here / "in" / "pipe.mp4")

        assert ids(manifest_of_paths(["in"])) == ["pipe.mp4"]

    def test_an_empty_folder(self, refused, here):
        make(here, "in/.hidden.mp4")

        assert refused("in") == "input in is empty, wanted at least one video"

    def test_a_folder_that_cannot_be_read(self, here, monkeypatch):
        make(here, "in/sub/a.mp4", "in/b.mp4")
        listed = os.scandir

        def refuse(path):
            if str(path).endswith("sub"):
                raise PermissionError(13, "Permission denied", path)
            return listed(path)

        monkeypatch.setattr(os, "scandir", refuse)
        with pytest.raises(UsageError, match="folder in/sub cannot be read: Permission denied"):
            manifest_of_paths(["in"])

    def test_two_folders_with_the_same_names_in_them(self, here):
        make(here, "one/a.mp4", "one/b.mp4", "two/a.mp4")

        assert ids(manifest_of_paths(["one", "two/"])) == ["one/a.mp4", "b.mp4", "two/a.mp4"]

    def test_where_that_name_is_taken_too_the_whole_path_stands(self, here):
        make(here, "one/a.mp4", "two/a.mp4", "three/one/a.mp4")
        names = ids(manifest_of_paths(["one", "two", "three"]))

        assert names == [f"{here}/one/a.mp4", "two/a.mp4", f"{here}/three/one/a.mp4"]

    def test_a_folder_called_like_a_table_is_a_folder(self, here):
        make(here, "films.csv/a.mp4")

        assert ids(read_manifest("films.csv")) == ["a.mp4"]

    def test_a_hundred_thousand_names_are_compared_in_seconds(self, here, monkeypatch):
        names = [f"{n}.mp4" for n in range(50_000)]
        monkeypatch.setattr("pipelines.manifest.files_below", lambda _: names)
        (here / "one").mkdir()
        (here / "two").mkdir()

        assert len(set(ids(manifest_of_paths(["one", "two"])))) == 100_000


class TestNames:
    @pytest.mark.parametrize(
        "name", ["two\nlines.mp4", "片 段.mp4", "a[1].mp4", "*.mp4", "a?.mp4", "100%.mp4", "a#b.mp4"]
    )
    def test_strange_names_are_files_like_others(self, here, name):
        make(here, f"in/{name}", "in/a1.mp4")

        for given_as in ("in", f"in/{name}"):
            manifest = manifest_of_paths([given_as])
            found = {row["video_id"]: row["uri"] for row in manifest.to_pylist()}
            assert name in {Path(video_id).name for video_id in found}
            assert all(local_path_of(uri).is_file() for uri in found.values())
        assert len(found) == 1, "a name that exists is no pattern"

    def test_a_name_that_is_not_utf8(self, here):
        make(here, "in/a.mp4")
        raw = os.fsencode(here / "in") + b"/\xe9\xff.mp4"
        with open(raw, "wb"):
            pass
        table = manifest_of_paths(["in"]).to_pylist()

        assert [row["video_id"] for row in table] == ["a.mp4", "\\xe9\\xff.mp4"]
        assert table[1]["uri"] == f"file://{here}/in/%E9%FF.mp4"
        assert os.fsencode(local_path_of(table[1]["uri"])) == raw
        assert manifest_of_paths([os.fsdecode(raw)])["uri"].to_pylist() == [table[1]["uri"]]

    def test_a_name_that_is_spelt_as_another_is_shown(self, here):
        make(here, "in/\\xff.mp4")
        with open(os.fsencode(here / "in") + b"/\xff.mp4", "wb"):
            pass

        assert sorted(ids(manifest_of_paths(["in"]))) == [f"{here}/in/\\xff.mp4", f"file://{here}/in/%FF.mp4"]

    @settings(max_examples=60, deadline=None)
    @given(name=st.binary(min_size=1, max_size=20))
    def test_any_name_a_disk_can_hold_leads_back_to_its_file(self, name, tmp_path_factory):
        folder = tmp_path_factory.mktemp("in")
        raw = os.fsencode(folder) + b"/v" + name.replace(b"\0", b"").replace(b"/", b"")
        with open(raw, "wb"):
            pass
        (row,) = manifest_of_paths([str(folder)]).to_pylist()

        assert os.fsencode(local_path_of(row["uri"])) == raw
        assert manifest_of_paths([os.fsdecode(raw)])["uri"].to_pylist() == [row["uri"]]


class TestPaths:
    def test_a_file_is_called_as_it_was_given(self, here):
        make(here, "in/a.mp4")
        names = ["in/a.mp4", f"{here}/in/a.mp4", "./in/a.mp4"]

        assert [ids(manifest_of_paths([name])) for name in names] == [[name] for name in names]

    def test_a_uri_is_called_as_it_was_given(self):
        table = manifest_of_paths(["s3://b/a.mp4", "https://x/y?z=1"]).to_pylist()

        assert [(row["video_id"], row["uri"]) for row in table] == [
            ("s3://b/a.mp4", "s3://b/a.mp4"),
            ("https://x/y?z=1", "https://x/y?z=1"),
        ]

    @pytest.mark.parametrize(
        "given_twice",
        [["in/a.mp4", "in/a.mp4"], ["in/a.mp4", "./in/a.mp4"], ["in/a.mp4", "in"], ["in/a.mp4", "in/*"]],
    )
    def test_a_file_given_twice_is_one_row_under_its_first_name(self, here, given_twice):
        make(here, "in/a.mp4")

        assert ids(manifest_of_paths(given_twice)) == ["in/a.mp4"]

    def test_a_uri_given_twice(self):
        assert ids(manifest_of_paths(["s3://b/a", "s3://b/a"])) == ["s3://b/a"]

    def test_a_glob(self, here):
        make(here, "in/b.mp4", "in/a.mp4", "in/c.mov", "in/sub/d.mp4")

        assert ids(manifest_of_paths(["in/*.mp4"])) == ["in/a.mp4", "in/b.mp4"]
        assert ids(read_manifest("in/**/*.mp4")) == ["in/a.mp4", "in/b.mp4", "in/sub/d.mp4"]

    def test_a_glob_that_finds_folders_and_what_is_in_them_lists_each_file_once(self, here):
        make(here, "in/a.mp4", "in/sub/b.mp4")

        assert ids(manifest_of_paths(["in/**"])) == ["a.mp4", "sub/b.mp4"]

    @pytest.mark.parametrize("path", ["no.mp4", "*.mp4", "", "in/[", "x" * 5000])
    def test_what_is_not_there(self, refused, path):
        assert refused(path) == f"{path!r} is no file, folder or URI, and no file matches it"

    def test_one_that_is_missing_among_others(self, here):
        make(here, "a.mp4")
        with pytest.raises(UsageError, match=r"'b\.mp4' is no file"):
            manifest_of_paths(["a.mp4", "b.mp4"])

    def test_limit(self, here):
        make(here, "a.mp4", "b.mp4")

        assert ids(manifest_of_paths(["."], 1)) == ["a.mp4"]

    def test_an_error_does_not_repeat_a_thousand_paths(self, here):
        (here / "empty").mkdir()
        with pytest.raises(UsageError, match=r"^input empty, empty, empty, … is empty"):
            manifest_of_paths(["empty"] * 1000)

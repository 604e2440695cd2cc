"""The bank's commands as a user calls them: what is printed, what is kept, and one sentence for a wrong call."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import bank_add, cli
from pipelines.copyright.bank.bank import Bank
from pipelines.copyright.bank.reference import State
from pipelines.copyright.fingerprint import Fingerprint
from pipelines.decode.limits import Limits
from pipelines.rows import CONTENTS, MediaError
from pipelines.storage import content_hash
from tests.pipelines.copyright.bank_writer import fingerprint, space


@dataclass
class FakeDescribe:
    """Fingerprints that follow from a file's text; those called `broken` end early, those called `noise` at once."""

    seen: list[str] = field(default_factory=list)
    after_each: Callable[[], None] = lambda: None

    def describe(self, contents, bundle, space, sampling, limits, machines, staging, advance) -> Iterator[tuple]:
        assert contents.schema.names == ["content_sha256", "uri", "bytes"]
        assert staging.is_dir()
        for row in contents.to_pylist():
            self.seen.append(Path(row["uri"]).name)
            (staging / row["content_sha256"]).write_text("a piece")
            advance(pa.table({"last": [True]}))
            yield row["content_sha256"], *self.outcome(Path(row["uri"]).read_text())
            self.after_each()

    def outcome(self, text: str) -> tuple[Fingerprint, str | None, str | None]:
        if "noise" in text:
            return replace(fingerprint(0), duration_ms=0), "not_media", "no decoder can read it"
        if "broken" in text:
            return fingerprint(3), "truncated", "the file ends after 3 s"
        return fingerprint(len(text)), None, None


@pytest.fixture
def described(monkeypatch) -> FakeDescribe:
    """Everything of `bank add` but Ray and the models."""
    fake = FakeDescribe()
    module = ModuleType("pipelines.copyright.describe")
    module.describe = fake.describe
    monkeypatch.setitem(sys.modules, module.__name__, module)
    bundle = SimpleNamespace(
        id="fake@1+0", models=(), name="fake", frame_side=8, tower=SimpleNamespace(source="fake_tower@1")
    )
    monkeypatch.setattr(bank_add, "pin", lambda *_, **__: bundle)
    monkeypatch.setattr(bank_add, "shipped_space", lambda tower: space(tower))
    monkeypatch.setattr(bank_add, "hash_contents", plain_hashes)
    monkeypatch.setattr(bank_add.session, "workers", lambda: nullcontext({"CPU": 2.0}))
    return fake


def plain_hashes(manifest, known, limits, advance) -> pa.Table:
    assert known.parent.is_dir()
    rows = []
    for row in manifest.to_pylist():
        try:
            sha256, size = content_hash(row["uri"], Limits())
            rows.append(row | {"content_sha256": sha256, "bytes": size})
        except MediaError as error:
            rows.append(row | {"error_code": error.code.value, "error_message": str(error)})
    advance(manifest)
    return pa.Table.from_pylist(rows, CONTENTS)


@pytest.fixture
def films(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "films").mkdir()
    for name in ("a", "bb", "ccc"):
        (tmp_path / "films" / f"{name}.mp4").write_text(f"the film {name}")
    return tmp_path / "films"


def nightjar(capsys, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(["bank", *map(str, arguments)])
    shown = capsys.readouterr()
    return int(end.value.code or 0), shown.out, shown.err


def add(capsys, *arguments: object) -> dict[str, tuple[str, str | None]]:
    """Add, and return what became of each path."""
    status, shown, _ = nightjar(capsys, "add", *arguments, "--bank", "bank", "--json")
    assert status == 0
    rows = [json.loads(line) for line in shown.splitlines()]
    return {row["path"]: (row["outcome"], row["note"]) for row in rows}


def references() -> dict[str, object]:
    return {ref.id: ref for ref in Bank.open(Path("bank")).references()}


class TestAdd:
    def test_a_folder(self, films, described, capsys):
        status, shown, _ = nightjar(capsys, "add", "films", "--bank", "bank", "--kind", "show")

        assert status == 0
        assert [line.split()[:2] for line in shown.splitlines()] == [
            ["outcome", "id"], ["added", "a"], ["added", "bb"], ["added", "ccc"]
        ]  # fmt: skip
        found = references()
        assert {name: (ref.kind, ref.title, ref.uri) for name, ref in found.items()} == {
            name: ("show", name, str(films / f"{name}.mp4")) for name in ("a", "bb", "ccc")
        }
        number = len("the film a")
        back = Bank.open(Path("bank")).fingerprint(found["a"].content_sha256)
        assert np.array_equal(back.descriptors_ND, fingerprint(number).descriptors_ND)
        assert found["a"].duration_ms == fingerprint(number).duration_ms

    def test_again_looks_at_nothing(self, films, described, capsys):
        add(capsys, "films")
        version = Bank.open(Path("bank")).version
        nightjar(capsys, "disable", "bb", "--bank", "bank")

        (films / "d.mp4").write_text("another")
        assert add(capsys, "films") == {
            "a.mp4": ("known", None),
            "bb.mp4": ("known", "it is disabled"),
            "ccc.mp4": ("known", None),
            "d.mp4": ("added", None),
        }
        assert described.seen == ["a.mp4", "bb.mp4", "ccc.mp4", "d.mp4"]
        assert Bank.open(Path("bank")).version != version

    def test_metadata_names_and_later_changes(self, films, described, capsys):
        Path("refs.csv").write_text("path,id,owner,kind,licences\nfilms/a.mp4,alpha,Studio,music,US:2025-01-01..\n")
        add(capsys, "films", "--metadata", "refs.csv", "--kind", "show")
        found = references()
        assert (found["alpha"].owner, found["alpha"].kind, str(found["alpha"].licences[0])) == (
            "Studio",
            "music",
            "US:2025-01-01..",
        )
        assert found["bb"].kind == "show"

        Path("refs.csv").write_text("path,id,title,licences\nfilms/a.mp4,alpha,Alpha,none\n")
        assert add(capsys, "--metadata", "refs.csv") == {str(films / "a.mp4"): ("updated", None)}
        told = references()["alpha"]
        assert (told.title, told.owner, told.kind, told.licences) == ("Alpha", "Studio", "music", ())
        assert len(described.seen) == 3

    def test_rows_for_no_file_are_told(self, films, described, capsys):
        Path("refs.csv").write_text("path,title\nfilms/typo.mp4,A\n")
        _, _, error = nightjar(capsys, "add", "films", "--metadata", "refs.csv", "--bank", "bank")

        assert f"1 rows of refs.csv are for no file given, the first {films / 'typo.mp4'}" in error

    def test_what_cannot_be_read_is_told_and_not_added(self, films, described, capsys):
        (films / "empty.mp4").write_text("")
        (films / "noise.mp4").write_text("noise")
        (films / "torn.mp4").write_text("broken")

        outcomes = add(capsys, "films")
        assert outcomes["empty.mp4"] == ("unreadable", "empty_file: the file has no bytes")
        assert outcomes["noise.mp4"] == ("unreadable", "not_media: no decoder can read it")
        assert outcomes["torn.mp4"] == ("added", "incomplete: truncated: the file ends after 3 s")
        assert references().keys() == {"a", "bb", "ccc", "torn"}
        torn = references()["torn"]
        assert (torn.complete, torn.error_code, torn.error_message) == (False, "truncated", "the file ends after 3 s")

    def test_the_same_content_twice(self, films, described, capsys):
        (films / "z.mp4").write_text("the film a")
        outcomes = add(capsys, "films")

        assert outcomes["z.mp4"] == ("refused", "the content of 'z' is that of 'a'")
        assert add(capsys, "films/z.mp4")["films/z.mp4"] == ("refused", "the content of 'z' is that of 'a'")

    def test_another_content_under_a_known_id(self, films, described, capsys):
        add(capsys, "films")
        (films / "a.mp4").write_text("the film a, cut anew")

        outcome, note = add(capsys, "films")["a.mp4"]
        assert (outcome, note) == (
            "refused",
            "'a' is in the bank with another content; remove that one or choose another id",
        )

    def test_killed_and_repeated(self, films, described, capsys, monkeypatch):
        monkeypatch.setattr(bank_add, "BATCH", 1)
        described.after_each = stop
        status, _, _ = nightjar(capsys, "add", "films", "--bank", "bank")
        assert status == 130
        assert references().keys() == {"a"}
        (staging,) = Path("bank/staging").iterdir()

        described.after_each = lambda: None
        assert set(add(capsys, "films").values()) == {("known", None), ("added", None)}
        assert described.seen == ["a.mp4", "bb.mp4", "ccc.mp4"]
        assert not staging.exists()

    def test_another_add_was_first(self, films, described, capsys):
        def meanwhile() -> None:
            if len(described.seen) == 1:
                bank = Bank.open(Path("bank"))
                sha256, _ = content_hash(str(films / "bb.mp4"), Limits())
                bank.add(bank_add.Reference(id="theirs", content_sha256=sha256), fingerprint(1))

        described.after_each = meanwhile
        assert add(capsys, "films") == {
            "a.mp4": ("added", None),
            "bb.mp4": ("refused", "the content of 'bb' is that of 'theirs'"),
            "ccc.mp4": ("added", None),
        }
        assert references().keys() == {"a", "ccc", "theirs"}


def stop() -> None:
    raise KeyboardInterrupt


class TestStates:
    @pytest.fixture(autouse=True)
    def _bank(self, films, described, capsys) -> None:
        add(capsys, "films")

    def test_disable_list_enable(self, capsys):
        status, shown, _ = nightjar(capsys, "disable", "a", "bb", "--bank", "bank", "--reason", "under review")
        assert (status, shown) == (0, "now disabled: a, bb\n")
        assert nightjar(capsys, "disable", "a", "--bank", "bank", "--reason", "under review")[1] == (
            "disabled as before: a\n"
        )

        _, shown, _ = nightjar(capsys, "list", "--bank", "bank", "--state", "disabled", "--json")
        assert [(row["id"], row["reason"]) for row in map(json.loads, shown.splitlines())] == [
            ("a", "under review"),
            ("bb", "under review"),
        ]
        assert nightjar(capsys, "enable", "a", "--trust", "--bank", "bank")[1] == "now active: a\n"
        _, table, _ = nightjar(capsys, "list", "--bank", "bank")
        assert [line.split()[:3] for line in table.splitlines()] == [
            ["id", "kind", "state"],
            ["a", "film", "active"],
            ["bb", "film", "disabled"],
            ["ccc", "film", "active"],
        ]
        assert "trusted" in table

    def test_enable_releases_from_quarantine(self, capsys):
        Bank.open(Path("bank")).set_state(["a"], State.QUARANTINED, "it matched too much")

        assert "it matched too much" in nightjar(capsys, "list", "--bank", "bank")[1]
        assert nightjar(capsys, "enable", "a", "--bank", "bank")[1] == "now active: a\n"
        assert not references()["a"].trusted

    def test_remove_and_add_again(self, capsys):
        assert nightjar(capsys, "remove", "a", "--bank", "bank")[1] == "removed: a\n"
        assert references().keys() == {"bb", "ccc"}
        assert add(capsys, "films")["a.mp4"] == ("added", None)

    def test_list_by_kind(self, capsys):
        assert nightjar(capsys, "list", "--bank", "bank", "--kind", "music", "--json")[1] == ""
        assert len(nightjar(capsys, "list", "--bank", "bank", "--kind", "film", "--json")[1].splitlines()) == 3

    def test_stats(self, capsys):
        _, shown, _ = nightjar(capsys, "stats", "--bank", "bank", "--json")
        stats = json.loads(shown)
        assert stats["references"] == {"film": {"active": 3}}
        assert stats["version"] == Bank.open(Path("bank")).version

        _, shown, _ = nightjar(capsys, "stats", "--bank", "bank")
        assert "film         3 active\n" in shown
        assert f"descriptors  {stats['frames']} of 4 numbers\n" in shown

    def test_export_and_read_back(self, capsys):
        status, _, said = nightjar(
            capsys, "export", "out/refs.csv", "--bank", "bank", "--fingerprints", "out/prints.parquet"
        )
        assert status == 0
        assert "3 references: out/refs.csv" in said
        rows = list(csv.DictReader(Path("out/refs.csv").read_text().splitlines()))
        assert [(row["id"], row["licences"], row["state"]) for row in rows] == [
            (name, "none", "active") for name in ("a", "bb", "ccc")
        ]
        prints = pq.read_table("out/prints.parquet")
        first = prints.to_pylist()[0]
        wanted = fingerprint(len("the film a"))
        assert first["id"] == "a"
        assert np.array_equal(np.frombuffer(first["descriptors"], "<f2").reshape(-1, 4), wanted.descriptors_ND)
        assert first["frame_ms"] == wanted.frame_ms.tolist()
        assert prints.schema.metadata[b"space"].decode() == space().id

        edited = Path("out/refs.csv").read_text().replace(",film,none", ",film,JP", 1)
        Path("edited.csv").write_text(edited)
        outcomes = add(capsys, "--metadata", "edited.csv")
        assert sorted(outcome for outcome, _ in outcomes.values()) == ["known", "known", "updated"]
        assert references()["a"].licensed("JP", date(2025, 1, 1))

    def test_export_parquet(self, capsys):
        nightjar(capsys, "export", "refs.parquet", "--bank", "bank")

        assert pq.read_table("refs.parquet")["id"].to_pylist() == ["a", "bb", "ccc"]
        assert not list(Path().glob("*.part"))

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            (("remove", "aa", "--bank", "bank"), "bank bank has no reference 'aa'; near: a"),
            (("disable", "zebra", "--bank", "bank"), "no reference 'zebra'"),
            (("list", "--bank", "nowhere"), "nowhere is no bank: it has no bank.json; `nightjar bank add` makes one"),
            (("list", "--bank", "films"), "films is no bank"),
            (("list", "--bank", "bank", "--kind", "movie"), "invalid choice: 'movie'"),
            (("export", "refs.xlsx", "--bank", "bank"), "its name ends in '.xlsx'; allowed: .parquet, .csv"),
            (("export", "r.csv", "--bank", "bank", "--fingerprints", "f.csv"), "'.csv'; allowed: .parquet"),
            (("add", "films"), "--bank"),
            (("add", "--bank", "bank"), "no PATH is given and no --metadata that lists any"),
            (("add", "nowhere.mp4", "--bank", "bank"), "'nowhere.mp4' is no file, folder or URI"),
            (("add", "films", "--bank", "films"), "films is no bank and not empty: it has a.mp4"),
            (("add", "films", "--bank", "bank", "--bundle", "huge"), "there is no bundle 'huge'"),
            (("add", "films", "--bank", "bank", "--interval", "0"), "0 is not between 0.01 and 3600 seconds"),
            (("add", "films", "--bank", "bank", "--metadata", "none.csv"), "none.csv cannot be read"),
            ((), "VERB"),
            (("frobnicate",), "invalid choice: 'frobnicate'"),
        ],
    )
    def test_a_wrong_call_is_one_sentence(self, capsys, arguments, complaint):
        status, shown, error = nightjar(capsys, *arguments)

        assert status == 2
        assert shown == ""
        assert complaint in error
        assert error.count("\n") == 1
        assert len(references()) == 3


class TestWrongAdds:
    def test_two_files_with_one_id(self, films, described, capsys):
        (films / "a.webm").write_text("another")
        status, _, error = nightjar(capsys, "add", "films", "--bank", "bank")

        assert status == 2
        assert error == "nightjar bank: a.mp4 and a.webm would both be 'a'; give them ids with --metadata\n"
        assert not Path("bank").exists()

    def test_a_bad_row(self, films, described, capsys):
        Path("refs.csv").write_text("path,kind\nfilms/a.mp4,movie\n")
        status, _, error = nightjar(capsys, "add", "films", "--bank", "bank", "--metadata", "refs.csv")

        assert (status, error) == (
            2,
            "nightjar bank: metadata refs.csv, row 2: kind is 'movie'; "
            "allowed: film, show, music, known_bad, creator, negative\n",
        )

    def test_a_tower_without_a_space(self, films, described, capsys, monkeypatch):
        monkeypatch.setattr(bank_add, "shipped_space", lambda _: None)
        status, _, error = nightjar(capsys, "add", "films", "--bank", "bank")

        assert status == 2
        assert "no descriptor space ships for fake_tower@1" in error
        assert "`nightjar bank fit VIDEOS --bank bank --bundle" in error
        assert not Path("bank").exists()

    def test_a_bank_of_another_tower(self, films, described, capsys):
        Bank.create(Path("bank"), space("clip@1"))
        status, _, error = nightjar(capsys, "add", "films", "--bank", "bank")

        assert status == 2
        assert "come from clip@1 and these from fake_tower@1" in error


@pytest.mark.parametrize("verb", ["add", "remove", "disable", "enable", "list", "stats", "export"])
def test_every_verb_has_help_with_examples(verb, capsys):
    status, shown, _ = nightjar(capsys, verb, "--help")

    assert status == 0
    assert f"examples:\n  nightjar bank {verb} " in shown


def test_listing_imports_neither_torch_nor_ray(tmp_path):
    Bank.create(tmp_path / "bank", space())
    code = (
        "import sys\nfrom jobs import cli\n"
        "try: cli.main(sys.argv[1:])\nexcept SystemExit: print(sorted({'torch', 'ray'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, "bank", "list", "--bank", str(tmp_path / "bank"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert done.stdout == "[]\n", done.stderr

"""Looking through a bank: the right references in the right order, and nothing heavy is read for it."""

from __future__ import annotations

import csv
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs import bank_list, cli
from model_registry.errors import NightjarError
from pipelines.copyright.bank import browse
from pipelines.copyright.bank.bank import Bank
from pipelines.copyright.bank.browse import Selection
from pipelines.copyright.bank.export import export_fingerprints, export_references
from pipelines.copyright.bank.folder import FINGERPRINTS
from pipelines.copyright.bank.reference import Kind, State
from tests.pipelines.copyright.bank_writer import fingerprint, reference, space

KINDS = {i: [*Kind][i % 4] for i in range(20)}


@pytest.fixture
def bank(tmp_path) -> Bank:
    """Twenty references, r0 to r19, in an order that is not that of their ids; r3 and r8 disabled, r5 removed."""
    bank = Bank.create(tmp_path / "bank", space())
    for some in (range(10, 20), range(10)):
        bank.add_all([(reference(i, owner="Zoë Films" if i == 7 else "Studio"), fingerprint(i)) for i in some])
    bank.set_state(["r3", "r8"], State.DISABLED, "under review")
    bank.remove(["r5"])
    return bank


def plain(bank: Bank, selection: Selection) -> list[str]:
    """The slow, obvious way."""
    found = sorted(bank.references(), key=lambda ref: ref.id)
    kept = [
        ref.id
        for ref in found
        if selection.kind in (None, ref.kind)
        and selection.state in (None, ref.state)
        and (selection.after is None or ref.id > selection.after)
        and (
            selection.text is None
            or any(selection.text.lower() in each.lower() for each in (ref.id, ref.title, ref.owner, ref.uri))
        )
    ]
    return kept[: selection.limit]


def ids(bank: Bank, selection: Selection) -> list[str]:
    return [name for rows in bank.reference_tables(selection) for name in rows["id"].to_pylist()]


@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(kind=Kind.MUSIC),
        Selection(state=State.DISABLED),
        Selection(state=State.QUARANTINED),
        Selection(text="TITLE 1"),
        Selection(text="zoë"),
        Selection(text="films/r1"),
        Selection(text="%"),
        Selection(text="r1'"),
        Selection(after="r14", limit=3),
        Selection(limit=1),
        Selection(limit=1000),
        Selection(kind=Kind.FILM, state=State.ACTIVE, text="r", after="r", limit=2),
    ],
)
@pytest.mark.parametrize("rows", [1, 4, 1024])
def test_a_selection_holds_what_the_plain_way_holds(bank, selection, rows, monkeypatch):
    monkeypatch.setattr(browse, "ROWS", rows)

    assert ids(bank, selection) == plain(bank, selection)
    assert bank.count(selection) == len(plain(bank, selection))
    assert all(table.num_rows <= rows for table in bank.reference_tables(selection))


def test_what_is_expected_is_there(bank):
    """So that `plain` cannot be wrong in the same way."""
    assert ids(bank, Selection(state=State.DISABLED)) == ["r3", "r8"]
    assert ids(bank, Selection(text="ZOË")) == ["r7"]
    assert ids(bank, Selection(after="r17", limit=3)) == ["r18", "r19", "r2"]
    assert ids(bank, Selection(text="%")) == []
    later = datetime.now(UTC) + timedelta(days=1)
    assert ids(bank, Selection(changed_since=later)) == []
    assert len(ids(bank, Selection(changed_since=later - timedelta(days=2)))) == 19


def test_pages_one_after_the_other_are_the_whole(bank):
    pages: list[str] = []
    while page := ids(bank, Selection(after=pages[-1] if pages else None, limit=4)):
        pages += page

    assert pages == ids(bank, Selection())


def test_an_empty_bank(tmp_path):
    bank = Bank.create(tmp_path / "bank", space())

    assert (ids(bank, Selection()), bank.count(), bank.stats().references) == ([], 0, {})
    assert export_references(bank, tmp_path / "out.parquet") == export_fingerprints(bank, tmp_path / "f.parquet") == 0
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


class TestNothingHeavyIsRead:
    def test_list_export_and_disable_need_no_fingerprint(self, bank, tmp_path):
        """Their files are gone: whatever looked into one would fail."""
        shutil.rmtree(bank.folder / FINGERPRINTS / "data")
        opened = Bank.open(bank.folder)

        assert len(ids(opened, Selection())) == opened.count() == 19
        assert export_references(opened, tmp_path / "refs.csv") == 19
        assert export_references(opened, tmp_path / "refs.parquet") == 19
        assert opened.set_state(["r1"], State.DISABLED) == ["r1"]
        with pytest.raises(NightjarError, match=f"{FINGERPRINTS} cannot be used"):
            opened.stats()

    def test_stats_read_sizes_alone(self, tmp_path):
        """Counted by the kernel: bytes that this process read, against those of one fingerprint."""
        bank = Bank.create(tmp_path / "bank", space())
        bank.add_all([(reference(i), fingerprint(i, frames=20_000)) for i in range(3)])
        heavy = sum(path.stat().st_size for path in (bank.folder / FINGERPRINTS).rglob("*.lance"))
        opened = Bank.open(bank.folder)
        before = bytes_read()
        stats = opened.stats()
        by_stats = bytes_read() - before
        list(opened.fingerprint_tables(opened.ids()))
        by_match = bytes_read() - before - by_stats

        assert stats.frames == 3 * 40_000
        assert heavy > 4 << 20
        assert by_match > heavy / 2, "else the kernel's count says nothing"
        assert by_stats < heavy / 20

    def test_a_fingerprint_that_nobody_needs_does_not_count(self, bank):
        before = bank.stats()
        bank._write_fingerprints([("f" * 64, fingerprint(6))])

        assert Bank.open(bank.folder).stats().frames == before.frames

    def test_a_reference_without_its_fingerprint_is_told(self, bank):
        bank._fingerprints.delete("frames > 0")

        with pytest.raises(NightjarError, match=r"has fingerprints of \d+ of its 19 references, wanted all"):
            Bank.open(bank.folder).stats()


def bytes_read() -> int:
    """By this process from files, cached or not (proc(5), rchar)."""
    return int(Path("/proc/self/io").read_text().split()[1])


class TestExport:
    @pytest.mark.parametrize("rows", [1, 7, 1024])
    def test_some_at_a_time_is_the_whole(self, bank, tmp_path, monkeypatch, rows):
        monkeypatch.setattr(browse, "ROWS", rows)
        assert export_references(bank, tmp_path / "refs.csv") == export_references(bank, tmp_path / "r.parquet") == 19

        by_csv = list(csv.DictReader((tmp_path / "refs.csv").read_text("utf-8").splitlines()))
        found = pq.read_table(tmp_path / "r.parquet")
        assert [row["id"] for row in by_csv] == found["id"].to_pylist() == ids(bank, Selection())
        assert found.schema.remove_metadata().equals(bank._references.schema.remove_metadata())
        assert by_csv[1]["licences"] == "US:2025-01-01..;*"

    @pytest.mark.parametrize("batch_bytes", [1, 8 << 20])
    def test_fingerprints_some_at_a_time(self, bank, tmp_path, monkeypatch, batch_bytes):
        monkeypatch.setattr("pipelines.copyright.bank.export.BATCH_BYTES", batch_bytes)
        assert export_fingerprints(bank, tmp_path / "f.parquet") == 19

        rows = {row["id"]: row for row in pq.read_table(tmp_path / "f.parquet").to_pylist()}
        assert rows.keys() == set(ids(bank, Selection()))
        assert all(rows[f"r{i}"]["descriptors"] == fingerprint(i).descriptors_ND.tobytes() for i in range(6, 20))


class TestCommand:
    def call(self, capsys, bank: Bank, *words: str) -> tuple[list[str], str]:
        with pytest.raises(SystemExit) as end:
            cli.main(["bank", "list", "--bank", str(bank.folder), *words])
        shown = capsys.readouterr()
        assert end.value.code in (0, None)
        return shown.out.splitlines(), shown.err

    def test_a_long_table_says_where_it_goes_on(self, bank, capsys, monkeypatch):
        monkeypatch.setattr(bank_list, "ROWS", 4)
        lines, said = self.call(capsys, bank)

        assert [line.split()[0] for line in lines] == ["id", "r0", "r1", "r10", "r11"]
        assert "4 of 19 references; the next: --after r11, all: --json" in said
        assert len(self.call(capsys, bank, "--json")[0]) == 19

    def test_a_page(self, bank, capsys):
        lines, said = self.call(capsys, bank, "--after", "r11", "--limit", "2", "--kind", "film")

        assert [line.split()[0] for line in lines] == ["id", "r12", "r16"]
        assert "2 of 4 references" in said
        assert "references" not in self.call(capsys, bank, "--after", "r16", "--kind", "film")[1]

    def test_search(self, bank, capsys):
        lines, _ = self.call(capsys, bank, "--search", "zoë", "--json")

        assert [json.loads(line)["owner"] for line in lines] == ["Zoë Films"]

    @pytest.mark.parametrize("limit", ["0", "-1", "many"])
    def test_a_limit_that_is_none(self, bank, capsys, limit):
        with pytest.raises(SystemExit) as end:
            cli.main(["bank", "list", "--bank", str(bank.folder), "--limit", limit])

        assert end.value.code == 2
        assert f"{limit!r} is no whole number from 1 on" in capsys.readouterr().err

    def test_lines_are_printed_as_they_are_read(self, bank, monkeypatch):
        """No row is read before the ones before it were taken."""
        monkeypatch.setattr(browse, "ROWS", 4)
        taken: list[int] = []
        whole = browse.tables_at
        monkeypatch.setattr(browse, "tables_at", lambda *some: (taken.append(0) or rows for rows in whole(*some)))
        rows = bank_list.flat_rows(bank, Selection())

        assert [next(rows)["id"] for _ in range(4)] == ["r0", "r1", "r10", "r11"]
        assert len(taken) == 1
        assert len(list(rows)) == 15


def test_what_is_said_again_of_many_is_one_commit(tmp_path, monkeypatch):
    from jobs.bank_add import Wanted, sort_out
    from pipelines.copyright.bank.reference import Stated

    bank = Bank.create(tmp_path / "bank", space())
    bank.add_all([(reference(i), fingerprint(i)) for i in range(6)])
    bank.set_state(["r2"], State.DISABLED)
    wanted = {f"/{i}": Wanted(f"{i}", f"/{i}", f"r{i}", Stated(owner="New" if i % 2 else None)) for i in range(6)}
    rows = [{"uri": f"/{i}", "content_sha256": reference(i).content_sha256} for i in range(6)]
    before = bank._references.version
    outcomes, todo = sort_out(bank, wanted, rows)

    assert bank._references.version == before + 1
    assert todo == {}
    assert [(one.path, one.outcome, one.note) for one in outcomes] == [
        (str(i), "updated" if i % 2 else "known", "it is disabled" if i == 2 else None) for i in range(6)
    ]
    assert [ref.owner for ref in bank.references()] == ["", "New"] * 3
    sort_out(bank, wanted, rows)
    assert bank._references.version == before + 1, "what says nothing new is no commit"

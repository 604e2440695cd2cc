"""Matches on disk: what was written comes back, what was matched in vain is done too, and facts outlive the bank."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.copyright.bank.reference import Kind
from pipelines.copyright.matched import FACTS, MATCHES, Matched, matches_folder
from tests.pipelines.copyright.matches import matched, reference, row


def table(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), MATCHES)


def test_an_empty_folder_and_none_at_all(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        assert Matched(folder).table().equals(MATCHES.empty_table())
        assert Matched(folder).done() == set()
        assert Matched(folder).facts().equals(FACTS.empty_table())


def test_pieces_add_up(tmp_path):
    kept = Matched(tmp_path / "night" / "7-ab")
    kept.write(table(row("a"), row("b", None)))
    kept.write(table(row("c", "solaris", score=0.25)))

    assert kept.done() == {"a", "b", "c"}
    assert kept.table().schema == MATCHES
    assert [(r["content_sha256"], r["reference_id"], r["score"]) for r in kept.table().to_pylist()] == [
        ("a", "dune", 0.75),
        ("b", None, None),
        ("c", "solaris", 0.25),
    ]


def test_what_is_still_being_written_does_not_count(tmp_path):
    kept = Matched(tmp_path)
    kept.write(table(row("a")))
    (tmp_path / "matches-00000000000000000009-ab.part").write_bytes(b"half")

    assert kept.done() == {"a"}


def test_a_write_that_fails_leaves_no_piece(tmp_path, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        Matched(tmp_path).write(table(row("a")))
    assert Matched(tmp_path).done() == set()


def test_only_references_that_matched_are_kept(tmp_path):
    refs = [reference("dune", Kind.SHOW, "US:2025-01-01..;JP"), reference("solaris")]
    kept = matched(tmp_path, [row("a"), row("b", None)], refs)

    assert kept.facts().to_pylist() == [
        {
            "reference_id": "dune",
            "content_sha256": f"{'dune':0>64}",
            "kind": "show",
            "title": "Dune",
            "owner": "A Studio",
            "licences": "US:2025-01-01..;JP",
        }
    ]


def test_facts_kept_again_replace_the_old_ones(tmp_path):
    kept = matched(tmp_path, [row("a"), row("b", "solaris")], [reference("dune"), reference("solaris")])
    kept.keep_facts([reference("solaris", title="Solaris, 1972")])

    assert kept.facts()["title"].to_pylist() == ["Solaris, 1972"]


def test_it_lies_beside_the_features_and_is_named_by_the_bank(tmp_path):
    kept = Matched(matches_folder(tmp_path, "7-abcdef01"))
    kept.write(table(row("a")))

    assert kept.source == "bank@7-abcdef01"
    assert [p.parent for p in tmp_path.rglob("*.parquet")] == [tmp_path / "matches" / "7-abcdef01"]
    assert not list(tmp_path.glob("windows-*")), "no piece of features"


def test_an_older_piece_without_a_column_has_nothing_there(tmp_path):
    pq.write_table(table(row("a")).drop_columns("ref_picture"), tmp_path / "matches-1-a.parquet")

    assert Matched(tmp_path).table()["ref_picture"].to_pylist() == [None]


def test_claims_taken_over_keep_apart_from_new_ones(tmp_path):
    """Both runs number their claims from 0."""
    earlier = matched(tmp_path / "before", [row("a"), row("a", "gone", claim=1)], [reference()])
    now = matched(tmp_path / "now", [row("a", "solaris")], [reference("solaris")])
    now.take_over(earlier, {"dune"})
    now.take_over(earlier, {"dune"})
    rows = now.table().to_pylist()

    assert sorted(one["reference_id"] for one in rows) == ["dune", "solaris"]
    assert len({one["claim"] for one in rows}) == 2

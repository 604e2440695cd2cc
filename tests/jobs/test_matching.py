"""Matching a night: what is held back is quarantined with a reason, and what was matched is not matched again."""

from __future__ import annotations

import shutil

import pyarrow as pa
import pytest

from jobs import matching
from jobs.matching import match, matches_by_reference
from pipelines.copyright import night
from pipelines.copyright.bank.bank import Bank
from pipelines.copyright.bank.flood import FloodLimits
from pipelines.copyright.bank.reference import Kind, Reference, State
from pipelines.copyright.night import Machine
from pipelines.pieces import Pieces, write_piece
from pipelines.rows import CONTENTS
from tests.pipelines.copyright.drawn import as_window, fingerprint, footage, plain_space
from tests.pipelines.copyright.matches import matched, row
from tests.windows import looked_at

pytestmark = pytest.mark.usefixtures("ray_cluster")
ONE = Machine(actors=1, cpus=0.5)
FLOOD = FloodLimits(share=0.5, least=3)
UPLOADS = {f"intro{n}": fingerprint(footage(0, 20)) for n in range(4)} | {"copy": fingerprint(footage(1, 20))}


def contents_of(*names: str | None) -> pa.Table:
    rows = [{"video_id": f"v{n}", "uri": f"/in/{n}.mp4", "content_sha256": name} for n, name in enumerate(names)]
    return pa.Table.from_pylist(rows, CONTENTS)


CONTENTS_THERE = contents_of(*UPLOADS, "copy", "not looked at", None)


@pytest.fixture
def bank(tmp_path):
    """Two films; everybody's uploads begin with the first."""
    made = Bank.create(tmp_path / "bank", plain_space())
    for number, name in enumerate(("common", "rare")):
        print_ = fingerprint(footage(number, 40))
        made.add(Reference(id=name, content_sha256=f"{number:064}", duration_ms=print_.duration_ms), print_)
    return made


@pytest.fixture
def pieces(tmp_path):
    write_piece(tmp_path / "f", looked_at(*[as_window(name, print_) for name, print_ in UPLOADS.items()]))
    return Pieces(tmp_path / "f")


def facts_of(found):
    return sorted(found.matched.facts()["reference_id"].to_pylist())


class TestMatch:
    def test_what_matched_is_kept_with_its_facts(self, bank, pieces):
        found = match(bank.folder, CONTENTS_THERE, pieces, ONE)

        assert matches_by_reference(found.matched) == {"common": 4, "rare": 1}
        assert found.matched.done() == set(UPLOADS)
        assert facts_of(found) == ["common", "rare"]
        assert found.facts() == {
            "bank": str(bank.folder),
            "bank_version": bank.version,
            "references": 2,
            "quarantined": {},
        }

    @pytest.mark.parametrize("actors", [1, 2])
    def test_without_ray_the_same_is_found(self, bank, pieces, monkeypatch, actors):
        wanted = match(bank.folder, CONTENTS_THERE, pieces, ONE).matched
        table = wanted.table()
        shutil.rmtree(wanted.folder)
        monkeypatch.setattr(night, "on_ray", lambda: False)
        monkeypatch.setattr(night, "_by_actors", lambda *_: pytest.fail("actors were started"))
        found = match(bank.folder, CONTENTS_THERE, pieces, Machine(actors=actors)).matched

        assert found.table().sort_by("reference_id").equals(table.sort_by("reference_id"))
        assert matches_by_reference(found) == {"common": 4, "rare": 1}

    def test_again_with_the_same_bank_starts_nothing(self, bank, pieces, monkeypatch):
        first = match(bank.folder, CONTENTS_THERE, pieces, ONE)
        monkeypatch.setattr(night, "_searched", lambda *_: pytest.fail("workers were started"))
        again = match(bank.folder, CONTENTS_THERE, pieces, ONE)

        assert again.facts() == first.facts()
        assert again.matched.table().equals(first.matched.table())

    def test_another_version_of_the_bank_is_another_folder(self, bank, pieces):
        first = match(bank.folder, CONTENTS_THERE, pieces, ONE)
        bank.set_state(["common"], State.DISABLED, "asked for")
        again = match(bank.folder, CONTENTS_THERE, pieces, ONE)

        assert again.matched.folder != first.matched.folder
        assert matches_by_reference(again.matched) == {"rare": 1}

    def test_a_bank_without_active_references(self, bank, pieces):
        bank.set_state(["common", "rare"], State.DISABLED, "asked for")
        found = match(bank.folder, CONTENTS_THERE, pieces, ONE)

        assert matches_by_reference(found.matched) == {}
        assert facts_of(found) == []

    def test_a_night_without_contents(self, bank, pieces):
        found = match(bank.folder, contents_of(), pieces, ONE, FLOOD)

        assert (found.matched.done(), found.quarantined) == (set(), {})


class TestFlood:
    def test_a_reference_that_matches_too_much_is_quarantined(self, bank, pieces, capsys):
        found = match(bank.folder, CONTENTS_THERE, pieces, ONE, FLOOD)
        states = {ref.id: ref.state for ref in Bank.open(bank.folder).references()}

        assert list(found.quarantined) == ["common"]
        assert "it matched 4 of 5 contents" in found.quarantined["common"]
        assert states == {"common": State.QUARANTINED, "rare": State.ACTIVE}
        assert facts_of(found) == ["rare"], "judging knows nothing of it"
        assert found.version == found.matched.folder.name != Bank.open(bank.folder).version
        assert "warning: reference common is quarantined: it matched 4 of 5" in capsys.readouterr().err

    @pytest.mark.parametrize("trusted", [True, False])
    def test_one_that_a_person_trusts_stays(self, bank, pieces, trusted):
        bank.set_state(["common"], State.ACTIVE, "it is ours", trusted=trusted)
        found = match(bank.folder, CONTENTS_THERE, pieces, ONE, FLOOD)

        assert list(found.quarantined) == ([] if trusted else ["common"])

    def test_negative_ones_are_there_to_match_much(self, bank, pieces):
        logo = fingerprint(footage(2, 20))
        bank.add(Reference(id="logo", content_sha256="f" * 64, kind=Kind.NEGATIVE, duration_ms=20_000), logo)

        assert list(match(bank.folder, CONTENTS_THERE, pieces, ONE, FLOOD).quarantined) == ["common"]


def test_only_likely_claims_count_and_each_content_once(tmp_path):
    likely, doubt = matching.LIKELY, matching.LIKELY - 0.01
    rows = [
        row("a", "dune", score=likely),
        row("a", "dune", score=0.99, claim=1),
        row("b", "dune", score=0.99),
        row("c", "dune", score=doubt),
        row("d", "solaris", score=doubt),
        row("e", None),
    ]

    assert matches_by_reference(matched(tmp_path, rows, [])) == {"dune": 2}

"""`bank fit`: an empty bank with a space of its own, from videos as they come."""

from __future__ import annotations

import pytest

from jobs.cli import main
from pipelines.copyright.bank.reader import BankReader
from tests.footage import noise, write_film

pytestmark = pytest.mark.usefixtures("lite")


@pytest.fixture
def films(tmp_path):
    """Two films, and a file that is none."""
    folder = tmp_path / "films"
    folder.mkdir()
    write_film(folder / "corners.mp4", seconds=2, fps=5)
    write_film(folder / "noise.mp4", seconds=2, fps=5, draw=noise)
    (folder / "broken.mp4").write_bytes(b"no film")
    return folder


def status_of(*words) -> int:
    with pytest.raises(SystemExit) as end:
        main(["bank", *map(str, words)])
    return end.value.code


def test_a_bank_is_made_with_a_space_of_its_own(films, tmp_path, capsys):
    assert status_of("fit", films, "--bank", tmp_path / "bank", "--pictures", 6) == 0
    bank = BankReader.open(tmp_path / "bank")

    assert bank.space.tower == "efficientnet_lite0@1.0.0"
    assert bank.references() == []
    assert bank.space.id in capsys.readouterr().out


def test_a_bank_that_is_there_is_left_alone(films, tmp_path, capsys):
    status_of("fit", films, "--bank", tmp_path / "bank", "--pictures", 6)
    before = BankReader.open(tmp_path / "bank").version
    capsys.readouterr()

    assert status_of("fit", films, "--bank", tmp_path / "bank") == 2
    assert "is a bank already" in capsys.readouterr().err
    assert BankReader.open(tmp_path / "bank").version == before


def test_footage_that_cannot_be_read_is_one_sentence(films, tmp_path, capsys):
    assert status_of("fit", films / "broken.mp4", "--bank", tmp_path / "bank") == 1
    assert "needs 2 pictures" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "bank" / "bank.json").exists()

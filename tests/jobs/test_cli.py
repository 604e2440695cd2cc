"""The command line: help with examples, one-sentence errors, the three exit statuses."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jobs import cli
from model_registry.errors import NightjarError, UsageError


def failing(error: Exception, monkeypatch) -> None:
    def run(_: object) -> int:
        raise error

    monkeypatch.setattr("jobs.scan.run", run)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help_with_examples(command, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([command, "--help"])

    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert "examples:" in shown
    assert f"nightjar {command}" in shown


@pytest.mark.parametrize(
    ("error", "status"),
    [(UsageError("x is 1, wanted 2"), 2), (NightjarError("the disk is full"), 1), (KeyboardInterrupt(), 130)],
)
def test_failures_are_one_sentence_and_a_status(error, status, monkeypatch, capsys):
    failing(error, monkeypatch)
    with pytest.raises(SystemExit) as end:
        cli.main(["scan", "a.mp4"])

    shown = capsys.readouterr()
    assert end.value.code == status
    assert shown.out == ""
    assert shown.err.startswith("nightjar scan: ")
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "COMMAND"),
        (["skan"], "skan"),
        (["scan"], "PATH"),
        (["scan", "a.mp4", "--interval", "0"], "0.01 and 3600"),
        (["scan", "a.mp4", "--limit", "0"], "from 1 on"),
        (["scan", "a.mp4", "--alias", "best"], "best"),
        (["recall", "--date", "yesterday", "--input", "m", "--output", "o"], "YYYY-MM-DD"),
    ],
)
def test_a_wrong_call_says_what_was_wrong(arguments, complaint, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)

    assert end.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [("--bundle", "huge", "lite, clip-b32, clip-l14"), ("--policy", "nowhere.toml", "default")],
)
def test_an_unknown_name_is_answered_with_the_known_ones(option, value, allowed, tmp_path, capsys):
    (tmp_path / "a.mp4").touch()
    with pytest.raises(SystemExit) as end:
        cli.main(["scan", str(tmp_path / "a.mp4"), option, value])

    shown = capsys.readouterr().err
    assert end.value.code == 2
    assert value in shown
    assert allowed in shown


@pytest.mark.parametrize(
    ("folder", "sentence"),
    [
        ("nosuch://key:hidden@bucket/x", "nosuch://bucket/x cannot be reached by this installation: "),
        ("s3://key:hidden@bucket/x", "s3://bucket/x was given with credentials, which a store takes from the environ"),
    ],
)
@pytest.mark.parametrize("command", [["status"], ["judge", "--policy", "strict"], ["prune", "--older-than", "3d"]])
def test_a_place_that_cannot_be_is_one_sentence_without_its_secret(command, folder, sentence, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([*command, folder])

    said = capsys.readouterr().err
    assert end.value.code == 2
    assert said.startswith(f"nightjar {command[0]}: {sentence}")
    assert (said.count("\n"), "hidden" in said) == (1, False)


def test_the_modules_are_commands_too():
    done = subprocess.run([sys.executable, "-m", "jobs.recall", "--help"], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0
    assert "nightjar recall --date" in done.stdout

"""What the README shows is run: its commands exist, its policy parses, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from jobs import cli
from model_registry.bundles import BUNDLES
from pipelines.risk.policy import parse_policy
from pipelines.text.words.lexicon import Lexicons, parse_lexicon
from pipelines.text.words.matcher import Matcher

ROOT = Path(__file__).parents[1]
VALUES = {
    "D": "2026-11-21",
    "M": "m.csv",
    "DIR": "out",
    "P": "strict",
    "B": "bank",
    "T": "2026-11-20",
    "PATH...": "a.mp4",
    "L": "tonight.toml",
    "FILE": "nightly.toml",
    "N": "5e6",
    "H": "8",
    "AGE": "30d",
    "example/next/cron/kubernetes": "example",
    "VIDEO_ID": "a.mp4",
    "[NAME]": "decode",
    "list/pull/register/promote/fit": "list",
    "create/revoke/list": "list",
}
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_two_commands_are_targets_of_the_makefile():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    commands = [line.partition("#")[0].split() for line in blocks("bash")[0].strip().splitlines()]

    assert [command[0] for command in commands] == ["make", "make"]
    assert {command[1] for command in commands} <= set(targets)


@pytest.mark.parametrize("shown", re.findall(r"`(nightjar [^`]+)`", README))
def test_every_command_shown_is_one_that_parses(shown):
    """Names in capitals stand for values; alternatives and options in brackets are taken one by one."""
    words = shlex.split(shown)[1:]
    args = cli.parse([VALUES.get(word, word) for word in words])

    assert args.command == words[0]


def shell_commands() -> list[str]:
    """Every call of nightjar in a block for the shell, without prompts and comments."""
    lines = [
        line.removeprefix("$ ")
        for language in ("bash", "console")
        for block in blocks(language)
        for line in block.splitlines()
    ]
    calls = [call.strip() for line in lines for call in line.partition("#")[0].split("&&")]
    return [call.partition(" > ")[0] for call in calls if call.startswith("nightjar ")]


@pytest.mark.parametrize("call", shell_commands())
def test_every_call_in_a_block_is_one_that_parses(call):
    args = cli.parse(shlex.split(call)[1:])

    assert args.command == shlex.split(call)[1]


def test_every_command_there_is_is_shown():
    assert all(f"`nightjar {command}" in README for command in cli.COMMANDS)


def test_the_lexicon_shown_finds_what_it_says():
    lexicon = parse_lexicon(tomllib.loads(blocks("toml")[0]), "0" * 64)
    (entry,) = lexicon.entries
    found = Matcher(Lexicons((lexicon,))).match([*entry.match, *entry.passes])

    assert [bool(hits) for hits in found] == [True, False]


def test_the_policy_shown_is_a_policy():
    rules = tomllib.loads(blocks("toml")[1])
    policy = parse_policy({"name": "shown", "version": "1", **rules}, "0" * 64)

    assert policy.rules[0].abstain == (0.5, 0.8)


def test_every_bundle_is_listed():
    assert all(f"| `{name}` |" in README for name in BUNDLES)


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)\)", README))
def test_every_link_leads_to_a_file(target):
    assert (ROOT / target).exists()

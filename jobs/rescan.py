"""Look again at stored nights with what the bank or the lexicons have gained: no video is opened, no model runs."""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobs import progress, session
from jobs.arguments import add_lexicons
from jobs.judge import changes, read_summary, run_again, stored_night
from jobs.matching import known_contents, search
from jobs.outcome import counts, text_facts, write_report
from jobs.recipes import match_machine
from jobs.table import print_json, print_table
from model_registry.errors import UsageError
from pipelines.copyright.bank.reader import BankReader
from pipelines.copyright.bank.reference import Reference, State
from pipelines.copyright.matched import Matched, matches_folder
from pipelines.places import Place, exists, listed, place
from pipelines.risk.judge import Night, Tally, judge_night
from pipelines.risk.policy import Policy, load_policy
from pipelines.text.neighbours import texts_of
from pipelines.text.night import read_words_again
from pipelines.text.readings import Reader, Readings
from pipelines.text.transcripts import videos_of_night
from pipelines.text.words.lexicon import Lexicons, with_shipped

EXAMPLES = """examples:
  nightjar rescan recalls --bank bank --since 2026-11-21
  nightjar rescan recalls/dt=2026-11-21 --bank bank
  nightjar rescan recalls --lexicon tonights-scam.toml

A reference added today is looked for in the features that past nights have kept. With --since only references
that were added or changed from then on are looked for; what was found before stays, as far as the bank still
holds it. With --lexicon the transcripts that were kept are read again with the shipped lexicons and that one. The
verdicts of record stay as they are: the new ones go to NIGHT/rescan=<version>/, with a count of what would
change."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("folder", type=place, metavar="DIR", help="one night, or a folder with nights (dt=*)")
    parser.add_argument("--bank", type=Path, metavar="DIR", help="the reference bank")
    add_lexicons(parser)
    parser.add_argument("--since", type=moment, metavar="T", help="only references added or changed since T (UTC)")
    parser.add_argument("--policy", default="default", help="a shipped policy or a TOML file (default: default)")
    parser.add_argument("--json", action="store_true", help="print verdicts as JSON lines")


def moment(text: str) -> datetime:
    """Parse a day or a time, in UTC where it does not say otherwise."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no time, wanted YYYY-MM-DD or YYYY-MM-DDTHH:MM") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Wanted:
    """What to look for: the bank as it is now, and which of its references are news."""

    bank: BankReader
    active: list[Reference]
    news: list[Reference]
    since: datetime | None

    @classmethod
    def of(cls, folder: Path, since: datetime | None) -> Wanted:
        """Read the bank."""
        bank = BankReader.open(folder)
        return cls(bank, bank.references(State.ACTIVE), bank.references(State.ACTIVE, since), since)

    def facts(self) -> dict[str, Any]:
        """For the summary."""
        return {
            "bank": str(self.bank.folder),
            "bank_version": self.bank.version,
            "references": len(self.active),
            "looked_for": len(self.news),
            "since": self.since.isoformat() if self.since else None,
        }


@dataclass(frozen=True)
class News:
    """What stored nights are held against: a bank, lexicons, or both."""

    wanted: Wanted | None
    lexicons: Lexicons | None

    @property
    def version(self) -> str:
        """Name of the folder that the new verdicts go to."""
        lexicons = hashlib.sha256(self.lexicons.id.encode()).hexdigest()[:8] if self.lexicons else ""
        return "+".join(filter(None, (self.wanted.bank.version if self.wanted else "", lexicons)))


def run(args: argparse.Namespace) -> int:
    """Rescan every night below the folder."""
    if not args.bank and not args.lexicon:
        raise UsageError("there is nothing to look for: give --bank, --lexicon or both")
    policy = load_policy(args.policy)
    wanted = Wanted.of(args.bank, args.since) if args.bank else None
    news = News(wanted, with_shipped(args.lexicon) if args.lexicon else None)
    nights = nights_in(args.folder)
    if wanted:
        progress.say(f"{len(wanted.news)} of {len(wanted.active)} references, {len(nights)} nights")
    workers: AbstractContextManager[Mapping[str, float]] = session.workers() if wanted else nullcontext({})
    with workers as resources:
        for folder in nights:
            _rescan(folder, news, policy, resources, as_json=args.json)
    return 0


def nights_in(folder: Place) -> list[Place]:
    """Return the folder itself if it is a night's, or else the nights in it."""
    if exists(folder / "summary.json"):
        return [folder]
    found = [path.parent for path in listed(folder, "dt=*/summary.json")]
    if not found:
        raise UsageError(f"{folder} is no night and has none: there is no summary.json and no dt=*/summary.json")
    return found


def _rescan(folder: Place, news: News, policy: Policy, resources: Mapping[str, float], *, as_json: bool) -> None:
    began, earlier = time.monotonic(), read_summary(folder)
    if news.wanted:
        news.wanted.bank.space.demand(_tower(earlier))
    night = stored_night(folder, earlier, policy)
    matched = _matched(night, news.wanted, resources) if news.wanted else night.matched
    readings = _read_again(night, news.lexicons) if news.lexicons else night.readings
    now = replace(night, matched=matched, readings=readings)
    out = folder / f"rescan={news.version}"
    tally = judge_night(now, policy, out)
    summary = {
        "run": run_again("rescan", earlier, now, time.monotonic() - began),
        "counts": counts(tally),
        **_facts(earlier, news, readings, tally),
        "versions": earlier["versions"] | {"policy": policy.id},
    }
    write_report(out, f"{folder.name}, rescanned", summary, policy, tally, night.pieces)
    if as_json:
        print_json(out / "verdicts.parquet")
    else:
        print_table(tally)
    for line in changes(folder / "verdicts.parquet", out / "verdicts.parquet"):
        progress.say(f"{folder.name} {line}")
    progress.say(f"report: {(out / 'report.html').absolute()}")


def _facts(earlier: dict[str, Any], news: News, readings: Readings | None, tally: Tally) -> dict[str, Any]:
    """What a summary says of the bank and the texts; what was not looked at again stays as it was."""
    facts: dict[str, Any] = {name: earlier[name] for name in ("copyright", "text") if name in earlier}
    if news.wanted:
        facts["copyright"] = news.wanted.facts()
    if readings:
        facts["text"] = text_facts(readings, tally)
    return facts


def _read_again(night: Night, lexicons: Lexicons) -> Readings:
    """Tier 1 over the stored transcripts, titles and descriptions; what they mean is known."""
    earlier = night.readings or Readings(night.pieces.folder / "text" / "none")
    reader = replace(earlier.reader or Reader(""), lexicons=lexicons.id)
    readings = Readings.made_by(reader, night.pieces.folder / "text")
    videos = videos_of_night(night.manifest, night.contents, night.pieces)
    texts = [text for _, _, lines in videos for text in texts_of(lines)]
    return read_words_again(texts, lexicons, earlier, readings)


def _tower(summary: dict[str, Any]) -> str:
    """Whose embeddings a night has kept: the first of its models."""
    return str(summary["versions"]["models"][0])


def _matched(night: Night, wanted: Wanted, resources: Mapping[str, float]) -> Matched:
    """Match with the news, and keep what was found before and still stands."""
    folder = matches_folder(night.pieces.folder, wanted.bank.version)
    shas = known_contents(night.contents, night.pieces)
    if not wanted.since or Matched(folder).done() >= shas:
        matched = Matched(folder)
        search(wanted.bank, wanted.active, night.pieces, shas, matched, match_machine(resources))
        matched.keep_facts(wanted.active)
        return matched
    matched = Matched(folder.with_name(f"{folder.name}-since-{wanted.since:%Y%m%dT%H%M%S}"))
    search(wanted.bank, wanted.news, night.pieces, shas, matched, match_machine(resources))
    if night.matched:
        matched.take_over(night.matched, _ids(wanted.active) - _ids(wanted.news))
    matched.keep_facts(wanted.active)
    return matched


def _ids(references: Iterable[Reference]) -> set[str]:
    return {ref.id for ref in references}


if __name__ == "__main__":
    from jobs.cli import main

    main(["rescan", *sys.argv[1:]])

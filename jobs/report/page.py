"""The whole report as one HTML document: style, script, pictures and drawings inside, nothing fetched, nothing kept."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from jobs.report.album import Album
from jobs.report.cards import Card, folded_card
from jobs.report.clusters import fold
from jobs.report.timeline import bar_svg
from jobs.report.video import ReportVideo
from jobs.report.words import LabelName, label_name, one_line, score_text
from model_registry.labels import first_level, taxonomy
from pipelines.risk.policy import Policy, Suggestion

__all__ = ["Page", "ReportVideo", "render"]

HERE = Path(__file__).parent
TILES = (Suggestion.BLOCK.value, Suggestion.REVIEW.value, Suggestion.PASS.value, "incomplete")
FACT_NAMES = {
    "hours_per_hour": "hours of video per hour",
    "hours": "hours of video",
    "started_at": "started",
    "seconds": "took",
    "peak_memory_mb": "peak memory, MB",
    "videos_per_s": "videos per second",
    "mlflow_run": "MLflow run",
}


@dataclass(frozen=True)
class Page:
    """What a report is made of."""

    heading: str
    summary: Mapping[str, Any]  # of summary.json; whatever is missing is left out
    policy: Policy
    videos: Sequence[ReportVideo]  # in order of priority
    total: int  # verdicts of the run; those beyond `videos` are in verdicts.parquet


@dataclass(frozen=True)
class Tile:
    """One count that filters."""

    kind: str
    count: int  # in the run
    here: int  # on the page


@dataclass(frozen=True)
class Busy:
    """One stage's share of the busy time."""

    stage: str
    text: str
    bar: Markup


@dataclass(frozen=True)
class Choice:
    """One entry of a filter: a label or an error code, and how many cards have it."""

    value: str
    count: int


def render(page: Page) -> str:
    """Return the HTML document; the same page gives the same text."""
    album = Album()
    cards = [folded_card(number, one, page.policy, album) for number, one in enumerate(fold(page.videos), 1)]
    every = [one for card in cards for one in card.every]
    style, script = _file("style.css"), _file("script.js")
    return (
        _environment()
        .get_template("template.html")
        .render(
            heading=one_line(page.heading),
            headline=headline(page),
            quarantined=quarantined(page.summary),
            total=page.total,
            cards=cards,
            videos=len(every),
            tiles=tiles(page, every),
            label_groups=label_groups(cards),
            errors=choices(code for card in cards for code in card.problems),
            glossary=glossary(cards),
            sections=sections(page.summary),
            busy=busy(_section(page.summary, "busy_s")),
            style=style,
            script=script,
            style_hash=csp_hash(style),
            script_hash=csp_hash(script),
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["score"] = score_text
    return environment


def _file(name: str) -> str:
    return (HERE / name).read_text("utf-8")


def csp_hash(content: str) -> str:
    """Return the source expression that lets a content security policy accept one inline block."""
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _section(summary: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = summary.get(name)
    return found if isinstance(found, Mapping) else {}


def headline(page: Page) -> list[str]:
    """Return the run in a few words, as far as the summary knows it."""
    hours = _section(page.summary, "throughput").get("hours")
    seconds = _section(page.summary, "run").get("seconds")
    bundle = _section(page.summary, "versions").get("bundle")
    bank = _section(page.summary, "copyright")
    parts = [
        plural(page.total, "video"),
        f"{number(hours)} h of video looked at" if hours else "",
        f"took {took(seconds)}" if seconds else "",
        f"bundle {one_line(str(bundle))}" if bundle else "",
        f"policy {page.policy.id}",
        bank_headline(bank, _section(page.summary, "counts").get("claims")) if bank else "",
    ]
    return [part for part in parts if part]


def bank_headline(bank: Mapping[str, Any], claims: int | None) -> str:
    """Say what was claimed of which references."""
    name = one_line(PurePath(str(bank.get("bank") or "")).name)
    at = f" at version {one_line(str(bank['bank_version']))}" if bank.get("bank_version") else ""
    known = plural(bank.get("references") or 0, "reference")
    found = f"{plural(claims, 'claim')} of " if claims is not None else ""
    return f"{found}{known} in bank {name}{at}"


def quarantined(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return the references that were held back in this run, with the reason."""
    held = _section(summary, "copyright").get("quarantined")
    return {one_line(str(name)): one_line(str(why)) for name, why in held.items()} if isinstance(held, Mapping) else {}


def plural(count: int, noun: str) -> str:
    """Write a count with its noun."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def tiles(page: Page, cards: Sequence[Card]) -> list[Tile]:
    """Count suggestions, by the summary where it has them."""
    here = Counter(card.suggestion for card in cards)
    here["incomplete"] = sum(card.problem is not None for card in cards)
    counts = {kind: n for kind, n in _section(page.summary, "counts").items() if isinstance(n, int)}
    return [Tile(kind, counts.get(kind, here[kind]), here[kind]) for kind in TILES]


def choices(values: Iterable[str]) -> list[Choice]:
    """Count values, the most frequent first."""
    return [Choice(value, count) for value, count in Counter(values).most_common()]


def label_groups(cards: Iterable[Card]) -> dict[str, list[Choice]]:
    """Return first levels with what is found under them; a first level counts every card below it."""
    names = [card.label_names for card in cards]
    single = Counter(name for found in names for name in found)
    groups: dict[str, list[Choice]] = {}
    for name in sorted(single):
        top = first_level(name)
        every = sum(any(other == top or other.startswith(f"{top}/") for other in found) for found in names)
        group = groups.setdefault(top, [Choice(top, every)])
        if name != top:
            group.append(Choice(name, single[name]))
    return groups


def glossary(cards: Iterable[Card]) -> list[LabelName]:
    """Return every label that some card draws, in the taxonomy's order."""
    drawn = {lane.label for card in cards for lane in (*card.lanes, *card.quiet.lanes, *card.shadow.lanes)}
    return [label for name in (label.name for label in taxonomy().labels) if (label := label_name(name)) in drawn]


def sections(summary: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Return the summary as titled lists; what has no section belongs to the run, and `busy_s` has its own drawing."""
    loose = {name: value for name, value in summary.items() if not isinstance(value, Mapping)}
    titled = {"run": {**_section(summary, "run"), **loose}}
    titled |= {name: dict(value) for name, value in summary.items() if isinstance(value, Mapping) and name != "run"}
    titled.pop("busy_s", None)
    return {one_line(name).capitalize(): facts(section) for name, section in titled.items() if section}


def facts(section: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and texts; None says nothing."""
    known = {name: value for name, value in section.items() if value is not None}
    return [
        (FACT_NAMES.get(name, one_line(name.replace("_", " "))), fact(name, value)) for name, value in known.items()
    ]


def fact(name: str, value: object) -> str:
    """Write one value of the summary."""
    if name == "seconds" and isinstance(value, int | float):
        return took(value)
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{_named(str(key), item)} {fact('', item)}" for key, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(fact("", item) for item in value) or "none"
    return one_line(str(value))


def _named(key: str, value: object) -> str:
    return one_line(key) + ":" * isinstance(value, str)


def number(value: float) -> str:
    """Write a number with three digits, or whole from 100 on."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 100 else f"{value:.3g}"


def took(seconds: float) -> str:
    """Write a duration in its two largest units."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def busy(seconds: Mapping[str, Any]) -> list[Busy]:
    """Return the stages, busiest first, with their share of all busy time."""
    total = sum(seconds.values()) or 1.0
    ordered = sorted(seconds.items(), key=lambda item: -item[1])
    return [Busy(one_line(name), f"{s / total:.0%}, {took(s)}", bar_svg(s / total)) for name, s in ordered]

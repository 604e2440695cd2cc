"""What arguments of several commands have in common; imports no pipeline, so that `bank list` starts at once."""

from __future__ import annotations

import argparse
from pathlib import Path

from model_registry.bundles import BUNDLES
from model_registry.store import ALIASES

REFERENCE_INTERVAL_S = 0.5  # a frame of an upload is then at most a quarter of a second from one of a reference
NIGHTS = 7  # before a night, among which reposts are looked for
Takes = argparse.ArgumentParser | argparse._ArgumentGroup


def add_models(parser: Takes) -> None:
    """Which models to run, and whether they may be fetched."""
    parser.add_argument("--bundle", default="lite", help=f"models: {', '.join(BUNDLES)} (default: lite)")
    parser.add_argument("--alias", default="champion", choices=ALIASES, help="which registered versions to run")
    parser.add_argument("--offline", action="store_true", help="fetch nothing; an absent model is an error")


def add_lexicons(parser: Takes) -> None:
    """Words to look for, beside the shipped ones."""
    parser.add_argument(
        "--lexicon",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a lexicon (TOML), or a folder of them",
    )


def add_interval(parser: Takes, default: float = 1.0) -> None:
    """How densely to look."""
    said = f"seconds between frames (default: {default:g})"
    parser.add_argument("--interval", type=seconds, default=default, metavar="S", help=said)


def count(text: str) -> int:
    """Parse a whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def seconds(text: str) -> float:
    """Parse a positive number of seconds."""
    value = float(text)
    if not 0.01 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.01 and 3600 seconds")
    return value

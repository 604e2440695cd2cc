"""A bank's folder: what makes it one, how it is made, and the lock that writers take in turns."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lance

from model_registry.errors import NightjarError, UsageError
from pipelines.copyright.bank import tables
from pipelines.copyright.picture.space import Space

FORMAT = 2  # 1 kept a small film strip and no stills, on which nothing can be verified
CARD, SPACE, REFERENCES, FINGERPRINTS = "bank.json", "space.npz", "references.lance", "fingerprints.lance"
STAGING = "staging"  # unfinished work of `add`
OURS = {CARD, SPACE, REFERENCES, FINGERPRINTS, STAGING, ".lock", "bank.part", "space.part"}
NAMED = 3


def is_bank(folder: Path) -> bool:
    """Say whether a bank was made there, to the end."""
    return (folder / CARD).exists()


def now() -> datetime:
    """The time in UTC, in whole milliseconds."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Wait for the other writers; the kernel frees the lock of one that dies."""
    try:
        file = (folder / ".lock").open("ab")
    except OSError as error:
        raise NightjarError(f"bank {folder} cannot be written: {error.strerror}") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def claim(folder: Path) -> None:
    """See to it that there is a folder for a bank; raises UsageError for one that holds what no bank would."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        foreign = sorted({path.name for path in folder.iterdir()} - OURS)
    except OSError as error:
        raise UsageError(f"bank {folder} cannot be made: {error.strerror}") from error
    if foreign and not is_bank(folder):
        named = ", ".join(foreign[:NAMED])
        raise UsageError(f"{folder} is no bank and not empty: it has {named}; choose another folder")


def make(folder: Path, space: Space) -> None:
    """Write an empty bank; its card comes last."""
    try:
        rows = lance.dataset(folder / REFERENCES).count_rows()
    except (ValueError, OSError):
        rows = 0  # there is none, or a half one
    if rows:
        raise UsageError(f"{folder} holds {rows} references and no {CARD}; restore that file from a copy of the bank")
    for name in (REFERENCES, FINGERPRINTS):
        shutil.rmtree(folder / name, ignore_errors=True)
    space.save(folder / SPACE)
    for name, schema in ((REFERENCES, tables.REFERENCES), (FINGERPRINTS, tables.FINGERPRINTS)):
        with tables.using(folder / name):
            lance.write_dataset(schema.empty_table(), folder / name)
    card = {"format": FORMAT, "space": Space.load(folder / SPACE).id, "created_at": now().isoformat()}
    part = folder / "bank.part"
    part.write_text(json.dumps(card) + "\n", "utf-8")
    part.replace(folder / CARD)


def read_card(folder: Path) -> dict[str, Any]:
    """Return what bank.json says; raises UsageError where there is none, NightjarError where it is of no use."""
    if not is_bank(folder):
        raise UsageError(f"{folder} is no bank: it has no {CARD}; `nightjar bank add` makes one")
    try:
        card = json.loads((folder / CARD).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise NightjarError(f"bank {folder}: {CARD} cannot be read") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        found = card.get("format") if isinstance(card, dict) else card
        reads = f"this version of Nightjar reads {FORMAT}; add its files to a new bank"
        raise NightjarError(f"bank {folder} has the format {found!r}; {reads}")
    return card

"""What has to stand in a line before its meaning alone may settle it; the marks are data, in `evidence.toml`.

The heads that may settle alone were fitted on three public sets: messages that ask for a call or an answer and name a
price or a number; Chinese posts about groups of people; English posts with rough words at or about somebody. Their
precision was shown on such lines and on no others: on a subtitle or a manual they are as sure and often wrong. So
each label has marks of its register, and a line without one is no more than a doubt.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

from model_registry.labels import first_level
from pipelines.text.registers import HAN

FILE = Path(__file__).with_name("evidence.toml")


@cache
def _marks(kind: str) -> re.Pattern[str]:
    """One kind of marks as a regex: whole words, and signs anywhere."""
    known = tomllib.loads(FILE.read_text("utf-8"))[kind]
    words = [rf"\b(?:{'|'.join(known['words'])})\b"] if known["words"] else []
    return re.compile("|".join([*words, *known["signs"]]), re.IGNORECASE)


def scorns_a_group(text: str) -> bool:
    """Whether a Chinese line names a group and has a word of scorn: with what it means, that is enough."""
    return bool(HAN.search(text) and _marks("groups").search(text) and _marks("scorn").search(text))


def asks_for_money(text: str) -> bool:
    """Whether a line asks for a call, an answer or a visit and names a price or a prize, as messages for money do."""
    if HAN.search(text):
        return bool(_marks("asked_zh").search(text))
    return bool(_marks("offers").search(text) or (_marks("asks").search(text) and _marks("names").search(text)))


def may_be_settled(label: str, text: str) -> bool:
    """Whether a line has the marks of the register in which a label's head has shown that it may settle."""
    first = first_level(label)
    if first == "Fraud":
        return asks_for_money(text)
    if first == "Abuse":
        return bool(_marks("groups" if HAN.search(text) else "slurs").search(text))
    return True

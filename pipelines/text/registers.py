"""The register of a line, as far as its writing shows it: what a head was measured on, and what it was not.

A head denies what words found only in a register in which it was measured. Spanish and Russian are none here, nor is
Chinese mixed with English; a line of two words is another register than a sentence.
"""

from __future__ import annotations

import re

HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
LATIN = re.compile(r"[A-Za-z]+")
FOREIGN = re.compile(r"[^\W\d_A-Za-z\u3400-\u4dbf\u4e00-\u9fff]")  # letters of neither
SHORT_HAN, SHORT_WORDS = 8, 4  # fewer are a short line
MIXED = 0.5  # Latin letters for each Chinese character, from which on a line is neither


def register_of(text: str) -> str:
    """`zh`, `en`, `zh short`, `en short`, or nothing where the writing is another."""
    han, words = len(HAN.findall(text)), LATIN.findall(text)
    if FOREIGN.search(text) or not (han or words):
        return ""
    if not han:
        return "en" if len(words) >= SHORT_WORDS else "en short"
    if sum(map(len, words)) > MIXED * han:
        return ""
    return "zh" if han >= SHORT_HAN else "zh short"

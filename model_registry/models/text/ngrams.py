"""Character n-grams of a text, hashed: what heads read beside a sentence's embedding, because spelling tells too.

Weinberger et al., "Feature Hashing for Large Scale Multitask Learning" (ICML 2009), without signs. A text is folded
(NFKC, lower case, every digit a 0, runs of spaces one), set between two spaces and cut into all runs of 1 to 3
characters, and of 4 and 5 where none of them is Chinese: words are short there. A run without a letter or a sign of
money says nothing: dates and rows of exclamation marks are no abuse. Each run weighs 1 / sqrt(number of runs).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NGRAMS = "character_ngrams@1"  # what heads are fitted on: another way to cut is another version
BUCKETS = 1 << 17
LENGTHS = (1, 2, 3, 4, 5)
SHORT = 3  # the longest run with a Chinese character in it
MAX_CHARACTERS = 512  # of a text that are read
PRIMES = (0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35, 0x27D4EB2F, 0x165667B1)  # odd, of 32 bits: one a place in a run
SPACES, DIGITS = re.compile(r"\s+"), re.compile(r"\d")
MONEY = np.array([ord(sign) for sign in "$£¥€"], np.uint32)
ACCOUNT = re.compile(r"@\w+")
FIRST_HAN, LAST_HAN = 0x3400, 0x9FFF


class Runs(NamedTuple):
    """The runs of N texts, one text after the other."""

    bucket_R: NDArray[np.int64]
    owner_R: NDArray[np.int64]  # which text
    count_N: NDArray[np.int64]


def folded(text: str) -> str:
    """The text as its runs are taken from it."""
    plain = unicodedata.normalize("NFKC", text[:MAX_CHARACTERS]).lower()
    return f" {SPACES.sub(' ', DIGITS.sub('0', ACCOUNT.sub('@', plain))).strip()} "


def runs(texts: Sequence[str]) -> Runs:
    """Hash the runs of every text; all lengths of a text stand together."""
    lines = [folded(text) for text in texts]
    lengths_N = np.array([len(line) for line in lines], np.int64)
    codes_C = np.frombuffer("".join(lines).encode("utf-32-le", "surrogatepass"), np.uint32)
    line_C = np.repeat(np.arange(len(lines)), lengths_N)
    han_C = (codes_C >= FIRST_HAN) & (codes_C <= LAST_HAN)
    hashed_C = np.zeros(len(codes_C), np.uint32)
    chinese_C, lettered_C = np.zeros(len(codes_C), bool), np.zeros(len(codes_C), bool)
    says_C = _says(codes_C)
    buckets, owners = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for length in LENGTHS:
        ends = len(codes_C) - length + 1
        if ends <= 0:
            break
        hashed_C = hashed_C[:ends] + codes_C[length - 1 :] * np.uint32(PRIMES[length - 1])
        chinese_C = chinese_C[:ends] | han_C[length - 1 :]
        lettered_C = lettered_C[:ends] | says_C[length - 1 :]
        whole_C = (line_C[:ends] == line_C[length - 1 :]) & lettered_C
        if length > SHORT:
            whole_C &= ~chinese_C
        buckets.append(_mixed(hashed_C[whole_C], length))
        owners.append(line_C[:ends][whole_C])
    owner_R = np.concatenate(owners)
    return Runs(np.concatenate(buckets), owner_R, np.bincount(owner_R, minlength=len(lines)))


def _says(codes_C: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which characters are letters (of any script, emoji among them) or signs of money, by their blocks."""
    latin_C = ((codes_C >= ord("a")) & (codes_C <= ord("z"))) | ((codes_C >= 0xC0) & (codes_C < 0x2000))
    later_C = (codes_C >= 0x2070) & ~((codes_C >= 0x3000) & (codes_C < 0x3040)) & (codes_C != 0xFFFD)
    return np.asarray(latin_C | later_C | np.isin(codes_C, MONEY))


def _mixed(hashed_R: NDArray[np.uint32], length: int) -> NDArray[np.int64]:
    """Spread a hash over the buckets (the last step of MurmurHash3, Appleby 2011)."""
    h_R = hashed_R ^ np.uint32(length * 0x01000193)
    h_R ^= h_R >> np.uint32(16)
    h_R *= np.uint32(0x85EBCA6B)
    h_R ^= h_R >> np.uint32(13)
    h_R *= np.uint32(0xC2B2AE35)
    h_R ^= h_R >> np.uint32(16)
    return (h_R & np.uint32(BUCKETS - 1)).astype(np.int64)


def summed(found: Runs, weight_BL: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return float32 [N, L]: the weights of each text's runs, added up, over the root of their number."""
    columns = [np.bincount(found.owner_R, of_R[found.bucket_R], len(found.count_N)) for of_R in weight_BL.T]
    roots_N = np.sqrt(np.maximum(found.count_N, 1))
    return (np.stack(columns, axis=1) / roots_N[:, None]).astype(np.float32)

"""Normal form of texts: what they say under full width, odd alphabets, invisible marks and traditional characters.

Compatibility forms and case fold as in Unicode Standard Annex 15 (NFKC) and section 3.13 of the Unicode Standard,
letters of mixed alphabets as in Unicode Technical Standard 39. Many texts are folded at once, as one array of their
characters, with the place where each comes from; nothing loops over characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipelines.text.words.characters import BREAK, CODES, DROPPED, KIND_SHIFT, Kind, Tables, tables

CODE_BITS = np.uint32((1 << KIND_SHIFT) - 1)
VERSION = "2"  # of the normal form: another one finds other hits in the same text


@dataclass(frozen=True)
class Normalised:
    """A text's normal form, and where in the text each of its characters comes from."""

    text: str
    source_N: NDArray[np.int32]  # [N], of each character of `text` the index in the original

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where [start, end) of `text` lies in the original; an empty span is empty there too."""
        if not 0 <= start <= end <= len(self.text):
            raise ValueError(f"span [{start}, {end}) of a text of {len(self.text)} characters, wanted one within it")
        if start == end:
            at = int(self.source_N[start]) if start < len(self.text) else int(self.source_N[-1:].sum()) + bool(end)
            return at, at
        return int(self.source_N[start]), int(self.source_N[end - 1]) + 1


@dataclass(frozen=True)
class Folded:
    """The N characters of the normal forms of T texts, an edge before each and one after the last."""

    code_N: NDArray[np.uint32]
    kind_N: NDArray[np.uint8]  # of Kind
    source_N: NDArray[np.int32]  # index into the joined originals, ascending
    start_T: NDArray[np.int64]  # where each text starts in the joined originals
    original_M: NDArray[np.uint32]  # the joined originals

    @cached_property
    def changed_before(self) -> NDArray[np.int64]:
        """[N + 1], before each character how many are another one than in the original."""
        return np.concatenate([[0], np.cumsum(self.code_N != self.original_M[self.source_N])])

    @cached_property
    def edges(self) -> NDArray[np.int64]:
        """Where the T + 1 edges are: text t lies between the t-th and the next."""
        return np.flatnonzero(self.kind_N == Kind.EDGE)

    def only(self, keep_N: NDArray[np.bool_]) -> Folded:
        """The same without some characters."""
        kept = np.flatnonzero(keep_N)
        return Folded(self.code_N[kept], self.kind_N[kept], self.source_N[kept], self.start_T, self.original_M)


def normalise(text: str) -> Normalised:
    """Return the normal form of one text. Never raises, whatever the text holds; takes time linear in its length."""
    folded = fold([text])
    return Normalised(as_text(folded.code_N[1:-1]), folded.source_N[1:-1] - 1)


def normal_forms(texts: Sequence[str]) -> list[str]:
    """Return the normal forms of many texts."""
    return as_text(fold(texts).code_N).split("\n")[1:-1]


def as_text(code_N: NDArray[np.uint32]) -> str:
    """Code points as a text."""
    return code_N.astype("<u4", copy=False).tobytes().decode("utf-32-le")


def codes_of(text: str) -> NDArray[np.uint32]:
    """A text's code points; half a surrogate pair counts as one too."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint32, copy=False)


def fold(texts: Sequence[str]) -> Folded:
    """Fold texts, each an own line: an edge stands before, between and after them, and nowhere else."""
    known = tables()
    original_N = codes_of("\n" + "\n".join(texts) + "\n")
    end_T = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1)
    both_N = known.both[original_N.astype(np.intp)]
    code_N, kind_N = both_N & CODE_BITS, (both_N >> KIND_SHIFT).astype(np.uint8)
    for edge in (0, end_T):
        code_N[edge], kind_N[edge] = BREAK, Kind.EDGE
    source_N = np.arange(len(code_N), dtype=np.int32)
    start_T = np.concatenate([[1], end_T + 1])[: len(texts)]
    if code_N.max() >= CODES:
        code_N, source_N = _expanded(code_N, known)
        kind_N = known.kind[code_N]
    folded = Folded(code_N, kind_N, source_N, start_T, original_N)
    if not code_N.all():
        folded = folded.only(code_N != DROPPED)
    if (folded.kind_N == Kind.MARK).any():
        folded = _without_stray_marks(folded)
    if (folded.kind_N == Kind.LETTER).any():
        folded = _unmasked(folded, original_N, known)
    return _spaced(folded)


def _expanded(code_N: NDArray[np.uint32], known: Tables) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
    """Put the several characters that stand for one, such as a ligature, in its place."""
    pool = codes_of("".join(known.expansions))
    size_E = np.fromiter(map(len, known.expansions), np.int64, len(known.expansions))
    first_E = np.cumsum(size_E) - size_E
    which_N = code_N.astype(np.int64) - CODES
    size_N = np.where(which_N < 0, 1, size_E[which_N.clip(0)])
    source_M = np.repeat(np.arange(len(code_N)), size_N)
    within_M = np.arange(len(source_M)) - (np.cumsum(size_N) - size_N)[source_M]
    which_M = which_N[source_M]
    out_M = np.where(which_M < 0, code_N[source_M], pool[(first_E[which_M.clip(0)] + within_M).clip(0, len(pool) - 1)])
    return out_M.astype(np.uint32), source_M.astype(np.int32)


def _without_stray_marks(folded: Folded) -> Folded:
    """Marks stay behind the letters of their script, as letters; piled on Latin or Chinese ones they go."""
    mark_N = folded.kind_N == Kind.MARK
    base_N = np.maximum.accumulate(np.where(mark_N, 0, np.arange(len(mark_N))))
    stray_N = mark_N & (folded.kind_N[base_N] != Kind.LETTER)
    kind_N = np.where(mark_N, np.uint8(Kind.LETTER), folded.kind_N)
    return Folded(folded.code_N, kind_N, folded.source_N, folded.start_T, folded.original_M).only(~stray_N)


def _unmasked(folded: Folded, original_N: NDArray[np.uint32], known: Tables) -> Folded:
    """Read foreign letters as the Latin ones they pass for, where that is what they are there for.

    That is a word with Latin letters in it, and a word all of lookalikes in a text that has Latin letters and none
    that is plainly foreign. Words of genuine Russian or Greek stay as they are.
    """
    latin_N, foreign_N = folded.kind_N == Kind.LATIN, folded.kind_N == Kind.LETTER
    as_written_N = known.lookalike[original_N[folded.source_N]]
    seems_N = np.where(as_written_N > 0, as_written_N, known.lookalike[folded.code_N]) * foreign_N
    if not seems_N.any():
        return folded
    word_N = _runs(latin_N | foreign_N)
    text_N = np.cumsum(folded.kind_N == Kind.EDGE)
    plain_N = foreign_N & (seems_N == 0)
    mixed_N = _any_of(word_N, latin_N)
    masked_N = ~_any_of(word_N, plain_N) & _any_of(text_N, latin_N) & ~_any_of(text_N, plain_N)
    read_N = (seems_N > 0) & (mixed_N | masked_N)
    code_N = np.where(read_N, seems_N, folded.code_N).astype(np.uint32)
    kind_N = np.where(read_N, np.uint8(Kind.LATIN), folded.kind_N)
    return Folded(code_N, kind_N, folded.source_N, folded.start_T, folded.original_M)


def _runs(inside_N: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number the runs of True; what lies between two runs has a number of its own."""
    return np.cumsum(np.diff(inside_N, prepend=inside_N[:1]))


def _any_of(group_N: NDArray[np.int64], is_N: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of each character, whether any of its group is so."""
    found: NDArray[np.bool_] = np.bincount(group_N[is_N], minlength=int(group_N[-1]) + 1) > 0
    return found[group_N]


def _spaced(folded: Folded) -> Folded:
    """One space between words, none beside Chinese characters, where it says nothing, nor at an edge."""
    space_N = folded.kind_N == Kind.SPACE
    if not space_N.any():
        return folded
    double_N = space_N.copy()
    double_N[:-1] &= space_N[1:]
    double_N[-1:] = False
    if double_N.any():
        folded = folded.only(~double_N)
        space_N = folded.kind_N == Kind.SPACE
    bare_N = (folded.kind_N == Kind.HAN) | (folded.kind_N == Kind.EDGE)
    needless_N = space_N.copy()
    needless_N[1:-1] &= bare_N[:-2] | bare_N[2:]
    return folded.only(~needless_N) if needless_N.any() else folded

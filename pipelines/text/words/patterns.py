r"""Regexes of a lexicon: the part of Python's dialect whose cost is known beforehand, rewritten for folded texts.

Hyperscan matches in time linear in the text whatever the regex (Wang et al., "Hyperscan: A Fast Multi-pattern Regex
Matcher for Modern CPUs", NSDI 2019), but compiling one may take for ever. So every repetition has an end, and what a
regex unrolls to is bounded. What matches no text, or an edge between two of them, is refused or rewritten.

`\w` and `\W` mean letters and digits of every script, as in Python. `\b` beside a to z is an edge of words of a to z,
so that Chinese, which has no spaces, may stand beside it. Beside letters of other alphabets it means what Python means
at the start or the end of a regex, and is refused elsewhere, because Hyperscan has no such edge.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import hyperscan

from model_registry.errors import UsageError
from pipelines.text.words.characters import CODES, DROPPED, tables
from pipelines.text.words.edges import Edge, boundary, category, closing, edge_sign, is_edge, is_word, opening

LONGEST_SOURCE = 500  # characters
MOST_REPEATS = 64
MOST_POSITIONS = 600  # characters, when every repetition is written out
DEEPEST = 12  # groups within groups
_EDGES = {"AT_BEGINNING": "^", "AT_END": "$"}
_WORDS = {
    "ASSERT": "a lookahead or lookbehind",
    "ASSERT_NOT": "a lookahead or lookbehind",
    "GROUPREF": "a backreference",
    "GROUPREF_EXISTS": "a conditional group",
    "ATOMIC_GROUP": "an atomic group",
    "POSSESSIVE_REPEAT": "a possessive repetition",
}


def folded_regex(source: str) -> str:
    """Return the regex as it is matched with folded texts, the same for Hyperscan and for `re`.

    Raises UsageError, in bounded time, for what cannot be: the sentence begins with the regex.
    """
    shown = repr(source if len(source) <= 60 else source[:60] + "...")
    if not source or len(source) > LONGEST_SOURCE:
        raise UsageError(f"regex {shown} has {len(source)} characters, wanted 1 to {LONGEST_SOURCE}")
    try:
        parsed: Any = re._parser.parse(source)  # type: ignore[attr-defined]
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"regex {shown} is none: {error}") from error
    if parsed.state.flags & ~re.UNICODE:
        raise UsageError(f"regex {shown} sets flags; texts are folded to small letters, so that none is needed")
    if parsed.getwidth()[0] == 0:
        raise UsageError(f"regex {shown} matches the empty text, wanted one that needs a character")
    try:
        out, positions = _whole(list(parsed))
    except UsageError as error:
        raise UsageError(f"regex {shown} has {error}") from error
    if positions > MOST_POSITIONS:
        raise UsageError(f"regex {shown} unrolls to {positions} characters, wanted at most {MOST_POSITIONS}")
    try:
        compiled([out])
    except hyperscan.HyperscanError as error:
        raise UsageError(f"regex {shown} is beyond the matcher, wanted a shorter one: {error}") from error
    return out


def compiled(patterns: Sequence[str]) -> hyperscan.Database:
    """A database of rewritten regexes that tells where a match starts."""
    flags = hyperscan.HS_FLAG_UTF8 | hyperscan.HS_FLAG_SOM_LEFTMOST | hyperscan.HS_FLAG_MULTILINE
    return database(patterns, flags)


def database(expressions: Sequence[str], flags: int) -> hyperscan.Database:
    """A database of at least one expression, numbered in their order."""
    base = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    count = len(expressions)
    base.compile([each.encode() for each in expressions], list(range(count)), count, [flags] * count)
    return base


def _whole(items: list[Any]) -> tuple[str, int]:
    """The whole regex; an edge of words of other alphabets at its start or end takes the character beside it."""
    opens = is_edge(items[:1]) and boundary(items, 0) is Edge.OTHER
    closes = is_edge(items[-1:]) and boundary(items, len(items) - 1) is Edge.OTHER
    out, positions = _sequence(items[opens : len(items) - closes], 0)
    return opening() * opens + out + closing() * closes, positions + opens + closes


def trimmed(pattern: str, text: str, start: int, end: int) -> tuple[int, int]:
    """Where a match lies without the characters that stand beside its words and were taken with it."""
    opens = pattern.startswith(opening()) and not is_word(text[start])
    closes = pattern.endswith(closing()) and not is_word(text[end - 1])
    return start + opens, end - closes


def _sequence(items: Sequence[Any], depth: int) -> tuple[str, int]:
    """The regex of some nodes, and how many characters they unroll to."""
    if depth > DEEPEST:
        raise UsageError(f"groups more than {DEEPEST} deep")
    parts = [
        (_edge(items, at), 0) if is_edge([item]) else _node(str(item[0]), item[1], depth)
        for at, item in enumerate(items)
    ]
    return "".join(part for part, _ in parts), sum(size for _, size in parts)


def _edge(items: Sequence[Any], at: int) -> str:
    """An edge of words within a regex; raises UsageError where it would not mean what Python means."""
    sign = edge_sign(items[at])
    found = boundary(items, at)
    if found is Edge.ASCII:
        return sign
    if found is Edge.ALWAYS and sign == r"\b":
        return ""
    if found is Edge.CHINESE:
        raise UsageError(f"{sign} beside Chinese, which is written without spaces; leave it out")
    wanted = r"wanted \b at the start or the end of the regex, or none"
    raise UsageError(f"{sign} where letters outside a to z may be, {wanted}")


def _node(kind: str, value: Any, depth: int) -> tuple[str, int]:
    if kind == "LITERAL":
        return _literal(value), 1
    if kind == "NOT_LITERAL":
        return _class([("NEGATE", None), ("LITERAL", value)]), 1
    if kind == "ANY":
        return ".", 1
    if kind == "IN":
        return _class(value), 1
    if kind == "AT" and str(value) in _EDGES:
        return _EDGES[str(value)], 0
    if kind == "BRANCH":
        branches = [_sequence(branch, depth + 1) for branch in value[1]]
        return f"(?:{'|'.join(part for part, _ in branches)})", sum(size for _, size in branches)
    if kind == "SUBPATTERN":
        if value[1] or value[2]:
            raise UsageError("flags in a group; texts are folded to small letters, so that none is needed")
        part, size = _sequence(value[3], depth + 1)
        return f"(?:{part})", size
    if kind in ("MAX_REPEAT", "MIN_REPEAT"):
        least, most, repeated = value
        return _repeat(least, most, repeated, depth)
    raise UsageError(f"{_WORDS.get(kind, f'{kind} {value}')}, which a linear-time matcher does not know")


def _repeat(least: int, most: int, items: Sequence[Any], depth: int) -> tuple[str, int]:
    if most > MOST_REPEATS:
        found = f"{most} times" if isinstance(most, int) and most < 2**31 else "without end"
        raise UsageError(f"a repetition {found}, wanted one of at most {MOST_REPEATS}, such as {{0,20}}")
    part, size = _sequence(items, depth + 1)
    if not size:
        raise UsageError("a repetition of nothing")
    return f"(?:{part}){{{least},{most}}}", size * most


def _literal(code: int) -> str:
    """A character as folded texts have it."""
    known = tables()
    folded = int(known.fold[code])
    if folded == DROPPED:
        raise UsageError(f"{chr(code)!r}, which is not in folded texts")
    text = chr(folded) if folded < CODES else known.expansions[folded - CODES]
    return "".join(map(_escaped, text)) if len(text) == 1 else f"(?:{''.join(map(_escaped, text))})"


def _class(items: Sequence[Any]) -> str:
    """A class in brackets; one that excludes never takes an edge between texts."""
    names = [str(kind) for kind, _ in items]
    if len(items) == 1 and str(items[0][1]).startswith("CATEGORY_NOT_"):
        return rf"[^{category(str(items[0][1]).replace('_NOT', ''))}\n]"
    members = [_member(str(kind), value) for kind, value in items if str(kind) != "NEGATE"]
    single = "".join(member for member in members if not member.startswith("(?:"))
    several = [member for member in members if member.startswith("(?:")]
    if "NEGATE" not in names:
        return f"(?:{'|'.join([f'[{single}]'] * bool(single) + several)})" if several else f"[{single}]"
    if several:
        raise UsageError("a character in [^...] that folds to several")
    return rf"[^{single}\n]"


def _member(kind: str, value: Any) -> str:
    if kind == "LITERAL":
        return _literal(value)
    if kind == "RANGE":
        first, last = (code + 32 if ord("A") <= code <= ord("Z") else code for code in value)
        if last < first:
            raise UsageError(f"the range {chr(value[0])}-{chr(value[1])}, which folds to none")
        return f"{_escaped(chr(first))}-{_escaped(chr(last))}"
    if not str(value).startswith("CATEGORY_NOT_"):
        return category(str(value))
    raise UsageError("a class within a class that says what is not in it, such as [\\W\\d]")


def _escaped(char: str) -> str:
    """Both dialects read a letter as itself, and any other ASCII character behind a backslash."""
    return char if char.isalnum() or ord(char) >= 128 else "\\" + char

"""Terms of lexicons: which can be looked for, and how: as words, as an address of the web, or as signs."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from model_registry.errors import UsageError
from pipelines.text.words.normalise import normal_forms

LONGEST_TERM = 64  # characters
_IN_TERMS = " '’-%&,，、"  # beside letters and digits; the matcher steps over all but the percent sign
_ADDRESS = re.compile(r"[^\W_][\w-]*(?:\.[^\W_][\w-]*)*\.(?:[^\W\d_]{2,24}|xn--[a-z0-9-]{2,40})(?:/[\w./?=&%#~+@-]*)?")


@cache
def normal_form(term: str) -> str:
    """The normal form of one term."""
    return normal_forms([term])[0]


def is_address(text: str) -> bool:
    """Whether a normal form is a domain such as `example.com`, perhaps with a path."""
    return "." in text and bool(_ADDRESS.fullmatch(text))


def is_sign(char: str) -> bool:
    """Whether a character of a normal form is an emoji or another symbol that a term may hold."""
    return char == "+" or (not char.isascii() and unicodedata.category(char)[0] == "S")


def has_sign(term: str) -> bool:
    """Whether a term is looked for sign by sign, in the text as it is folded."""
    return not term.isalnum() and any(map(is_sign, normal_form(term)))


def sign_regex(term: str) -> str:
    """The rewritten regex of a term that has signs; letters at its ends are whole words."""
    text = normal_form(term)
    body = "".join(char if char.isalnum() or not char.isascii() else "\\" + char for char in text)
    starts, ends = (char.isascii() and char.isalnum() for char in (text[0], text[-1]))
    return r"\b" * starts + body + r"\b" * ends


def check_term(term: str, text: str) -> None:
    """Refuse what the matcher would not find, or find everywhere; `text` is the term's normal form."""
    if len(text) > LONGEST_TERM:
        raise UsageError(f"term {term[:30] + '...'!r} has {len(text)} characters, wanted at most {LONGEST_TERM}")
    if is_address(text):
        return
    if odd := sorted({char for char in text if not char.isalnum() and char not in _IN_TERMS and not is_sign(char)}):
        wanted = (
            "letters, digits, spaces, hyphens, apostrophes, commas, the percent sign and emoji; a regex may have others"
        )
        raise UsageError(f"term {term!r} has {', '.join(map(repr, odd))}, wanted {wanted}")
    letters = [char for char in text if char.isalnum()]
    signs = [char for char in text if not char.isascii() and is_sign(char)]
    if not signs and (not letters or (len(letters) == 1 and letters[0].isascii())):
        raise UsageError(f"term {term!r} is too short, wanted a Chinese character or two letters or digits at least")

"""What a code says, as text: its bytes seldom say in which character set they are."""

from __future__ import annotations

import re

import zxingcpp

MARKED = re.compile(r"\](?:Q[246]|d[456]|e[456]|z[369C])|\]L2|\]X2")  # symbology identifiers with ECI (ISO/IEC 15424)
GUESSES = ("utf-8", "gb2312", "big5", "gb18030", "shift_jis")  # strict ones first


def text_of(code: zxingcpp.Barcode) -> str:
    """Return the text of a code: as marked, else UTF-8, else the first Chinese or Japanese set that fits."""
    said = str(code.text)
    raw = bytes(code.bytes)
    if said.isascii() or MARKED.match(code.symbology_identifier or ""):
        return said
    for name in GUESSES:
        try:
            text = raw.decode(name)
        except UnicodeDecodeError:
            continue
        if text.isprintable() or all(letter.isprintable() or letter in "\r\n\t" for letter in text):
            return text
    return said

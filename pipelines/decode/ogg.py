"""Whether an Ogg file ends where its pages say: a cut one decodes without any complaint.

RFC 3533, section 6: a page says how long it is, and the last page of a stream says that it is the last.
"""

from __future__ import annotations

from pathlib import Path

CAPTURE = b"OggS"
HEADER_BYTES = 27
LONGEST_PAGE = HEADER_BYTES + 255 + 255 * 255
END_OF_STREAM = 0x04


def cut_short(path: Path) -> str | None:
    """Say why an Ogg file is not whole, None where it is."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 2 * LONGEST_PAGE))
        tail = file.read()
    last: tuple[int, int] | None = None
    at = tail.find(CAPTURE)
    while at >= 0:
        page = _page(tail, at)
        if page is None:
            return "the file ends inside an Ogg page"
        last = page
        at = tail.find(CAPTURE, at + page[0])
    if last is None or not last[1] & END_OF_STREAM:
        return "the last Ogg page does not end its stream"
    return None


def _page(tail: bytes, at: int) -> tuple[int, int] | None:
    """Length and flags of the page that begins here, None where it is not whole."""
    head = tail[at : at + HEADER_BYTES]
    if len(head) < HEADER_BYTES:
        return None
    segments = tail[at + HEADER_BYTES : at + HEADER_BYTES + head[26]]
    length = HEADER_BYTES + head[26] + sum(segments)
    return (length, head[5]) if len(segments) == head[26] and at + length <= len(tail) else None

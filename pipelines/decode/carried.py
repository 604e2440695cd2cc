"""What a film calls itself: its tags, and the titles of its chapters. A player shows them."""

from __future__ import annotations

from collections.abc import Iterator

from av.container import InputContainer

from pipelines.decode.clock import clock_ms
from pipelines.decode.found import WRITTEN, Found

TAGS = (
    "title",
    "comment",
    "description",
    "synopsis",
    "artist",
    "album",
    "genre",
    "copyright",
    "keywords",
    "lyrics",
    "show",
    "publisher",
    "author",
)
MOST_CHAPTERS = 1000


def described(container: InputContainer, start_us: int, duration_ms: int) -> tuple[Found, ...]:
    """Tags and the titles of chapters; what cannot be made sense of is left out."""
    try:
        return (*tags_of(container, duration_ms), *chapters_of(container, start_us))
    except (ValueError, KeyError):
        return ()


def tags_of(container: InputContainer, duration_ms: int) -> Iterator[Found]:
    """What the file and its tracks are called; each text once."""
    seen: set[str] = set()
    for metadata in (container.metadata, *[stream.metadata for stream in container.streams]):
        for name, text in metadata.items():
            plain = name.lower().partition("-")[0]  # a language behind it: title-eng
            if plain in TAGS and text.strip() and text not in seen:
                seen.add(text)
                yield Found(0, duration_ms, text.strip(), WRITTEN, f"tag {plain}")


def chapters_of(container: InputContainer, start_us: int) -> Iterator[Found]:
    """The titles of chapters, each over its chapter."""
    for chapter in container.chapters()[:MOST_CHAPTERS]:
        title = str(chapter["metadata"].get("title", "")).strip()
        base = chapter["time_base"]
        if title and base:
            start_ms, end_ms = (max(0, clock_ms(int(chapter[edge]), base, start_us)) for edge in ("start", "end"))
            yield Found(start_ms, max(start_ms, end_ms), title, WRITTEN, "chapter")

"""How a video ended, and what is known of it as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.decode.found import Found
from pipelines.rows import MediaError


@dataclass(frozen=True)
class End:
    """What is known of a video once it was read: the last thing that `read` yields."""

    media: str  # "video", "picture" or "audio"
    decoder: str
    duration_ms: int
    error: MediaError | None = None
    found: tuple[Found, ...] = ()  # text that the file carries

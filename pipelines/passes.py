"""A night looked at twice, read as one: dense features where the second pass went, those of keyframes elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Self

import pyarrow as pa

from pipelines.pieces import Content, Pieces
from pipelines.risk.policy import Policy
from pipelines.risk.screening import Screened, screen
from pipelines.rows import ErrorCode


class Passes(Pieces):
    """Two folders of pieces as one: a content is wholly of one pass, its sound included.

    What keyframes did not settle and nobody looked at densely is not examined, whatever its keyframes show.
    """

    def __init__(self, dense: Pieces, keyframes: Pieces, screened: Mapping[str, Screened]) -> None:
        self.folder = dense.folder
        self.dense, self.keyframes, self.screened = dense, keyframes, screened
        examined = dense.settled()
        self.by_keyframes = {sha256 for sha256, one in screened.items() if not one.doubt} - examined
        seen_first = {sha256: self._as_far_as_seen(sha256) for sha256 in keyframes.contents}
        seen_densely = {s: content for s, content in dense.contents.items() if s not in self.by_keyframes}
        self.contents = seen_first | seen_densely

    def rows(self, kind: str, contents: Iterable[str]) -> pa.Table:
        """Return the rows of one kind of some contents, each from the pass that its content is of."""
        contents = set(contents)
        first = {sha256 for sha256 in contents if self.contents[sha256] is not self.dense.contents.get(sha256)}
        return pa.concat_tables([self.dense.rows(kind, contents - first), self.keyframes.rows(kind, first)])

    def only(self, contents: Iterable[str]) -> Self:
        """The same with some contents; whoever reads them needs no policy any more."""
        some = super().only(contents)
        some.dense, some.keyframes = self.dense.only(some.contents), self.keyframes.only(some.contents)
        some.screened, some.by_keyframes = {}, set()
        return some

    def _as_far_as_seen(self, sha256: str) -> Content:
        content = self.keyframes.contents[sha256]
        if sha256 in self.by_keyframes or content.error_code:
            return content
        one = self.screened.get(sha256)
        why = f" ({one.doubt})" if one and one.doubt else ""
        message = f"only its keyframes were looked at, and they leave a doubt{why}"
        return replace(content, error_code=ErrorCode.NOT_EXAMINED.value, error_message=message)


def passes(dense: Pieces, keyframes: Pieces, policy: Policy) -> Passes:
    """Read two stored passes as one, as a policy screens the first."""
    return Passes(dense, keyframes, screen(keyframes, keyframes.contents.keys() - dense.settled(), policy))

"""Copies: the claims of a video by the work they are of, both sides in pictures, both timelines in one drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from jobs.report.album import Album, Picture
from jobs.report.claims import LICENSED, TITLE, Claim, gravest, kind_of, sentence, title_of
from jobs.report.mapping import Band, map_svg
from jobs.report.points import Points, check_text, drawn_points
from jobs.report.timeline import Mark, clock, span
from jobs.report.tracks import Track
from jobs.report.words import one_line, score_text, short
from pipelines.risk.policy import Policy

PAIRS = 8  # of a video that are shown in pictures, the gravest first
NAMED = 28  # characters of a title under a picture or beside a drawing


@dataclass(frozen=True)
class Side:
    """One of the two pictures of a pair."""

    picture: Picture | None
    whose: str
    when: str


@dataclass(frozen=True)
class ClaimView:
    """One claim in words and pictures."""

    claim: Claim
    sentence: str
    when: str
    sides: tuple[Side, ...] = ()  # the upload's and the reference's; none where words have to do
    check: str = ""  # what verification of the picture came to
    points: Points | None = None  # over both sides

    @property
    def is_doubted(self) -> bool:
        """Whether the picture was looked at again and not found to be the same beyond doubt."""
        return any(side.row.get("verified") not in (None, "verified") for side in self.claim.sides)

    @property
    def opens(self) -> str:
        """The picture that a mark of the claim opens: rather the work's, for an upload's may stand beside two works."""
        return next((side.picture.key for side in reversed(self.sides) if side.picture), "")

    @property
    def tip(self) -> str:
        """What pointing at it says."""
        first = f"{self.claim.label.name} {score_text(self.claim.score)}, {self.when}"
        return "\n".join(filter(None, (first, self.sentence, self.check, self.claim.decision, self.claim.source)))


@dataclass(frozen=True)
class Copy:
    """What a video has of one reference."""

    kind: str
    title: str
    about: str  # kind, owner and id
    licence: str
    name: str  # the title, short enough to stand beside the drawing
    svg: Markup
    claims: tuple[ClaimView, ...]  # in order of time


@dataclass(frozen=True)
class Scene:
    """What the claims of one video are shown with."""

    strip: Mapping[int, bytes]  # frame_ms -> WebP of the upload
    scale_ms: int  # of the upload's timeline; 1 for a picture
    policy: Policy
    album: Album

    @property
    def still(self) -> bool:
        """Whether the upload is a picture, which has no times."""
        return self.scale_ms <= 1


def claim_views(claims: Sequence[Claim], scene: Scene) -> list[ClaimView]:
    """Say every claim, and show the first few in pictures."""
    return [_view(claim, scene, with_pictures=number < PAIRS) for number, claim in enumerate(claims)]


def _view(claim: Claim, scene: Scene, *, with_pictures: bool) -> ClaimView:
    when = "in the picture" if scene.still else span(*claim.span)
    sides = _sides(claim, scene) if with_pictures else ()
    check = next(filter(None, (check_text(side.row) for side in claim.sides)), "")
    points = drawn_points(_paired(claim) or {}) if sides else None
    return ClaimView(claim, sentence(claim, still=scene.still), when, sides, check, points)


def _paired(claim: Claim) -> Mapping[str, Any] | None:
    """The match whose pair of pictures was looked at point by point, if there is one."""
    return next((side.row for side in claim.sides if side.row.get("picture") and side.row["ref_picture"]), None)


def _sides(claim: Claim, scene: Scene) -> tuple[Side, ...]:
    """Both pictures; a side that has none says so. A pair that was verified is shown as it was looked at."""
    if pair := _paired(claim):
        return _pair_sides(claim, pair, scene.album)
    near = min(scene.strip, key=lambda ms: abs(ms - claim.evidence_ms), default=None)
    there = next((side for side in claim.sides if side.row["ref_picture"]), None)
    if near is None and there is None:
        return ()
    name, said = short(title_of(claim.best), TITLE), f"{claim.label.name} {score_text(claim.score)}"
    sides = [Side(None, "this upload", ""), Side(None, short(name, NAMED), "")]
    if near is not None:
        shown = scene.album.picture(scene.strip[near], f"This upload at {clock(near)}: {said}")
        sides[0] = Side(shown, "this upload", "" if scene.still else clock(near))
    if there:
        about = f"about {clock((there.row['ref_start_ms'] + there.row['ref_end_ms']) // 2)}"
        shown = scene.album.picture(there.row["ref_picture"], f"{name}, {about}: {said}")
        sides[1] = Side(shown, short(name, NAMED), about)
    return tuple(sides)


def _pair_sides(claim: Claim, pair: Mapping[str, Any], album: Album) -> tuple[Side, ...]:
    """The two pictures of a pair; when they were taken is not kept, so that no time stands below them."""
    name, said = short(title_of(claim.best), TITLE), f"{claim.label.name} {score_text(claim.score)}"
    ours, theirs = (
        album.picture(pair[column], f"{whose}: {said}")
        for column, whose in (("picture", "This upload"), ("ref_picture", name))
    )
    return Side(ours, "this upload", ""), Side(theirs, short(name, NAMED), "")


def copies(views: Sequence[ClaimView], scene: Scene) -> tuple[Copy, ...]:
    """Group claims by reference, in the order of the gravest of each."""
    works: dict[str, list[ClaimView]] = {}
    for view in views:
        works.setdefault(view.claim.reference_id, []).append(view)
    return tuple(_copy(sorted(group, key=lambda view: view.claim.span), scene) for group in works.values())


def _copy(group: Sequence[ClaimView], scene: Scene) -> Copy:
    best = group[0].claim.best
    title, known_as = title_of(best), one_line(best.row["reference_id"])
    about = (kind_of(best), one_line(best.owner), known_as if known_as != title else "")
    return Copy(
        kind=LICENSED if best.licensed else gravest(view.claim.kind for view in group),
        title=title,
        about=", ".join(filter(None, about)),
        licence=_licence(scene.policy) if best.licensed else "",
        name=short(title, NAMED),
        svg=Markup("")
        if scene.still
        else map_svg([_band(view) for view in group], scene.scale_ms, short(title, TITLE)),
        claims=tuple(group),
    )


def _licence(policy: Policy) -> str:
    where = "the whole world" if policy.territory == "*" else policy.territory
    return f"Licensed where this policy shows videos ({where}), so it counts for nothing."


def _band(view: ClaimView) -> Band:
    return Band(*view.claim.span, *view.claim.ref_span, view.claim.kind, view.tip, view.opens)


def claim_lanes(views: Sequence[ClaimView], duration_ms: int) -> list[tuple[Track, tuple[Mark, ...]]]:
    """Lay the claims under one label and one rule into one lane, whether seen or heard; licensed ones stay out."""
    lanes: dict[tuple[str, object], list[ClaimView]] = {}
    for view in views:
        if not view.claim.best.licensed:
            lanes.setdefault((view.claim.label.name, view.claim.rule), []).append(view)
    return [(_track([view.claim for view in group], duration_ms), _marks(group)) for group in lanes.values()]


def _track(claims: Sequence[Claim], duration_ms: int) -> Track:
    signals = tuple(signal for claim in claims for signal in claim.signals)
    forms = sorted({signal.form for signal in signals}, reverse=True)
    return Track(claims[0].label.name, " and ".join(forms), claims[0].rule, signals, duration_ms=duration_ms)


def _marks(group: Sequence[ClaimView]) -> tuple[Mark, ...]:
    """One mark a claim; those that overlap share the height of the lane."""
    places = rows_apart([view.claim.span for view in group])
    return tuple(_mark(view, *place) for view, place in zip(group, places, strict=True))


def _mark(view: ClaimView, row: int, rows: int) -> Mark:
    claim = view.claim
    return Mark(*claim.span, claim.evidence_ms, claim.score, claim.kind, view.tip, view.opens, row, rows)


def rows_apart(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Give each stretch its row, and how many rows those have that hang together with it.

    (0, 5), (3, 8), (5, 9), (20, 30) stand in 0 of 2, 1 of 2, 0 of 2 and 0 of 1.
    """
    found: list[tuple[int, int]] = [(0, 1)] * len(spans)
    ends: list[int] = []  # of the rows in use
    knot: dict[int, int] = {}  # row by number, of the stretches that hang together
    for number in sorted(range(len(spans)), key=lambda n: spans[n]):
        start, end = spans[number]
        if all(until <= start for until in ends):
            ends, knot = [], {}
        row = next((n for n, until in enumerate(ends) if until <= start), len(ends))
        ends[row : row + 1] = [end]
        knot[number] = row
        for member in knot:
            found[member] = (knot[member], len(ends))
    return found

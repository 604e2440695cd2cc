"""Matches of a night as they are kept, written by hand."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from pipelines.copyright.bank.reference import Kind, Reference, parse_licences
from pipelines.copyright.matched import MATCHES, Matched


def row(content: str, reference: str | None = "dune", **said: object) -> dict[str, object]:
    """Seconds 10 to 30 of an upload are 110 to 130 of a reference; None is an upload that was matched in vain."""
    if reference is None:
        return {"content_sha256": content}
    times = {"start_ms": 10_000, "end_ms": 30_000, "ref_start_ms": 110_000, "ref_end_ms": 130_000}
    known = {"form": "Image", "verified": "verified", "score": 0.75, "speed": 1.0, "claim": 0, **times, **said}
    return {"content_sha256": content, "reference_id": reference, "claim_score": known["score"], **known}


def reference(name: str = "dune", kind: Kind = Kind.FILM, licences: str = "none", **said: object) -> Reference:
    known = {"title": name.title(), "owner": "A Studio", "content_sha256": f"{name:0>64}", **said}
    return Reference(id=name, kind=kind, licences=parse_licences(licences), **known)


def matched(folder: Path, rows: Iterable[dict[str, object]], references: Iterable[Reference]) -> Matched:
    """Keep them in a folder named by the version of the bank."""
    kept = Matched(folder / "7-abcdef01")
    kept.write(pa.Table.from_pylist(list(rows), MATCHES))
    kept.keep_facts(references)
    return kept

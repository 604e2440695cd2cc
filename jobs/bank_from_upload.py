"""Make a creator's original a reference: an upload of a stored night, from what the night has kept of it.

Nothing is decoded. An upload has no view of its frames stretched to a square, with which references are compared with
what is laid inside other frames; it is made of the stored stills, with the tower, every two seconds or so. A copy of
the plain frame is found as with any reference; one behind borders or in a corner with fewer frames to go by.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from jobs.bank_add import Outcome, Pair, open_for
from jobs.clustering import uploads_of
from jobs.judge import read_summary
from jobs.retention import why_gone
from model_registry.bundles import PinnedBundle, bundle_named, pin
from model_registry.errors import UsageError
from model_registry.model import predict_all
from pipelines.clusters.uploads import Upload
from pipelines.copyright.bank.bank import Bank
from pipelines.copyright.bank.reference import Kind, Reference
from pipelines.copyright.fingerprint import Fingerprint
from pipelines.copyright.picture.pdq import pdq
from pipelines.copyright.picture.views import SQUARE, View
from pipelines.copyright.stored import stored_fingerprints
from pipelines.copyright.verification.stills import Stills, stored_stills
from pipelines.pieces import Content, Pieces
from pipelines.places import read_table
from pipelines.predict import loaded


def add_uploads(args: argparse.Namespace) -> list[Outcome]:
    """Add each upload that is named; return what became of it, in the order given."""
    if args.paths or args.metadata:
        raise UsageError("--from-upload goes with no PATH and no --metadata: what it adds is in the night's features")
    if args.night is None:
        raise UsageError("--from-upload wants --night DIR, the folder of the night with that upload")
    summary = read_summary(args.night)
    if why := why_gone(args.night, summary):
        raise UsageError(f"{why}: no reference can be made of its uploads")
    pieces = Pieces(args.night / "features" / summary["run"]["features"])
    uploads = {one.video_id: one for one in uploads_of(args.night, pieces).uploads}
    bundle = pin(bundle_named(args.bundle), args.alias, download=not args.offline)
    if (tower := str(summary["versions"]["models"][0])) != bundle.tower.source:
        raise UsageError(f"the night's frames were seen by {tower}, bundle {bundle.name} sees by {bundle.tower.source}")
    titles = _titles(args)
    chosen = [_upload(name, uploads, pieces, args) for name in dict.fromkeys(args.from_upload)]
    bank = open_for(args.bank, bundle)
    kind = Kind(args.kind) if args.kind else Kind.CREATOR
    return [_add(bank, one, pieces, bundle, kind, titles) for one in chosen]


def _titles(args: argparse.Namespace) -> dict[str, str]:
    rows = read_table(args.night / "manifest.parquet", columns=["video_id", "title"]).to_pylist()
    return {row["video_id"]: row["title"] or "" for row in rows}


def _upload(name: str, uploads: Mapping[str, Upload], pieces: Pieces, args: argparse.Namespace) -> Upload:
    if name not in uploads:
        raise UsageError(f"{args.night} has no upload {name!r} whose content is known; it has {len(uploads)}")
    if uploads[name].content_sha256 not in pieces.contents:
        raise UsageError(f"{args.night} kept no features of {name!r}: it was not examined")
    return uploads[name]


def _add(
    bank: Bank, upload: Upload, pieces: Pieces, bundle: PinnedBundle, kind: Kind, titles: Mapping[str, str]
) -> Outcome:
    content = pieces.contents[upload.content_sha256]
    fingerprint, note = fingerprint_of(upload.content_sha256, pieces, bundle)
    if not (len(fingerprint.frame_ms) or len(fingerprint.peaks)):
        return Outcome(upload.uri, upload.video_id, "unreadable", note="there is nothing in it to match")
    reference = _reference(upload, content, kind, titles.get(upload.video_id, ""))
    pair: Pair = (reference, fingerprint.within(bank.space))
    try:
        added = bank.add_all([pair])
    except UsageError as error:
        return Outcome(upload.uri, upload.video_id, "refused", note=str(error))
    return Outcome(upload.uri, upload.video_id, "added" if added else "known", reference.duration_ms, note)


def _reference(upload: Upload, content: Content, kind: Kind, title: str) -> Reference:
    return Reference(
        id=upload.video_id,
        content_sha256=upload.content_sha256,
        title=title or upload.video_id,
        owner=upload.uploader_id or "",
        kind=kind,
        uri=upload.uri,
        duration_ms=content.duration_ms,
        complete=content.error_code is None,
        error_code=content.error_code,
        error_message=content.error_message,
    )


def fingerprint_of(sha256: str, pieces: Pieces, bundle: PinnedBundle) -> tuple[Fingerprint, str | None]:
    """Return a reference's fingerprint, not yet within a space, and what is to be said of it."""
    raw = stored_fingerprints(pieces, [sha256])[sha256]
    stills = stored_stills(pieces, [sha256]).get(sha256)
    if not len(raw.frame_ms):
        return raw, None
    if stills is None or not len(stills):
        return raw, "it has no stretched views, because no stills were kept: copies inside other frames may be missed"
    return _with_whole(replace(raw, stills=stills), stills, bundle), None


def _with_whole(raw: Fingerprint, stills: Stills, bundle: PinnedBundle) -> Fingerprint:
    """Add View.WHOLE of each still."""
    pictures = [np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")) for picture in stills.pictures]
    squares = [np.asarray(Image.fromarray(one).resize((SQUARE, SQUARE), Image.Resampling.BILINEAR)) for one in pictures]
    embeddings_ND = np.asarray(predict_all(loaded(bundle.tower, "cpu", 1), squares), np.float16)
    hashes = [pdq(one) for one in pictures]
    columns: dict[str, Any] = {
        "frame_ms": stills.frame_ms,
        "view": np.full(len(stills), View.WHOLE, np.uint8),
        "descriptors_ND": embeddings_ND,
        "pdq_NB": np.frombuffer(b"".join(bits for bits, _ in hashes), np.uint8).reshape(len(hashes), -1),
        "pdq_quality": np.array([quality for _, quality in hashes], np.uint8),
    }
    joined: dict[str, Any] = {name: np.concatenate([getattr(raw, name), more]) for name, more in columns.items()}
    order = np.lexsort((joined["view"], joined["frame_ms"]))
    ordered: dict[str, Any] = {name: column[order] for name, column in joined.items()}
    return replace(raw, **ordered)

"""Matches on disk: what a night was found to hold of one version of a bank, in pieces that survive any kill."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.copyright.bank.reference import Reference, licences_text
from pipelines.pieces import new_piece
from pipelines.places import Place, each, exists, listed, make, read_table, write_table

TAKEN_OVER = "matches-taken-over"
OTHER_CLAIMS = 1 << 20
MATCH = pa.struct(
    [
        ("reference_id", pa.string()),
        ("form", pa.string()),
        ("score", pa.float32()),
        ("start_ms", pa.int64()),
        ("end_ms", pa.int64()),
        ("ref_start_ms", pa.int64()),
        ("ref_end_ms", pa.int64()),
        ("speed", pa.float32()),  # reference seconds a second of the upload
        ("claim", pa.int32()),  # rows of one content with the same number are one claim
        ("claim_score", pa.float32()),  # what picture and sound come to together
        ("verified", pa.string()),  # "verified", "in_doubt" or "unseen" of a picture; null where sound speaks
        ("reason", pa.string()),  # why, in plain words
        ("track", pa.string()),  # which sound of the upload; null for pictures
    ]
)
POINT = pa.struct([(name, pa.float32()) for name in ("x", "y", "ref_x", "ref_y")])  # 0 to 1 of each picture
MATCHES = pa.schema(
    [
        ("content_sha256", pa.string()),
        *MATCH,  # reference_id is null where this content was matched and nothing was found
        ("ref_picture", pa.binary()),  # a WebP of the reference, of the pair of frames that agrees best, if it has one
        ("picture", pa.binary()),  # a WebP of the upload of the same pair; null where no pair was looked at
        ("points", pa.list_(POINT)),  # points of `picture` and of `ref_picture` that show the same
    ]
)
FACTS = pa.schema(  # of matched references, as they were when they matched
    [
        ("reference_id", pa.string()),
        ("content_sha256", pa.string()),
        ("kind", pa.string()),
        ("title", pa.string()),
        ("owner", pa.string()),
        ("licences", pa.string()),
    ]
)


def matches_folder(features: Place, bank_version: str) -> Place:
    """Where the features of a night keep its matches with a bank."""
    return features / "matches" / bank_version


class Matched:
    """The matches of one night with one version of a bank, in a folder named by it."""

    verifying_s = 0.0  # that a single upload took; a night counts its own

    def __init__(self, folder: Place) -> None:
        self.folder = folder

    @property
    def source(self) -> str:
        """The bank as signals name it: `bank@version`."""
        return f"bank@{self.folder.name}"

    def table(self, columns: Iterable[str] = MATCHES.names) -> pa.Table:
        """Some columns of every row of every piece; the pictures are most of its bytes."""
        schema = pa.schema([MATCHES.field(name) for name in columns])
        paths = listed(self.folder, "matches-*.parquet")
        found = list(each(partial(read_table, schema=schema), paths))
        return pa.concat_tables(found) if found else schema.empty_table()

    def done(self) -> set[str]:
        """Contents that were matched."""
        return set(self.table(["content_sha256"])["content_sha256"].to_pylist())

    def take_over(self, earlier: Matched, references: set[str]) -> None:
        """Keep what was found before of some references; done twice it does nothing."""
        before = earlier.table()
        rows = before.filter(pc.is_in(before["reference_id"], value_set=pa.array(sorted(references), pa.string())))
        if rows.num_rows and TAKEN_OVER not in {path.stem for path in listed(self.folder, "*.parquet")}:
            self.write(_renumbered(rows), TAKEN_OVER)

    def keep_facts(self, references: Iterable[Reference]) -> None:
        """Keep what is known of the references that matched, so that judging needs no bank."""
        named = set(self.table(["reference_id"])["reference_id"].to_pylist())
        make(self.folder)
        write_table(self.folder / "references.parquet", facts_of(ref for ref in references if ref.id in named))

    def facts(self) -> pa.Table:
        """What `keep_facts` kept."""
        path = self.folder / "references.parquet"
        return read_table(path, schema=FACTS) if exists(path) else FACTS.empty_table()

    def write(self, table: pa.Table, name: str = "") -> None:
        """Add a piece; it appears only when whole."""
        make(self.folder)
        write_table(self.folder / f"{name or f'matches-{new_piece()}'}.parquet", table)


def _renumbered(rows: pa.Table) -> pa.Table:
    """Claims of another run, with numbers that no claim of this one has."""
    place = rows.schema.get_field_index("claim")
    return rows.set_column(place, rows.schema.field(place), pc.add(rows["claim"], pa.scalar(OTHER_CLAIMS, pa.int32())))


def facts_of(references: Iterable[Reference]) -> pa.Table:
    """FACTS of some references."""
    return pa.Table.from_pylist([_facts(ref) for ref in references], FACTS)


def _facts(ref: Reference) -> dict[str, object]:
    known = {"reference_id": ref.id, "content_sha256": ref.content_sha256, "title": ref.title, "owner": ref.owner}
    return {**known, "kind": ref.kind.value, "licences": licences_text(ref.licences)}

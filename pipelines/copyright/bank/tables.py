"""What a bank keeps on disk: the columns of its two Lance tables, values to rows and back, and their upkeep."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lance
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model_registry.errors import NightjarError
from model_registry.reading import one_line
from pipelines.copyright.bank.reference import Kind, Licence, Reference, State
from pipelines.rows import PDQ_BYTES

if TYPE_CHECKING:  # it needs torch, which `list` and `disable` do without
    from pipelines.copyright.fingerprint import Fingerprint

MOST_FRAGMENTS = 64  # small ones, before they are merged
LARGE_BYTES = 64 << 20  # a fragment that is left alone
MERGED_BYTES = 128 << 20  # what small ones are merged into
KEPT = timedelta(days=1)  # files of an old version stay for those who opened it
CONFLICT_RETRIES = 30


def _key(name: str) -> pa.Field:
    """A column that Lance holds unique between writers that do not see each other."""
    return pa.field(name, pa.string(), nullable=False, metadata={"lance-schema:unenforced-primary-key": "true"})


REFERENCES = pa.schema(
    [
        _key("id"),
        ("content_sha256", pa.string()),
        ("title", pa.string()),
        ("owner", pa.string()),
        ("kind", pa.string()),
        ("licences", pa.list_(pa.struct([("territory", pa.string()), ("start", pa.date32()), ("until", pa.date32())]))),
        ("uri", pa.string()),
        ("duration_ms", pa.int64()),
        ("complete", pa.bool_()),
        ("error_code", pa.string()),
        ("error_message", pa.string()),
        ("state", pa.string()),
        ("reason", pa.string()),
        ("trusted", pa.bool_()),
        ("added_at", pa.timestamp("ms", "UTC")),
        ("changed_at", pa.timestamp("ms", "UTC")),
    ]
)
FINGERPRINTS = pa.schema(
    [
        _key("content_sha256"),
        ("frames", pa.int64()),  # N, rows of the columns below up to pdq_quality
        ("peaks", pa.int64()),  # P
        ("duration_ms", pa.int64()),
        ("frame_ms", pa.list_(pa.int64())),
        ("view", pa.list_(pa.uint8())),
        ("descriptors", pa.large_binary()),  # float16 [N, D], little-endian
        ("pdq", pa.large_binary()),  # uint8 [N, 32]
        ("pdq_quality", pa.list_(pa.uint8())),
        ("peak_ms", pa.list_(pa.int32())),
        ("peak_pitch", pa.list_(pa.uint16())),
        ("still_ms", pa.list_(pa.int64())),
        ("stills", pa.list_(pa.binary())),  # JPEG
    ]
)
STILLS = ("still_ms", "stills")  # for verification and for people; nomination does not read these
FOR_MATCHING = [name for name in FINGERPRINTS.names if name not in STILLS]


def row_of(reference: Reference) -> dict[str, Any]:
    """One row of REFERENCES."""
    return vars(reference) | {"licences": [vars(licence) for licence in reference.licences]}


def reference_of(row: Mapping[str, Any]) -> Reference:
    """Undo `row_of`."""
    licences = tuple(Licence(**licence) for licence in row["licences"] or ())
    typed = {"kind": Kind(row["kind"]), "state": State(row["state"]), "licences": licences}
    return Reference(**{**row, **typed})


def references_of(rows: pa.Table) -> Iterator[Reference]:
    """The references of some rows."""
    return map(reference_of, rows.to_pylist())


def fingerprint_rows(pairs: Iterable[tuple[str, Fingerprint]]) -> pa.Table:
    """FINGERPRINTS of some contents, one row each."""
    return pa.concat_tables([_fingerprint_row(*pair) for pair in pairs])


def _fingerprint_row(sha256: str, fingerprint: Fingerprint) -> pa.Table:
    columns: dict[str, Any] = {
        "content_sha256": sha256,
        "frames": len(fingerprint.frame_ms),
        "peaks": len(fingerprint.peaks.time_ms),
        "duration_ms": fingerprint.duration_ms,
        "frame_ms": fingerprint.frame_ms,
        "view": fingerprint.view,
        "descriptors": np.ascontiguousarray(fingerprint.descriptors_ND, "<f2").tobytes(),
        "pdq": np.ascontiguousarray(fingerprint.pdq_NB, np.uint8).tobytes(),
        "pdq_quality": fingerprint.pdq_quality,
        "peak_ms": fingerprint.peaks.time_ms,
        "peak_pitch": fingerprint.peaks.pitch,
        "still_ms": fingerprint.stills.frame_ms,
        "stills": list(fingerprint.stills.pictures),
    }
    return pa.table([_one(columns[field.name], field.type) for field in FINGERPRINTS], schema=FINGERPRINTS)


def _one(value: object, kind: pa.DataType) -> pa.Array:
    """An array of one value; the numbers of a list are not turned into Python objects."""
    if not isinstance(value, np.ndarray):
        return pa.array([value], kind)
    return pa.ListArray.from_arrays(pa.array([0, len(value)], pa.int32()), pa.array(value, kind.value_type))


def fingerprints_of(table: pa.Table, dimensions: int) -> Iterator[tuple[str, Fingerprint]]:
    """Undo `fingerprint_rows`; the arrays are copies, so that one of them does not hold on to the whole table."""
    for batch in table.to_batches():
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        for i, sha256 in enumerate(columns["content_sha256"].to_pylist()):
            yield sha256, _fingerprint(columns, i, dimensions)


def _fingerprint(columns: Mapping[str, pa.Array], i: int, dimensions: int) -> Fingerprint:
    from pipelines.copyright.fingerprint import Fingerprint
    from pipelines.copyright.sound.landmarks import Peaks

    def numbers(name: str) -> NDArray[Any]:
        return np.array(columns[name][i].values)

    def bytes_of(name: str, dtype: str, width: int) -> NDArray[Any]:
        return np.frombuffer(columns[name][i].as_py(), dtype).reshape(-1, width)

    return Fingerprint(
        duration_ms=columns["duration_ms"][i].as_py(),
        frame_ms=numbers("frame_ms"),
        view=numbers("view"),
        descriptors_ND=bytes_of("descriptors", "<f2", dimensions),
        pdq_NB=bytes_of("pdq", "u1", PDQ_BYTES),
        pdq_quality=numbers("pdq_quality"),
        peaks=Peaks(numbers("peak_ms"), numbers("peak_pitch")),
    )


def one_of(column: str, values: Iterable[str]) -> str:
    """Lance's filter for rows whose column is one of some texts."""
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"{column} IN ({quoted})" if quoted else "false"


def upsert(table: lance.LanceDataset, key: str, rows: pa.Table) -> None:
    """Write rows in one commit; a row with a known key replaces it."""
    builder = table.merge_insert(key).when_matched_update_all().when_not_matched_insert_all()
    builder.conflict_retries(CONFLICT_RETRIES).execute(rows)


@contextmanager
def using(path: Path) -> Iterator[None]:
    """Name the table where Lance fails; its errors are of many types and end in lines of its source."""
    try:
        yield
    except (OSError, ValueError, RuntimeError, KeyError, pa.ArrowException) as error:
        reason = re.split(r",? /\S+\.rs:\d+", one_line(error, 2000))[0][:300]
        raise NightjarError(f"{path} cannot be used: {reason}") from error


def tidy(table: lance.LanceDataset) -> None:
    """Merge small fragments once there are many, and drop what old versions left behind.

    The table before and after holds the same rows, and it is one commit: a kill leaves the one or the other.
    """
    small = {part.fragment_id: _bytes(part) for part in table.get_fragments() if _bytes(part) < LARGE_BYTES}
    if len(small) <= MOST_FRAGMENTS:
        return
    large = [part.fragment_id for part in table.get_fragments() if part.fragment_id not in small]
    rows = sum(part.physical_rows for part in table.get_fragments() if part.fragment_id in small)
    mean_bytes = max(1, sum(small.values()) // max(1, rows))
    target = max(2, MERGED_BYTES // mean_bytes)
    table.optimize.compact_files(
        target_rows_per_fragment=min(target, 1 << 20),
        batch_size=max(1, min(1024, (16 << 20) // mean_bytes)),
        num_threads=1,
        compaction_mode="try_binary_copy",  # a quarter of the time and a tenth of the memory of encoding anew
        excluded_fragment_ids=large,
    )
    table.cleanup_old_versions(KEPT)


def _bytes(fragment: lance.LanceFragment) -> int:
    return sum(file.file_size_bytes or 0 for file in fragment.data_files())

"""A bank for other tools: references as Parquet or CSV, fingerprints as Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from model_registry.errors import UsageError
from pipelines.copyright.bank import tables
from pipelines.copyright.bank.reader import BankReader
from pipelines.copyright.bank.reference import Reference, licences_text

FORMATS = (".parquet", ".csv")
BATCH_BYTES = 8 << 20  # of fingerprints: reading and packing them takes some ten times as much


def check_path(path: Path, formats: tuple[str, ...] = FORMATS) -> None:
    """Raise UsageError for a path whose name does not say how to write it."""
    if path.suffix.lower() not in formats:
        raise UsageError(f"export to {path}: its name ends in {path.suffix!r}; allowed: {', '.join(formats)}")


def export_references(bank: BankReader, path: Path) -> int:
    """Write all references, and return how many; a CSV can be read back as the metadata of `bank add`."""
    check_path(path)
    write = _write_csv if path.suffix.lower() == ".csv" else _write_parquet
    return write(bank, path)


def _write_parquet(bank: BankReader, path: Path) -> int:
    written = 0
    with _appearing(path) as part, pq.ParquetWriter(part, tables.REFERENCES) as writer:
        for rows in bank.reference_tables():
            writer.write_table(rows.cast(tables.REFERENCES))
            written += rows.num_rows
    return written


def _write_csv(bank: BankReader, path: Path) -> int:
    written = 0
    with _appearing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, tables.REFERENCES.names)
        writer.writeheader()
        for rows in bank.reference_tables():
            writer.writerows(map(flat, tables.references_of(rows)))
            written += rows.num_rows
    return written


def flat(reference: Reference) -> dict[str, Any]:
    """One row of plain values: licences as text, times in ISO 8601."""
    row = vars(reference) | {"licences": licences_text(reference.licences)}
    return {name: _plain(row[name]) for name in tables.REFERENCES.names}


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def export_fingerprints(bank: BankReader, path: Path) -> int:
    """Write one row a reference, and return how many.

    `descriptors` is float16 [N, D], little-endian, and `pdq` uint8 [N, 32]: one row for each entry of `frame_ms`.
    """
    check_path(path, (".parquet",))
    ids = bank.ids()
    columns = [tables.FINGERPRINTS.field(name) for name in tables.FOR_MATCHING]
    schema = pa.schema([("id", pa.string()), *columns])
    schema = schema.with_metadata({"space": bank.space.id, "dimensions": str(bank.space.dimensions)})
    with _appearing(path) as part, pq.ParquetWriter(part, schema, compression="zstd") as writer:
        for rows in bank.fingerprint_tables(ids, batch_bytes=BATCH_BYTES):
            named = pa.array([ids[sha256] for sha256 in rows["content_sha256"].to_pylist()], pa.string())
            writer.write_table(pa.table([named, *rows.columns], schema=schema))
    return len(ids)


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """Lend another name; the file gets its own once it is whole."""
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        raise UsageError(f"export to {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)

"""Readings on disk: what tiers 1 and 2 found in the texts of a night, each text once, in pieces that survive any kill.

Most texts have nothing in them, so a piece keeps a key for every text and words and scores for the few that matter.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from model_registry.errors import NightjarError
from pipelines.pieces import new_piece
from pipelines.places import Place, each, exists, listed, make, read_bytes, read_table, write_table, write_text
from pipelines.text.tiers import Band, Bands, Reading, settle
from pipelines.text.words.matcher import Hit

HIT = pa.struct(
    [
        ("label", pa.string()),
        ("severity", pa.int8()),
        ("certain", pa.bool_()),
        ("score", pa.float32()),
        ("lexicon", pa.string()),
        ("term", pa.string()),
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("how", pa.string()),
    ]
)
SCORE = pa.struct([("label", pa.string()), ("score", pa.float32())])
READINGS = pa.schema(
    [
        ("key", pa.uint64()),
        ("hits", pa.list_(HIT)),
        ("scores", pa.list_(SCORE)),  # null: the semantic model was not asked
    ]
)


def key_of(text: str) -> int:
    """A text's key: 64 bits of its BLAKE2b hash."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


@dataclass(frozen=True)
class Reader:
    """Who read: the lexicons, and the semantic model with its thresholds."""

    lexicons: str  # Lexicons.id
    heads: str = ""  # `model@version`, empty without a semantic model
    bands: tuple[tuple[str, Band], ...] = ()

    @property
    def id(self) -> str:
        """Name of the folder of its readings."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:16]

    @property
    def thresholds(self) -> Bands:
        """The bands by label."""
        return dict(self.bands)


class Readings:
    """What one reader found, in a folder of its own."""

    def __init__(self, folder: Place) -> None:
        self.folder = folder
        self._read: set[int] = set()
        self._found: dict[int, tuple[list[Hit], dict[str, float] | None]] = {}
        for table in each(_piece, listed(folder, "readings-*.parquet")):
            self._take(table)
        known = folder / "reader.json"
        self.reader = _reader(json.loads(read_bytes(known))) if exists(known) else None

    @classmethod
    def made_by(cls, reader: Reader, folder: Place) -> Readings:
        """Open the readings of a reader among those of a night; it is noted before it reads."""
        own = folder / reader.id
        make(own)
        write_text(own / "reader.json", json.dumps(asdict(reader), ensure_ascii=False, indent=2))
        return cls(own)

    def _take(self, table: pa.Table) -> None:
        self._read.update(table["key"].to_numpy().tolist())
        some = table.filter(pa.array(np.asarray(_telling(table)), pa.bool_()))
        for row in some.to_pylist():
            hits = [Hit(**hit) for hit in row["hits"] or ()]
            self._found[row["key"]] = hits, _scores(row["scores"])

    def __len__(self) -> int:
        """How many texts were read."""
        return len(self._read)

    def unread(self, texts: Iterable[str]) -> list[str]:
        """Texts that nobody has read yet, each once."""
        return [text for text in dict.fromkeys(texts) if key_of(text) not in self._read]

    def telling(self, text: str) -> bool:
        """Whether a text has hits or scores."""
        return key_of(text) in self._found

    def meaning(self, text: str) -> Mapping[str, float] | None:
        """The semantic scores of a text, those below the low threshold left out; None where nobody asked."""
        key = key_of(text)
        if key in self._found:
            return self._found[key][1]
        return {} if key in self._read else None

    def hits(self, text: str) -> list[Hit]:
        """What words were found in a text."""
        return self._found.get(key_of(text), ([], None))[0]

    def of(self, text: str) -> list[Reading]:
        """What tiers 1 and 2 say of a text."""
        found = self._found.get(key_of(text))
        if found is None or self.reader is None:
            return []
        return settle(*found, self.reader.thresholds, self.reader.heads, text)

    def write(self, table: pa.Table) -> None:
        """Add a piece (READINGS); it appears only when whole."""
        write_piece(self.folder, table)
        self._take(table)


def write_piece(folder: Place, table: pa.Table) -> None:
    """Write readings where `Readings` will find them."""
    write_table(folder / f"readings-{new_piece()}.parquet", table)


def readings_table(
    texts: Sequence[str], hits: Sequence[Sequence[Hit]], scores: Sequence[Mapping[str, float] | None]
) -> pa.Table:
    """READINGS of some texts."""
    rows = [
        {
            "key": key_of(text),
            "hits": [{name: getattr(hit, name) for name in HIT.names} for hit in found],
            "scores": None if of is None else [{"label": label, "score": score} for label, score in of.items()],
        }
        for text, found, of in zip(texts, hits, scores, strict=True)
    ]
    return pa.Table.from_pylist(rows, READINGS)


def _piece(path: Place) -> pa.Table:
    try:
        return read_table(path, schema=READINGS)
    except (OSError, pa.ArrowException) as error:
        raise NightjarError(f"readings {path} cannot be read: delete the file and its texts are read again") from error


def _telling(table: pa.Table) -> list[bool]:
    """Whether a text has hits or scores."""
    return [
        bool(hits) or bool(of) for hits, of in zip(table["hits"].to_pylist(), table["scores"].to_pylist(), strict=True)
    ]


def _scores(stored: list[dict[str, Any]] | None) -> dict[str, float] | None:
    return None if stored is None else {row["label"]: row["score"] for row in stored}


def _reader(data: dict[str, Any]) -> Reader:
    bands = tuple((label, Band(*band[:3], *map(tuple, band[3:]))) for label, band in data["bands"])
    return Reader(data["lexicons"], data["heads"], bands)

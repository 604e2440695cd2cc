"""A SentencePiece unigram file as a tokenizer of Hugging Face's `tokenizers`: text of any length to piece ids.

Kudo, "Subword Regularization" (ACL 2018). The file is a protocol buffer (sentencepiece_model.proto); two of its fields
are needed: the pieces with their scores, and the table that normalises characters.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from model_registry.reading import reading

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Value = int | bytes
PIECES, NORMALIZER = 1, 3  # fields of ModelProto
TEXT, SCORE = 1, 2  # of a piece
CHARACTERS = 2  # of NormalizerSpec: its precompiled table
UNKNOWN, FIRST, LAST = 0, 1, 2  # ids that SentencePiece gives <unk>, <s> and </s> unless told otherwise


class SentencePieces:
    """Text to piece ids, each line between the pieces that begin and end it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a `.model` file; raises NightjarError where it is none."""
        from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

        with reading(path, "a SentencePiece model", also=(Exception,)):  # tokenizers raises plain Exception
            pieces, characters = _parse(path.read_bytes())
            tokenizer = Tokenizer(models.Unigram(pieces, unk_id=UNKNOWN, byte_fallback=False))
            tokenizer.normalizer = normalizers.Sequence(
                [
                    normalizers.Precompiled(characters),
                    normalizers.Replace(Regex(" {2,}"), " "),
                    normalizers.Strip(),
                ]
            )
            tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
        return cls(tokenizer)

    def __len__(self) -> int:
        return int(self.tokenizer.get_vocab_size())

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text; what UTF-8 cannot say, such as half a surrogate pair, reads as `?`."""
        sayable = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        found = self.tokenizer.encode_batch_fast(sayable, add_special_tokens=False)
        return [[FIRST, *encoding.ids, LAST] for encoding in found]


def _parse(data: bytes) -> tuple[list[tuple[str, float]], bytes]:
    """Return every piece with its score, and the table of characters."""
    pieces: list[tuple[str, float]] = []
    characters = b""
    for field, value in _fields(data):
        if field == PIECES:
            parts = dict(_fields(_bytes(value)))
            pieces.append((_bytes(parts[TEXT]).decode(), _float(parts.get(SCORE, b"\0" * 4))))
        elif field == NORMALIZER:
            characters = _bytes(dict(_fields(_bytes(value))).get(CHARACTERS, b""))
    if len(pieces) <= LAST or not characters:
        raise ValueError(f"it holds {len(pieces)} pieces and {len(characters)} bytes of a table of characters")
    return pieces, characters


def _fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """Walk one message of the protocol-buffer wire format: (field number, value), numbers as they are stored."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind, value = key & 7, 0
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        length = {1: 8, 5: 4}.get(kind, 0)
        if kind == 2:
            length, at = _varint(data, at)
        elif not length:
            raise ValueError(f"byte {at} begins a field of wire type {kind}, allowed are 0, 1, 2 and 5")
        if at + length > len(data):
            raise ValueError(f"the field at byte {at} ends {at + length - len(data)} bytes after the file")
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError(f"a field holds the number {value}, wanted bytes")
    return value


def _float(value: Value) -> float:
    number: Any = struct.unpack("<f", _bytes(value))[0]
    return float(number)

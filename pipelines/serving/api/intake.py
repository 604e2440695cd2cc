"""A request's body to an upload: multipart or JSON in, a private file and checked facts out, nothing left behind."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request

from pipelines.serving.api.settings import Settings
from pipelines.serving.contract import EVERY_LOOK, Look, Refused, Upload

FORM, JSON = "multipart/form-data", "application/json"
MOST_FIELDS = 12
MOST_FIELD_BYTES = 256 << 10
SMALL = 256 << 10  # bytes that are written and removed at once, as a frame of a live room is
MOST_NAME = 200  # characters of an id
FILES = ("file", "image", "audio", "video")  # names that a body may give its bytes
TEXTS = ("title", "description", "text", "uploader_id", "id", "looks", "webhook", "webhook_secret", "uri")


class Fetcher(Protocol):
    """Brings what a URI names, if that is allowed."""

    async def fetched(self, uri: str, path: Path) -> int:
        """Write it to a file; raises Refused."""


@dataclass
class Fields:
    """What a body says, before it is believed."""

    texts: dict[str, str] = field(default_factory=dict)
    looks: list[str] | None = None
    path: Path | None = None


def refused(code: str, sentence: str, status: int = 400) -> Refused:
    """A request that is not as it has to be."""
    return Refused(status, code, sentence)


class Files:
    """The files that one request brings. Each is made before it is filled: what was removed meanwhile stays so."""

    def __init__(self) -> None:
        self._paths: list[Path] = []

    def new(self) -> Path:
        """Make one, private and with a random name. Not for another thread: a caller who leaves may be gone by then."""
        handle, name = tempfile.mkstemp(prefix="nightjar-upload-")
        os.close(handle)
        self._paths.append(Path(name))
        return self._paths[-1]

    def are_small(self) -> bool:
        """Whether removing them takes less time than the way to another thread."""
        with suppress(OSError):
            return sum(path.stat().st_size for path in self._paths) <= SMALL
        return False

    def remove(self) -> None:
        """Leave nothing behind, as far as the disk lets go of it."""
        for path in self._paths:
            with suppress(OSError):
                path.unlink()


@asynccontextmanager
async def received(request: Request, settings: Settings, fetcher: Fetcher | None) -> AsyncIterator[Fields]:
    """Read a body; its file is private, has a random name, and is gone when the block is left, however it is left."""
    kind = _kind_of(request, FORM, JSON)
    async with private_files() as files:
        fields = await (_form(request, files) if kind == FORM else _json_fields(request, files))
        if uri := fields.texts.get("uri"):
            await _fetch(uri, fields, files, fetcher)
        check_length(sum(map(len, fields.texts.values())), settings)
        yield fields


@asynccontextmanager
async def private_files() -> AsyncIterator[Files]:
    """For what a request brings; a caller that goes away again and again leaves nothing behind."""
    files = Files()
    try:
        yield files
    finally:
        if files.are_small():
            files.remove()
        else:
            await asyncio.shield(asyncio.to_thread(files.remove))


def _kind_of(request: Request, *allowed: str) -> str:
    """The one content type that a request has; raises Refused for another, and for two."""
    kinds = request.headers.getlist("content-type")
    kind = kinds[0].split(";")[0].strip().lower() if len(kinds) == 1 else ", ".join(kinds)
    if kind not in allowed:
        raise refused(
            "unsupported_media_type", f"the content type is {kind[:80]!r}; allowed: {', '.join(allowed)}", 415
        )
    return kind


def upload_of(fields: Fields) -> Upload:
    """What is asked, checked; raises Refused."""
    texts = fields.texts
    try:
        return Upload(
            upload_id=_name(texts.get("id")),
            path=fields.path,
            title=texts.get("title", ""),
            description="\n".join(filter(None, (texts.get("description"), texts.get("text")))),
            uploader_id=texts.get("uploader_id", ""),
            looks=looks_of(fields.looks),
        )
    except ValueError as error:
        raise refused("nothing_to_check", str(error)) from None


def looks_of(names: Iterable[str] | None) -> frozenset[Look]:
    """The looks that a caller names; all where none is named."""
    if names is None:
        return EVERY_LOOK
    wanted = [name.strip().lower() for name in names if name.strip()]
    if unknown := [name for name in wanted if name not in set(Look)]:
        raise refused("unknown_look", f"there is no look {unknown[0][:80]!r}; allowed: {', '.join(Look)}")
    return frozenset(map(Look, wanted))


def _name(given: str | None) -> str:
    name = given or f"upl_{secrets.token_hex(8)}"
    if len(name) > MOST_NAME or not name.isprintable():
        raise refused("bad_id", f"the id has {len(name)} characters; allowed: 1 to {MOST_NAME}, all printable")
    return name


async def _form(request: Request, files: Files) -> Fields:
    from starlette.formparsers import MultiPartException

    fields = Fields()
    _check_charset(request)
    try:
        parser = request.form(max_files=1, max_fields=MOST_FIELDS, max_part_size=MOST_FIELD_BYTES)
        async with parser as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    _known(name, FILES)
                    fields.path = files.new()
                    if value.size is not None and value.size <= SMALL:
                        _copy(value, fields.path)
                    else:
                        await asyncio.to_thread(_copy, value, fields.path)
                elif name == "looks":
                    fields.looks = [*(fields.looks or []), *value.split(",")]
                else:
                    _known(name, TEXTS)
                    fields.texts[name] = _text(name, value)
    except ClientDisconnect:
        raise _gone() from None
    except (MultiPartException, UnicodeError) as error:
        raise refused("malformed_body", f"the form cannot be read: {str(error)[:200]}") from None
    except Exception as error:
        # Starlette wraps what its parser finds once the app has handlers of its own.
        if getattr(error, "status_code", None) == 400:
            raise refused("malformed_body", f"the form cannot be read: {getattr(error, 'detail', '')[:200]}") from None
        raise
    return fields


def _check_charset(request: Request) -> None:
    """Some of Python's codecs take minutes for the text of a field, or raise what is no UnicodeDecodeError."""
    from python_multipart.multipart import parse_options_header

    charset = parse_options_header(request.headers["content-type"])[1].get(b"charset", b"utf-8")
    if charset.lower() not in (b"utf-8", b"utf8", b"us-ascii"):
        raise refused("malformed_body", f"the form's charset is {charset.decode('latin-1')[:40]!r}; allowed: utf-8")


def _gone() -> Refused:
    return refused("client_gone", "the caller went away before the body was whole")


def _copy(upload: UploadFile, path: Path) -> None:
    with _filling(path) as file:
        shutil.copyfileobj(upload.file, file, 1 << 20)


def _filling(path: Path) -> BinaryIO:
    """Open a file that is there."""
    return open(os.open(path, os.O_WRONLY | os.O_NOFOLLOW), "wb")


async def json_body(request: Request) -> dict[str, Any]:
    """An object; raises Refused for anything else."""
    _kind_of(request, JSON)
    try:
        body = await request.body()
    except ClientDisconnect:
        raise _gone() from None
    try:
        found = await asyncio.to_thread(json.loads, body)
    except (ValueError, RecursionError):
        raise refused("malformed_body", "the body is no JSON, or too deep") from None
    if not isinstance(found, dict):
        raise refused("malformed_body", f"the body is a JSON {type(found).__name__}, wanted an object")
    return found


async def _json_fields(request: Request, files: Files) -> Fields:
    fields, said = Fields(), await json_body(request)
    for name, value in said.items():
        if name == "looks":
            fields.looks = _names(value)
        elif name in FILES:
            if fields.path:
                raise refused("too_many_files", "the body holds several files, wanted one")
            fields.path = await kept(value, files)
        else:
            _known(name, (*TEXTS, *FILES))
            fields.texts[name] = _text(name, value)
    return fields


async def kept(encoded: Any, files: Files) -> Path:
    """Write base64, or a data URI of it, to a private file; raises Refused."""
    path = files.new()
    await asyncio.to_thread(_keep, encoded, path)
    return path


def _keep(encoded: Any, path: Path) -> None:
    if not isinstance(encoded, str) or not encoded:
        raise refused("bad_file", f"the file is a {type(encoded).__name__}, wanted base64 or a data: URI")
    if encoded.startswith("data:"):
        head, comma, encoded = encoded.partition(",")
        if not comma or not head.endswith(";base64"):
            raise refused("bad_file", "the data: URI has no ;base64, part")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise refused("bad_file", "the file is no base64") from None
    with _filling(path) as file:
        file.write(data)


async def _fetch(uri: str, fields: Fields, files: Files, fetcher: Fetcher | None) -> None:
    if fields.path:
        raise refused("too_many_files", "the body holds a file and a uri, wanted one of them")
    if fetcher is None:
        raise refused("uri_refused", "this service fetches no URIs; send the bytes", 403)
    fields.path = await fetched(uri, files, fetcher)


async def fetched(uri: str, files: Files, fetcher: Fetcher) -> Path:
    """Bring what a URI names into a private file."""
    path = files.new()
    await fetcher.fetched(uri, path)
    return path


def _names(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.split(",")
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return value
    raise refused("bad_looks", "looks is no list of names")


def _known(name: str, allowed: tuple[str, ...]) -> None:
    if name not in allowed:
        raise refused("unknown_field", f"there is no field {name[:80]!r}; allowed: {', '.join(allowed)}, looks")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise refused("bad_field", f"{name} is a {type(value).__name__}, wanted a text")
    return value.encode("utf-8", "replace").decode()  # lone surrogates reach no model and no answer


def check_length(found: int, settings: Settings) -> None:
    """Raise Refused for more characters than models should read at once."""
    if found > settings.most_characters:
        said = f"the texts have {found:,} characters, allowed are {settings.most_characters:,}"
        raise refused("text_too_long", said, 413)

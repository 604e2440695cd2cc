"""Files of callers under names of our own, so that they outlive the call: linked, or copied where that cannot be."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import shutil
import tempfile
from pathlib import Path

NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES}  # here; a copy may do


class OwnFiles:
    """A private folder of them, from the first one until closed. Lives on one event loop."""

    def __init__(self, prefix: str) -> None:
        self._prefix, self._folder = prefix, Path()
        self._copies: set[asyncio.Task[Path]] = set()
        self._closed = False

    async def keep(self, path: Path) -> Path:
        """Return another name for the content of a file; raises OSError, and leaves nothing when cancelled."""
        if self._closed:
            raise OSError(errno.ESHUTDOWN, "no more files are kept")
        if not self._folder.name:
            self._folder = Path(tempfile.mkdtemp(prefix=self._prefix))
        own = self._folder / f"{secrets.token_hex(8)}{path.suffix}"
        try:
            os.link(path, own)  # a system call, which costs less than another thread
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            return await self._copied(path, own)
        return own

    async def close(self) -> None:
        """Remove all of them; what is being copied ends first, because no thread can be stopped."""
        self._closed = True
        await asyncio.gather(*self._copies, return_exceptions=True)
        if self._folder.name:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def _copied(self, path: Path, own: Path) -> Path:
        copy = asyncio.create_task(asyncio.to_thread(_copy, path, own))
        self._copies.add(copy)
        copy.add_done_callback(self._copies.discard)
        try:
            return await asyncio.shield(copy)
        except asyncio.CancelledError:
            copy.add_done_callback(_remove)
            raise


def _copy(path: Path, own: Path) -> Path:
    try:
        shutil.copyfile(path, own)
    except OSError:
        own.unlink(missing_ok=True)
        raise
    return own


def _remove(copy: asyncio.Task[Path]) -> None:
    if not copy.cancelled() and not copy.exception():
        copy.result().unlink(missing_ok=True)

"""The evidence store: files by key, in a local folder by default or an S3-compatible store in production."""

import asyncio
import os
import secrets
from pathlib import Path

import obstore
from obstore.store import LocalStore, ObjectStore

_FILE_MODE, _FOLDER_MODE = 0o600, 0o700


class EvidenceStore:
    """Immutable files under opaque keys. A file is written completely or not at all.

    In a local folder, only the user who runs the processes can read files and folders. obstore writes with the umask of
    the process, so files of a local folder are written here.
    """

    def __init__(self, store: ObjectStore, folder: Path | None = None) -> None:
        self._store = store
        self._folder = folder

    @classmethod
    def local(cls, folder: Path) -> "EvidenceStore":
        """A store in a folder, which is created if missing."""
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        if folder.stat().st_uid == os.geteuid():  # a folder that existed before may be open to others
            folder.chmod(_FOLDER_MODE)
        return cls(LocalStore(prefix=folder), folder)

    async def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, replacing what an interrupted attempt may have left."""
        if self._folder is None:
            await obstore.put_async(self._store, key, data)
        else:
            await asyncio.to_thread(_write_file, self._folder, key, data)

    async def get(self, key: str) -> bytes:
        """The content of `key`. Raises FileNotFoundError."""
        result = await obstore.get_async(self._store, key)
        return bytes(await result.bytes_async())

    async def exists(self, key: str) -> bool:
        """Whether there is a file under `key`."""
        try:
            await obstore.head_async(self._store, key)
        except FileNotFoundError:
            return False
        return True

    async def delete(self, keys: list[str]) -> None:
        """Delete files; missing ones are no error."""
        for key in keys:
            try:
                await obstore.delete_async(self._store, key)
            except FileNotFoundError:
                continue


def _write_file(folder: Path, key: str, data: bytes) -> None:
    """Write a file under another name, then rename it."""
    path = folder / key
    _make_folder(path.parent, folder)
    part = path.with_name(f".{secrets.token_hex(8)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _make_folder(path: Path, root: Path) -> None:
    """Create a folder below the root with its parents. `Path.mkdir` would give parents the mode of the umask."""
    if path != root and not path.is_dir():
        _make_folder(path.parent, root)
        path.mkdir(mode=_FOLDER_MODE, exist_ok=True)

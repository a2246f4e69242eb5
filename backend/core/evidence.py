"""The evidence store: bytes by key, a local folder by default, S3-compatible in production."""

from pathlib import Path

import obstore
from obstore.store import LocalStore, ObjectStore


class EvidenceStore:
    """Immutable blobs. Keys are paths like `frames/<submission>/0`; a blob is written whole or not at all."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    def local(cls, folder: Path) -> "EvidenceStore":
        """A store in a folder, made if missing."""
        folder.mkdir(parents=True, exist_ok=True)
        return cls(LocalStore(prefix=folder))

    async def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, replacing what a cut-off attempt may have left."""
        await obstore.put_async(self._store, key, data)

    async def get(self, key: str) -> bytes:
        """The bytes under `key`; raises FileNotFoundError."""
        result = await obstore.get_async(self._store, key)
        return bytes(await result.bytes_async())

    async def delete(self, keys: list[str]) -> None:
        """Delete blobs; absent ones are no error."""
        for key in keys:
            try:
                await obstore.delete_async(self._store, key)
            except FileNotFoundError:
                continue

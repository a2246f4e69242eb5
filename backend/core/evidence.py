"""The evidence store: files by key, in a local folder by default or an S3-compatible store in production."""

from collections.abc import AsyncIterator
from pathlib import Path

import obstore
from obstore.store import LocalStore, ObjectStore

CHUNK_BYTES = 64 * 1024
"""Size of the parts in which a stream is written. A usual frame has one or two; S3 would need parts of 5 MB."""


class EvidenceStore:
    """Immutable files. Keys are paths like `frames/<submission>/0`. A file is written completely or not at all."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    def local(cls, folder: Path) -> "EvidenceStore":
        """A store in a folder, which is created if missing."""
        folder.mkdir(parents=True, exist_ok=True)
        return cls(LocalStore(prefix=folder))

    async def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, replacing what an interrupted attempt may have left."""
        await obstore.put_async(self._store, key, data)

    async def put_stream(self, key: str, pieces: AsyncIterator[bytes]) -> None:
        """Store a stream, with about `CHUNK_BYTES` bytes of it in memory at a time.

        An error or a cancellation leaves the key as it was: the parts have another name until the last one is written.
        """
        head = bytearray()
        async for piece in pieces:
            head += piece
            if len(head) > CHUNK_BYTES:
                break
        else:
            await self.put(key, bytes(head))
            return
        await obstore.put_async(
            self._store,
            key,
            _prepend(bytes(head), pieces),
            use_multipart=True,
            chunk_size=CHUNK_BYTES,
            max_concurrency=1,
        )

    async def get(self, key: str) -> bytes:
        """The content of `key`. Raises FileNotFoundError."""
        result = await obstore.get_async(self._store, key)
        return bytes(await result.bytes_async())

    async def delete(self, keys: list[str]) -> None:
        """Delete files; missing ones are no error."""
        for key in keys:
            try:
                await obstore.delete_async(self._store, key)
            except FileNotFoundError:
                continue


async def _prepend(head: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for piece in pieces:
        yield piece

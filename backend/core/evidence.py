"""The evidence store: bytes by key, a local folder by default, S3-compatible in production."""

from collections.abc import AsyncIterator
from pathlib import Path

import obstore
from obstore.store import LocalStore, ObjectStore

CHUNK_BYTES = 64 * 1024
"""Bytes of a stream in memory at once. A frame of the usual size is one or two; S3 would need five megabytes."""


async def _following(head: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for piece in pieces:
        yield piece


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

    async def put_stream(self, key: str, pieces: AsyncIterator[bytes]) -> None:
        """Store what `pieces` gives, holding `CHUNK_BYTES` bytes of it at a time.

        If it raises, or whoever waits is cancelled, nothing is left and what was there before stays: the pieces lie
        under another name until the last one is written.
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
            _following(bytes(head), pieces),
            use_multipart=True,
            chunk_size=CHUNK_BYTES,
            max_concurrency=1,
        )

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

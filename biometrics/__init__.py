"""Pure face recognition library: bytes in, scores out; no database, no web. See README.md."""

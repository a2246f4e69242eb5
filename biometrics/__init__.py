"""Pure face library: bytes in, scores out; no database, no web."""

"""Decoding, quality, fingerprints and texture of untrusted pictures."""

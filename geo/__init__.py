"""Pure location library: datums, fences and fixes; no database, no web."""

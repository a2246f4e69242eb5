"""Pure location library: datums, fences and fixes, without database or web. See README.md."""

"""Standing: what follows from misses, leave and absence (HN334-3.5, 4.1, 4.2). See README.md."""

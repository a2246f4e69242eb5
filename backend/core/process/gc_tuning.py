"""Tuning of Python's cyclic garbage collector for server processes.

A full collection visits every imported object, which blocks all requests for a third of a second. Objects that exist when
the process starts to serve live until its end, so they are excluded from collection.
"""

import gc

YOUNG_THRESHOLD, OLD_THRESHOLD = 20_000, 50
"""Net allocations before the young generation is collected, and middle collections before the old one is."""


def freeze_startup_objects() -> None:
    """Exclude all current objects from collection, and collect less often than a short script does."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_THRESHOLD, 10, OLD_THRESHOLD)

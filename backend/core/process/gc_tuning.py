"""The collector of reference cycles, for a process that serves.

A full collection walks everything that was ever imported: a third of a second in which nobody is answered. What is there
when the process begins to serve stays there, so the collector need not look at it again.
"""

import gc

OFTEN, FULL = 20_000, 50
"""Objects more than were freed, until the young are looked at; so many rounds of the middle-aged until all are."""


def freeze_startup_objects() -> None:
    """From here on look only at what is made from here on, and less often than for a short script."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OFTEN, 10, FULL)

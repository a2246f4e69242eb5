"""Settlement: the close of a roll call, extensions of its window, late submissions, determinations by a person."""

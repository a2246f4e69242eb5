"""Everything on file about a student, in one order of time."""

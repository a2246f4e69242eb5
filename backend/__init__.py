"""Everything that has state: the rooms of the house, from `core` up to `cli`."""

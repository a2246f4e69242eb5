"""Looks: a person compares pictures of a check-in with the ID portrait where no score may decide."""

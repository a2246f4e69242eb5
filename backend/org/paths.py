"""The path of a unit in the tree: labels from the province down, joined by dots. Pure.

A label is a letter for the kind of unit and its code: `p410000.c410100.s4141000001`. Units keep their path as
text here and as `ltree` in the database, whose labels admit letters, digits and underscores.
"""

import re

LETTERS = {"province": "p", "city": "c", "county": "x", "school": "s"}
"""By the kind of unit; x is 县."""

PATH = re.compile(r"p[0-9]{6}(\.[cx][0-9]{6})*(\.s[0-9]{10})?", re.ASCII)


def path_of(kind: str, code: str, parent: str | None) -> str:
    """The path of a unit under the one at `parent` (None for the province)."""
    label = LETTERS[kind] + code
    return label if parent is None else f"{parent}.{label}"


def is_below(path: str, above: str) -> bool:
    """Whether `path` is `above` or lies under it, as `<@` of ltree says it."""
    return path == above or path.startswith(above + ".")


def superior_paths(path: str) -> tuple[str, ...]:
    """The path itself and those above it, nearest first."""
    labels = path.split(".")
    return tuple(".".join(labels[:depth]) for depth in range(len(labels), 0, -1))


def division_of(path: str) -> str:
    """The division code (six digits) in whose place law is read: a school's is its bureau's."""
    return next(label[1:] for label in reversed(path.split(".")) if not label.startswith("s"))

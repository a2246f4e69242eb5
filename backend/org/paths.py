"""The path of a unit in the tree: labels from the province down, joined by dots. No input or output.

A label is a letter for the kind of unit, and its code: `p410000.c410100.s4141000001`. A path is a string in Python
and an `ltree` in the database, whose labels may contain letters, digits and underscores.
"""

import re

KIND_LETTERS = {"province": "p", "city": "c", "county": "x", "school": "s"}
"""The letter of each kind of unit; x is 县."""

PATH = re.compile(r"p[0-9]{6}(\.[cx][0-9]{6})*(\.s[0-9]{10})?", re.ASCII)


def build_unit_path(kind: str, code: str, parent: str | None) -> str:
    """Return the path of a unit below the one at `parent` (None for the province)."""
    label = KIND_LETTERS[kind] + code
    return label if parent is None else f"{parent}.{label}"


def is_below(path: str, above: str) -> bool:
    """Tell whether `path` is `above` or below it, like the operator `<@` of ltree."""
    return path == above or path.startswith(above + ".")


def superior_paths(path: str) -> tuple[str, ...]:
    """Return the path itself and those above it, nearest first."""
    labels = path.split(".")
    return tuple(".".join(labels[:depth]) for depth in range(len(labels), 0, -1))


def common_superior_path(one: str, other: str) -> str:
    """Return the path of the lowest unit above both schools."""
    above = superior_paths(other)[1:]
    return next(path for path in superior_paths(one)[1:] if path in above)


def division_of(path: str) -> str:
    """Return the division code (six digits) whose policy applies; a school has that of its bureau."""
    return next(label[1:] for label in reversed(path.split(".")) if not label.startswith("s"))

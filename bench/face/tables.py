"""The figures of the face benchmarks as docs/measurements/face.json, and their tables in docs/biometrics.md."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "docs" / "measurements" / "face.json"
PAGE = ROOT / "docs" / "biometrics.md"
_BEGIN, _END = "<!-- begin: {} of measurements/face.json -->", "<!-- end: {} -->"
SAMPLES = "samples"
GROUP_NAMES = {"ea": "East Asian", "cfp": "Western-heavy"}
"""Names for the groups of a `pairs.csv`."""

Document = dict[str, list[dict[str, Any]]]


def update_document(parts: Document) -> None:
    """Replace these parts of the figures, and their tables in the page; other parts stay."""
    FIGURES.parent.mkdir(exist_ok=True)
    document: Document = json.loads(FIGURES.read_text("utf-8")) if FIGURES.is_file() else {}
    document |= parts
    FIGURES.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", "utf-8")
    page = PAGE.read_text("utf-8")
    for name in TABLES:
        if name in document:
            before, rest = page.split(_BEGIN.format(name))
            _, after = rest.split(_END.format(name))
            table = render_table(document, name)
            page = f"{before}{_BEGIN.format(name)}\n\n{table}\n\n{_END.format(name)}{after}"
    PAGE.write_text(page, "utf-8")


def table_in_page(name: str) -> str:
    """A table as it stands in the page."""
    return PAGE.read_text("utf-8").split(_BEGIN.format(name))[1].split(_END.format(name))[0].strip()


def render_table(document: Document, name: str) -> str:
    """One table in Markdown."""
    heads, row = TABLES[name]
    lines = [heads, ["---"] * len(heads), *(row(each) for each in document[name])]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _separation(row: dict[str, Any]) -> Sequence[str]:
    probe = "one picture" if row["probe"] == 1 else "the mean of two"
    interval = f"{row['tar']:.1%} ({row['tar low']:.1%}–{row['tar high']:.1%})"
    return row["engine"], row["set"], str(row["people"]), probe, interval


def _rule(row: dict[str, Any]) -> Sequence[str]:
    return (
        row["engine"],
        row["set"],
        f"{row['people learned from']}; {row['people tested']}",
        f"{row['fmr']:.2e}",
        f"{row['fmr, 95 % of splits below']:.2e}",
        f"{row['tar']:.2%}",
        f"{row['tar, 95 % of splits above']:.2%}",
    )


def _travel(row: dict[str, Any]) -> Sequence[str]:
    return row["engine"], row["learned on"], row["applied to"], f"{row['fmr']:.2e}", f"{row['tar']:.1%}"


def _pictures(row: dict[str, Any]) -> Sequence[str]:
    return row["engine"], row["set"], str(row["people"]), str(row["pictures"]), str(row["no face found"])


def _speed(row: dict[str, Any]) -> Sequence[str]:
    return (
        row["size"],
        f"{row['naive cpu']:.0f} ms",
        f"{row['probe cpu']:.1f} ms",
        f"{row['template cpu']:.1f} ms",
        f"{row['times faster']:.1f}",
    )


TABLES: dict[str, tuple[Sequence[str], Callable[[dict[str, Any]], Sequence[str]]]] = {
    "separation": (("engine", "set", "people", "template of three against", "TAR at FMR 1e-3"), _separation),
    "rule": (
        (
            "engine",
            "set",
            "people learned from; tested",
            "FMR, mean",
            "95 % of splits below",
            "TAR, mean",
            "95 % of splits above",
        ),
        _rule,
    ),
    "travel": (("engine", "learned on", "applied to", "FMR", "TAR against one picture"), _travel),
    "pictures": (("engine", "set", "people", "pictures", "no face found"), _pictures),
    "speed": (("size", "`face_recognition`", "probe", "template", "times faster (probe)"), _speed),
}

"""The figures of the liveness benchmark as docs/measurements/liveness.json, and its tables in docs/biometrics.md."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from biometrics.tasks import BurstResult

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "docs" / "measurements" / "liveness.json"
PAGE = ROOT / "docs" / "biometrics.md"
_BEGIN, _END = "<!-- begin: {} of measurements/liveness.json -->", "<!-- end: {} -->"
TABLES = ("attacks", "films", "signals", "others")


@dataclass(frozen=True, slots=True)
class Trial:
    """One burst of one person, whether it answered the challenge, and whether it also raised no doubt."""

    group: str
    species: str
    person: str
    answered: bool
    passed: bool


def wilson_upper_bound(passed: int, trials: int) -> float:
    """Wilson's upper bound at 95 %."""
    z, share = 1.96, passed / trials
    middle = share + z**2 / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return (middle + half) / (1 + z**2 / trials)


def attack_row(species: str, group: str, trials: Sequence[Trial]) -> dict[str, Any]:
    """The bursts of one species in one group of people; `best of three` counts people of whom any try passed."""
    people = {trial.person for trial in trials}
    passed_people = {trial.person for trial in trials if trial.passed}
    passed = sum(trial.passed for trial in trials)
    return {
        "species": species,
        "group": group,
        "people": len(people),
        "bursts": len(trials),
        "answered": sum(trial.answered for trial in trials),
        "passed": passed,
        "passed, 95 % upper bound": round(wilson_upper_bound(passed, len(trials)), 3),
        "people passed in three tries": len(passed_people),
        "of people, 95 % upper bound": round(wilson_upper_bound(len(passed_people), len(people)), 3),
    }


def film_row(film: str, results: Sequence[BurstResult]) -> dict[str, Any]:
    """One film: its overlapping bursts, in how many an action was seen, and how many raised a doubt."""
    changes = sorted(
        part.figure for result in results for part in result.liveness.risk.parts if part.name == "change"
    )
    return {
        "film": film,
        "bursts": len(results),
        "with an action": sum(bool(result.liveness.detected) for result in results),
        "measured": len(changes),
        "doubted": sum(bool(result.liveness.doubts) for result in results),
        "least change": round(changes[0], 4) if changes else None,
        "median change": round(changes[len(changes) // 2], 4) if changes else None,
    }


def pair_row(changes: Sequence[float], limit: float) -> dict[str, Any]:
    """Two photographs of one person."""
    return {
        "pairs": len(changes),
        "below the limit": sum(change < limit for change in changes),
        "least change": round(min(changes), 4),
    }


def read_document() -> dict[str, Any]:
    """The figures as they were written last."""
    document: dict[str, Any] = json.loads(FIGURES.read_text("utf-8"))
    return document


def write_document(document: dict[str, Any]) -> None:
    """Write the figures, and put their tables into the page."""
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    write_tables(document)


def write_tables(document: dict[str, Any]) -> None:
    """Put the tables of the figures into the page."""
    page = PAGE.read_text()
    for name in TABLES:
        before, rest = page.split(_BEGIN.format(name))
        _, after = rest.split(_END.format(name))
        page = (
            f"{before}{_BEGIN.format(name)}\n\n{render_table(document, name)}\n\n{_END.format(name)}{after}"
        )
    PAGE.write_text(page)


def tables_in_page() -> dict[str, str]:
    """The tables as they stand in the page."""
    page = PAGE.read_text()
    return {name: page.split(_BEGIN.format(name))[1].split(_END.format(name))[0].strip() for name in TABLES}


def render_table(document: dict[str, Any], name: str) -> str:
    """One table in Markdown."""
    return _RENDERERS[name](document)


def _render_attacks(document: dict[str, Any]) -> str:
    rows = [
        (
            each["species"],
            each["group"],
            f"{each['people']}; {each['bursts']}",
            str(each["answered"]),
            f"{each['passed']} (≤ {each['passed, 95 % upper bound']:.0%})",
            f"{each['people passed in three tries']} (≤ {each['of people, 95 % upper bound']:.0%})",
        )
        for each in sorted(document["attacks"], key=lambda row: -row["passed"] / row["bursts"])
    ]
    heads = ("species", "photographs", "people; bursts", "answered", "passed", "people passed in three tries")
    return _markdown(heads, rows)


def _render_films(document: dict[str, Any]) -> str:
    rows = [
        (
            each["film"],
            str(each["bursts"]),
            str(each["with an action"]),
            str(each["doubted"]),
            f"{each['least change']:.3f}",
            f"{each['median change']:.3f}",
        )
        for each in document["films"]
    ]
    return _markdown(("film", "bursts", "with an action", "doubted", "least change", "median"), rows)


def _render_signals(document: dict[str, Any]) -> str:
    rows = [
        (
            each["signal"],
            f"{each['attacks']}: {_span(each['attack percentiles'])}",
            f"{each['honest']}: {_span(each['honest percentiles'])}",
            "–" if each["auc"] is None else f"{each['auc']:.2f}",
            "yes" if each["kept"] else "no",
        )
        for each in document["signals"]
    ]
    return _markdown(("signal", "animated: 5, 50, 95 %", "films: 5, 50, 95 %", "AUC", "kept"), rows)


def _render_others(document: dict[str, Any]) -> str:
    pairs, highlights = document["photograph_pairs"], document["highlights"]
    rows = [
        (
            f"response to the screen, simulated, {each['share of light']:.0%} of the face's light",
            f"{each['bursts']} bursts, correlation {_span(each['correlation, 5, 50, 95 %'])} (5, 50, 95 %)",
        )
        for each in document["flash"]
    ]
    rows += [
        (
            f"film of an earlier answer, {each['actions']} cues, simulated",
            f"{each['in time for all cues']:.0%} of {each['recordings']} are in time by chance",
        )
        for each in document["reactions"]
    ]
    rows += [
        (
            f"eyes with a highlight, {name}",
            "–" if share is None else f"{share:.0%}",
        )
        for name, share in highlights.items()
    ]
    rows.append(
        (
            "change between two photographs of one person (AT&T)",
            f"{pairs['below the limit']} of {pairs['pairs']} below the limit, least {pairs['least change']:.3f}",
        )
    )
    spent = document["time"]
    rows.append(
        (
            f"processor time of a check of {spent['frames']} frames of {spent['size']}",
            (
                f"median {spent['check ms, median']:.0f} ms (best {spent['check ms, best']:.0f}); of it the change of the face"
                f" {spent['of it: change of the face ms, median']:.1f} (best"
                f" {spent['of it: change of the face ms, best']:.1f}); one naive picture"
                f" {spent['naive picture ms, median']:.0f}: {spent['of a naive picture']:.2f} of it"
            ),
        )
    )
    rows.append(
        (
            "complete checks by face processes, on two cores",
            (
                f"{spent['checks a second, one process']:.1f} a second by one,"
                f" {spent['checks a second, two processes']:.1f} by two"
                f" ({spent['two processes, times one']:.2f} times); {spent['memory of a process, MB']} MB each"
            ),
        )
    )
    return _markdown(("what", "measured"), rows)


def _span(percentiles: Sequence[float]) -> str:
    return ", ".join(f"{each:.3f}" for each in percentiles) or "–"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_RENDERERS = {
    "attacks": _render_attacks,
    "films": _render_films,
    "signals": _render_signals,
    "others": _render_others,
}


if __name__ == "__main__":
    write_tables(read_document())

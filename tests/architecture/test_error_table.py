"""docs/errors.md lists every refusal the APIs know, with its status and its sentence, as the code states them.

Write it anew with `python -m tests.architecture.test_error_table > docs/errors.md`.
"""

import importlib
import pkgutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import backend
import biometrics
import geo
import mobile_api
from backend.core.errors import DomainError
from biometrics.errors import BiometricsError
from geo.errors import GeoError

PACKAGES = (backend, mobile_api, geo, biometrics)
LOCAL = "backend.devstack"
"""Starts the services of a checkout; nothing of it is ever answered over HTTP."""
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "errors.md"
HEAD = """\
# Error codes

Generated from the error classes by `python -m tests.architecture.test_error_table > docs/errors.md`; a test compares
the two. Codes are stable. The words in braces are filled in. Each refusal also carries its Chinese sentence
(`detail_zh`); see [api.md](api.md) for the form of a problem document. Codes of 5xx name a fault of the deployment or
of a service behind it, and mostly stay inside background jobs.
"""


Refusal = DomainError | GeoError | BiometricsError
BASES: tuple[type[Refusal], ...] = (DomainError, GeoError, BiometricsError)


def subclasses(base: type[Refusal]) -> Iterator[type[Refusal]]:
    for child in base.__subclasses__():
        yield child
        yield from subclasses(child)


def refusals() -> set[tuple[str, str, int, str]]:
    """Room, code, status and English sentence of every refusal; bases without a code of their own left out."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not module.name.startswith(LOCAL):
                importlib.import_module(module.name)
    homes = tuple(package.__name__ for package in PACKAGES)
    return {
        (room_of(error.__module__), error.code, error.status, error.en)
        for base in BASES
        for error in subclasses(base)
        if error.__module__.startswith(homes)
        and not error.__module__.startswith(LOCAL)
        and error.code != base.code
    }


def room_of(module: str) -> str:
    """`backend.roll_call.errors` → `roll_call`, `geo.errors` → `geo`."""
    parts = module.split(".")
    return parts[1] if parts[0] == "backend" else parts[0]


def page() -> str:
    rooms = defaultdict(list)
    for room, code, status, sentence in sorted(refusals()):
        rooms[room].append(f"| `{code}` | {status} | {sentence} |")
    sections = [
        "\n".join((f"## {room}", "", "| code | status | what it says |", "| --- | --- | --- |", *rows))
        for room, rows in rooms.items()
    ]
    return HEAD + "\n" + "\n\n".join(sections) + "\n"


def test_the_document_lists_every_refusal_with_its_status_and_sentence() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == page(), f"stale: {__doc__}"


def test_one_code_has_one_status_wherever_it_comes_from() -> None:
    statuses = defaultdict(set)
    for _, code, status, _ in refusals():
        statuses[code].add(status)
    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}


if __name__ == "__main__":
    sys.stdout.write(page())

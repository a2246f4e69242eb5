"""docs/errors.md lists every error of the product with its status and its sentence, generated from the classes.

Update it with `python -m tests.architecture.test_error_table > docs/errors.md`.
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
DEVSTACK = "backend.devstack"
"""Starts the services of a checkout. Its errors never reach an API."""
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "errors.md"
HEAD = """\
# Error codes

Generated from the error classes by `python -m tests.architecture.test_error_table > docs/errors.md`; a test compares
the two. Codes are stable. Words in braces are arguments. Each error also has a Chinese sentence (`detail_zh`); see
[api.md](api.md) for the form of a problem document. Codes with a 5xx status report a fault of the deployment or of an
external service, and mostly occur in background jobs only.
"""


ErrorClass = DomainError | GeoError | BiometricsError
BASES: tuple[type[ErrorClass], ...] = (DomainError, GeoError, BiometricsError)


def subclasses(base: type[ErrorClass]) -> Iterator[type[ErrorClass]]:
    for child in base.__subclasses__():
        yield child
        yield from subclasses(child)


def error_rows() -> set[tuple[str, str, int, str]]:
    """Package, code, status and English sentence of every error class, without base classes that have no own code."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not module.name.startswith(DEVSTACK):
                importlib.import_module(module.name)
    packages = tuple(package.__name__ for package in PACKAGES)
    return {
        (package_of(error.__module__), error.code, error.status, error.en)
        for base in BASES
        for error in subclasses(base)
        if error.__module__.startswith(packages)
        and not error.__module__.startswith(DEVSTACK)
        and error.code != base.code
    }


def package_of(module: str) -> str:
    """`backend.roll_call.errors` → `roll_call`, `geo.errors` → `geo`."""
    parts = module.split(".")
    return parts[1] if parts[0] == "backend" else parts[0]


def page() -> str:
    packages = defaultdict(list)
    for package, code, status, sentence in sorted(error_rows()):
        packages[package].append(f"| `{code}` | {status} | {sentence} |")
    sections = [
        "\n".join((f"## {package}", "", "| code | status | sentence |", "| --- | --- | --- |", *rows))
        for package, rows in packages.items()
    ]
    return HEAD + "\n" + "\n\n".join(sections) + "\n"


def test_error_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == page(), f"stale: {__doc__}"


def test_each_code_has_one_status() -> None:
    statuses = defaultdict(set)
    for _, code, status, _ in error_rows():
        statuses[code].add(status)
    assert {code: values for code, values in statuses.items() if len(values) > 1} == {}


if __name__ == "__main__":
    sys.stdout.write(page())

"""Reading `policies/`: the only part of the room that touches files."""

import os
from collections import Counter
from collections.abc import Hashable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import ValidationError

from backend.policy.clauses import ClauseRegistry
from backend.policy.errors import PolicyInvalid
from backend.policy.history import Policy
from backend.policy.schema import (
    NATIONAL,
    DivisionFile,
    DivisionRow,
    Parameter,
    ParameterFile,
    Reference,
    Strict,
)

REGISTRY_FILE = "clauses.yaml"
TEMPLATES = "templates"
"""Spreadsheet templates lie beside the law without being law; the rooms that use them read them."""
LOCAL_FOLDERS = "DIANMING_POLICIES"
_Shape = TypeVar("_Shape", bound=Strict)

OWN_INSTRUMENT = "DIANMING"
"""The product's own operating figures: no notice stands behind them, so each gives its rationale."""


def policies_directory() -> Path:
    """`policies/` stands beside the `backend` package, in a checkout and in an installed wheel alike."""
    return Path(__file__).resolve().parents[2] / "policies"


def local_directories() -> tuple[Path, ...]:
    """Folders of law that this deployment adds to the shipped one: `DIANMING_POLICIES`, separated as PATH is."""
    return tuple(Path(each) for each in os.environ.get(LOCAL_FOLDERS, "").split(os.pathsep) if each)


def load_policies(directory: Path | None = None) -> Policy:
    """The checked law of a directory, read once in a process; by default the shipped one and the local ones.

    Raises `PolicyInvalid` naming the file and the fault.
    """
    folders = (directory,) if directory else (policies_directory(), *local_directories())
    return _load_policies(tuple(folder.resolve() for folder in folders))


@cache
def _load_policies(directories: tuple[Path, ...]) -> Policy:
    """The clause registry is that of the first directory; parameters and divisions come from all of them."""
    registry = load_clauses(directories[0])
    parameters: list[Parameter] = []
    divisions: list[DivisionRow] = []
    for path in _law_files(directories):
        content = _read(path)
        if isinstance(content, dict) and "divisions" in content:
            divisions += _checked(DivisionFile, content, path).divisions
        else:
            new = _checked(ParameterFile, content, path).parameters
            _check_references(new, registry, path)
            parameters += new
    _check_unique(parameters, divisions, directories[-1])
    return Policy(tuple(parameters), tuple(divisions))


def _law_files(directories: tuple[Path, ...]) -> Iterator[Path]:
    for directory in directories:
        if not directory.is_dir():
            raise PolicyInvalid(file=str(directory), problem=f"no such folder ({LOCAL_FOLDERS})")
        for path in sorted(directory.rglob("*.yaml")):
            if path.relative_to(directory).parts[0] not in {REGISTRY_FILE, TEMPLATES}:
                yield path


def load_clauses(directory: Path | None = None) -> ClauseRegistry:
    """The clause registry of a directory; raises `PolicyInvalid`."""
    path = (directory or policies_directory()) / REGISTRY_FILE
    return _checked(ClauseRegistry, _read(path), path)


class _UniqueKeyLoader(yaml.CSafeLoader):
    """YAML lets a repeated key win silently; in a law file the second one is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:  # noqa: FBT001, FBT002 — PyYAML's signature
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for key, times in keys.items():
            if times > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is repeated", node.start_mark
                )
        return super().construct_mapping(node, deep=deep)


def _read(path: Path) -> object:
    try:
        with path.open(encoding="utf-8") as stream:
            return yaml.load(stream, Loader=_UniqueKeyLoader)  # noqa: S506 — a SafeLoader that refuses more
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise PolicyInvalid(file=path.name, problem=str(error)) from error


def _checked(shape: type[_Shape], content: object, path: Path) -> _Shape:
    try:
        return shape.model_validate(content)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise PolicyInvalid(file=path.name, problem="; ".join(faults)) from error


def _check_references(parameters: tuple[Parameter, ...], registry: ClauseRegistry, path: Path) -> None:
    instruments = {item.id for item in registry.instruments}
    for parameter in parameters:
        for dated in parameter.values:
            for problem in _reference_problems(dated.reference, registry, instruments):
                raise PolicyInvalid(file=path.name, problem=f"{parameter.id} from {dated.since}: {problem}")


def _reference_problems(reference: Reference, registry: ClauseRegistry, instruments: set[str]) -> list[str]:
    problems = []
    if reference.instrument not in instruments:
        problems.append(f"unknown instrument {reference.instrument}")
    if reference.instrument == OWN_INSTRUMENT and not reference.rationale:
        problems.append("an operating figure states its rationale")
    problems += [
        f"unknown clause {cited}"
        for cited in (reference.clause, reference.reading)
        if cited is not None and cited not in registry.ids
    ]
    return problems


def _check_unique(parameters: list[Parameter], divisions: list[DivisionRow], directory: Path) -> None:
    """One parameter a place, one row a division, and one meaning of an id at every place."""
    keys = Counter([f"{item.id} at {item.place}" for item in parameters] + [row.code for row in divisions])
    meanings: dict[str, tuple[str, str | None]] = {}
    for key, times in keys.items():
        if times > 1:
            raise PolicyInvalid(file=directory.name, problem=f"{key} is defined {times} times")
    for item in parameters:
        if meanings.setdefault(item.id, (item.kind, item.unit)) != (item.kind, item.unit):
            raise PolicyInvalid(
                file=directory.name, problem=f"{item.id} changes kind or unit at {item.place}"
            )
    reports_to = {row.code: row.reports_to for row in divisions}
    for code in reports_to:
        _check_reports_upwards(code, reports_to, directory)


def _check_reports_upwards(code: str, reports_to: dict[str, str], directory: Path) -> None:
    """Every chain of reporting ends at the nation, through filed divisions and without a circle."""
    seen = [code]
    while seen[-1] != NATIONAL:
        above = reports_to.get(seen[-1])
        if above is None or above in seen:
            raise PolicyInvalid(file=directory.name, problem=f"division {code} never reports to {NATIONAL}")
        seen.append(above)

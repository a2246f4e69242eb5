"""Reads and validates the files of `policies/`."""

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
    StrictModel,
)

REGISTRY_FILE = "clauses.yaml"
TEMPLATES = "templates"
"""Spreadsheet templates are in the same directory but are no policy; the packages that use them read them."""
LOCAL_DIRECTORIES = "DIANMING_POLICIES"
_Model = TypeVar("_Model", bound=StrictModel)

OWN_INSTRUMENT = "DIANMING"
"""The instrument of the product's own operating parameters. No notice prescribes them, so each has a rationale."""


def policies_directory() -> Path:
    """Return `policies/`, which is next to the `backend` package both in a checkout and in an installed wheel."""
    return Path(__file__).resolve().parents[2] / "policies"


def local_directories() -> tuple[Path, ...]:
    """Return the directories that this deployment adds: `DIANMING_POLICIES`, separated like `PATH`."""
    return tuple(Path(each) for each in os.environ.get(LOCAL_DIRECTORIES, "").split(os.pathsep) if each)


def load_policies(directory: Path | None = None) -> Policy:
    """Return the validated policy of a directory, by default that of the shipped directory and the local ones.

    Each directory is read once per process. Raises `PolicyInvalid` with the file and the problem.
    """
    directories = (directory,) if directory else (policies_directory(), *local_directories())
    return _load_policies(tuple(each.resolve() for each in directories))


@cache
def _load_policies(directories: tuple[Path, ...]) -> Policy:
    """Load the clause registry from the first directory, and parameters and divisions from all of them."""
    registry = load_clauses(directories[0])
    parameters: list[Parameter] = []
    divisions: list[DivisionRow] = []
    for path in _policy_files(directories):
        content = _read_yaml(path)
        if isinstance(content, dict) and "divisions" in content:
            divisions += _validate(DivisionFile, content, path).divisions
        else:
            new = _validate(ParameterFile, content, path).parameters
            _check_references(new, registry, path)
            parameters += new
    _check_unique(parameters, divisions, directories[-1])
    return Policy(tuple(parameters), tuple(divisions))


def _policy_files(directories: tuple[Path, ...]) -> Iterator[Path]:
    for directory in directories:
        if not directory.is_dir():
            raise PolicyInvalid(file=str(directory), problem=f"no such directory ({LOCAL_DIRECTORIES})")
        for path in sorted(directory.rglob("*.yaml")):
            if path.relative_to(directory).parts[0] not in {REGISTRY_FILE, TEMPLATES}:
                yield path


def load_clauses(directory: Path | None = None) -> ClauseRegistry:
    """Return the clause registry of a directory. Raises `PolicyInvalid`."""
    path = (directory or policies_directory()) / REGISTRY_FILE
    return _validate(ClauseRegistry, _read_yaml(path), path)


class _UniqueKeyLoader(yaml.CSafeLoader):
    """Rejects a repeated key. YAML would use the last one silently; in a policy file it is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:  # noqa: FBT001, FBT002 — PyYAML's signature
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for key, times in keys.items():
            if times > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is repeated", node.start_mark
                )
        return super().construct_mapping(node, deep=deep)


def _read_yaml(path: Path) -> object:
    try:
        with path.open(encoding="utf-8") as stream:
            return yaml.load(stream, Loader=_UniqueKeyLoader)  # noqa: S506 — a SafeLoader with an additional check
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise PolicyInvalid(file=path.name, problem=str(error)) from error


def _validate(model: type[_Model], content: object, path: Path) -> _Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise PolicyInvalid(file=path.name, problem="; ".join(problems)) from error


def _check_references(parameters: tuple[Parameter, ...], registry: ClauseRegistry, path: Path) -> None:
    instruments = {item.id for item in registry.instruments}
    for parameter in parameters:
        for dated in parameter.values:
            for problem in _find_reference_problems(dated.reference, registry, instruments):
                raise PolicyInvalid(file=path.name, problem=f"{parameter.id} from {dated.since}: {problem}")


def _find_reference_problems(
    reference: Reference, registry: ClauseRegistry, instruments: set[str]
) -> list[str]:
    problems = []
    if reference.instrument not in instruments:
        problems.append(f"unknown instrument {reference.instrument}")
    if reference.instrument == OWN_INSTRUMENT and not reference.rationale:
        problems.append("an operating parameter needs a rationale")
    problems += [
        f"unknown clause {cited}"
        for cited in (reference.clause, reference.reading)
        if cited is not None and cited not in registry.ids
    ]
    return problems


def _check_unique(parameters: list[Parameter], divisions: list[DivisionRow], directory: Path) -> None:
    """Each parameter is defined once per place, each division once, and an id has the same kind and unit everywhere."""
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
        _check_reports_to_nation(code, reports_to, directory)


def _check_reports_to_nation(code: str, reports_to: dict[str, str], directory: Path) -> None:
    """Check that the chain of `reports_to` ends at the nation, through listed divisions and without a cycle."""
    seen = [code]
    while seen[-1] != NATIONAL:
        above = reports_to.get(seen[-1])
        if above is None or above in seen:
            raise PolicyInvalid(file=directory.name, problem=f"division {code} never reports to {NATIONAL}")
        seen.append(above)

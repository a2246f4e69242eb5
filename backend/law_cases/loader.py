"""Loading files of law cases, with exact error messages for malformed ones."""

import re
from collections import Counter
from collections.abc import Hashable
from pathlib import Path
from typing import NoReturn

import yaml
from pydantic import ValidationError

from backend.core.file_errors import describe_file_error
from backend.law_cases.errors import (
    CaseFileUnreadable,
    CaseKeyMissing,
    CaseKeyUnknown,
    CaseMalformed,
    CaseValueBad,
)
from backend.law_cases.format import Case

YAML_TAG = "tag:yaml.org,2002:"
GUESSED = frozenset({f"{YAML_TAG}timestamp", f"{YAML_TAG}bool"})
"""Tags that YAML 1.1 guesses from the form of a scalar. Without them dates stay text, and so do `on` and `no`."""
MAX_BYTES = 5_000_000
MAX_DEPTH = 16
"""Of lists and mappings in an uploaded file; the format has nine."""
SHARED = ("law", "calendar", "terms", "student")
"""Keys that a file can set for all its cases. A case that sets the key itself replaces the whole value."""
FAULTS: dict[str, tuple[type[CaseMalformed], str, str]] = {
    "extra_forbidden": (CaseKeyUnknown, "没有这个键", "there is no such key"),
    "missing": (CaseKeyMissing, "缺少这个键", "this key is missing"),
}


class CaseLoader(yaml.CSafeLoader):
    """Does not guess types of scalars, and refuses repeated keys instead of using the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:  # noqa: FBT001, FBT002 — PyYAML's signature
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for key, times in keys.items():
            if times > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is repeated", node.start_mark
                )
        return super().construct_mapping(node, deep=deep)


CaseLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in GUESSED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
CaseLoader.add_implicit_resolver(f"{YAML_TAG}bool", re.compile(r"^(?:true|false)$"), ["t", "f"])


def read_cases(path: Path) -> list[Case]:
    """The cases of a file, in order. Raises a `CaseMalformed` that names file, case and key."""
    file = str(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            too_large = f"文件超过 {MAX_BYTES} 字节", f"the file is larger than {MAX_BYTES} bytes"
            _raise_fault(CaseFileUnreadable, file, "-", "-", too_large)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        _raise_fault(CaseFileUnreadable, file, "-", "-", describe_file_error(error))
    return _parse_content(_load(text, file), file)


def parse_uploaded_cases(text: str, file: str) -> list[Case]:
    """The cases in the text of an uploaded file, without anchors and deep nesting, which could use up memory or the stack.

    Raises a `CaseMalformed` that names `file`, case and key.
    """
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > MAX_DEPTH:
                problem = "不能用锚点，也不能嵌套太深", "anchors and deep nesting are not allowed"
                _raise_fault(CaseFileUnreadable, file, "-", "-", problem)
    except (yaml.YAMLError, ValueError) as error:
        _refuse_yaml(error, file)
    return _parse_content(_load(text, file), file)


def _parse_content(content: object, file: str) -> list[Case]:
    items = content.get("cases") if isinstance(content, dict) else None
    if not isinstance(content, dict) or set(content) - {"cases", *SHARED}:
        _raise_fault(
            CaseKeyUnknown,
            file,
            "-",
            "cases",
            (
                "文件只有 cases、law、calendar、terms、student 几个键",
                "a file can only have the keys cases, law, calendar, terms and student",
            ),
        )
    if not isinstance(items, list) or not items:
        _raise_fault(CaseKeyMissing, file, "-", "cases", ("文件没有案例", "the file has no cases"))
    shared = {key: content[key] for key in SHARED if key in content}
    cases = [_case(file, number, item, shared) for number, item in enumerate(items, 1)]
    for name, times in Counter(case.name for case in cases).items():
        if times > 1:
            _raise_fault(CaseValueBad, file, name, "name", ("案例名称重复", "the name is used twice"))
    return cases


def _load(text: str, file: str) -> object:
    try:
        return yaml.load(text, Loader=CaseLoader)  # noqa: S506 — a SafeLoader that refuses more
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        _refuse_yaml(error, file)


def _refuse_yaml(error: Exception, file: str) -> NoReturn:
    reason = " ".join(str(error).split())
    problem = f"不是可用的 YAML：{reason}", f"not usable YAML: {reason}"
    _raise_fault(CaseFileUnreadable, file, "-", "-", problem)


def _case(file: str, number: int, item: object, shared: dict[str, object]) -> Case:
    try:
        return Case.model_validate({**shared, **item} if isinstance(item, dict) else item)
    except ValidationError as error:
        name = item.get("name") if isinstance(item, dict) else None
        fault = error.errors()[0]
        kind, zh, en = FAULTS.get(
            fault["type"], (CaseValueBad, f"值不可用：{fault['msg']}", f"bad value: {fault['msg']}")
        )
        key = ".".join(map(str, fault["loc"])) or "-"
        _raise_fault(kind, file, str(name or f"#{number}"), key, (zh, en))


def _raise_fault(
    kind: type[CaseMalformed], file: str, case: str, key: str, problem: tuple[str, str]
) -> NoReturn:
    raise kind(file=file, case=case, key=key, problem_zh=problem[0], problem_en=problem[1])

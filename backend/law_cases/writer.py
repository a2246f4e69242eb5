"""Writing a case as a file that `dianming law check` reads (docs/law-cases.md)."""

from typing import Any

import yaml

from backend.law_cases.format import Case
from backend.law_cases.loader import CaseLoader

WIDTH = 140
HEADING = "# Made with the simulator of Dianming. `dianming law check FILE` compares it with the engine (docs/law-cases.md).\n"


class _CaseDumper(yaml.SafeDumper):
    """Quotes only what the loader of cases would not read as text, and indents lists."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 — PyYAML's signature
        super().increase_indent(flow, False)


_CaseDumper.yaml_implicit_resolvers = CaseLoader.yaml_implicit_resolvers


def write_case(case: Case) -> str:
    """The file with this one case: only the given keys, facts and expectations on one line each."""
    content: dict[str, Any] = {"cases": [case.model_dump(mode="json", by_alias=True, exclude_unset=True)]}
    text: str = yaml.dump(
        content,
        Dumper=_CaseDumper,
        allow_unicode=True,
        default_flow_style=None,
        sort_keys=False,
        width=WIDTH,
    )
    return HEADING + text

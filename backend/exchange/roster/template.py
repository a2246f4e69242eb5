"""The roster template as versioned data: which headers there are, and what each column means."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

TEMPLATES = Path(__file__).resolve().parents[3] / "policies" / "templates"

VARIANTS = ("national", "national-2022")
"""The variants we can write; any order of any of their columns is read."""

MEMBERS = ("成员1", "成员2")
"""Family members of the template; their columns are a block repeated under each name."""


class Column(BaseModel):
    """One column: its canonical header, other spellings, and what the reader does with it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    field: str | None = None
    aliases: tuple[str, ...] = ()
    mandatory: bool = False
    personal: bool = False


class Template(BaseModel):
    """Every column of every variant, and the values that coded columns may hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int
    columns: tuple[Column, ...]
    values: dict[str, dict[str, tuple[str, ...]]]

    def mandatory(self) -> tuple[Column, ...]:
        """The columns without which no student can be entered."""
        return tuple(column for column in self.columns if column.mandatory)

    def spellings(self, field: str) -> Mapping[str, str]:
        """What a cell of a coded column may say → the value it stands for."""
        return MappingProxyType(
            {text: value for value, texts in self.values[field].items() for text in texts}
        )

    def spelling(self, field: str, value: str) -> str:
        """The spelling we write for a value of a coded column."""
        return self.values[field][value][0]


def _read(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((TEMPLATES / name).read_text(encoding="utf-8"))
    return loaded


def _of_member(position: int, member: str, column: Mapping[str, Any]) -> Column:
    field = column.get("field")
    return Column(
        name=member + column["name"],
        field=f"member{position}_{field}" if field else None,
        personal=column.get("personal", False),
    )


@cache
def load_template() -> Template:
    """The columns of all variants (`policies/templates/columns.yaml`)."""
    raw = _read("columns.yaml")
    members = [
        _of_member(position, member, column)
        for position, member in enumerate(MEMBERS, start=1)
        for column in raw["member_columns"]
    ]
    return Template(
        version=raw["version"],
        columns=(*(Column(**column) for column in raw["columns"]), *members),
        values=raw["values"],
    )


@cache
def load_order(variant: str) -> tuple[str, ...]:
    """The headers of a variant in the order in which it is written."""
    members = {
        member: [column.name for column in load_template().columns if column.name.startswith(member)]
        for member in MEMBERS
    }
    order = _read(f"{variant}.yaml")["order"]
    return tuple(header for name in order for header in members.get(name, [name]))

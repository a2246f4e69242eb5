"""The roster template as versioned data: headers, the meaning of each column, and coded values."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from backend.core.match_keys import match_key

TEMPLATES = Path(__file__).resolve().parents[3] / "policies" / "templates"

VARIANTS = ("national", "national-2022")
"""Variants that can be written. When reading, columns may come in any order."""

MEMBERS = ("成员1", "成员2")
"""Family members of the template. Each has the same block of columns, prefixed by the name."""


class Column(BaseModel):
    """One column: its canonical header, other spellings, and the field it is parsed into."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    field: str | None = None
    aliases: tuple[str, ...] = ()
    mandatory: bool = False
    personal: bool = False


class Template(BaseModel):
    """All columns of all variants, and the values of coded columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int
    columns: tuple[Column, ...]
    values: dict[str, dict[str, tuple[str, ...]]]

    def mandatory(self) -> tuple[Column, ...]:
        """The mandatory columns."""
        return tuple(column for column in self.columns if column.mandatory)

    def spellings(self, field: str) -> Mapping[str, str]:
        """Match keys of the cell texts of a coded column → value."""
        return MappingProxyType(
            {match_key(text): value for value, texts in self.values[field].items() for text in texts}
        )

    def spelling(self, field: str, value: str) -> str:
        """The canonical spelling of a coded value."""
        return self.values[field][value][0]


def _load_yaml(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((TEMPLATES / name).read_text(encoding="utf-8"))
    return loaded


def _member_column(position: int, member: str, column: Mapping[str, Any]) -> Column:
    field = column.get("field")
    return Column(
        name=member + column["name"],
        field=f"member{position}_{field}" if field else None,
        personal=column.get("personal", False),
    )


@cache
def load_template() -> Template:
    """The columns of all variants (`policies/templates/columns.yaml`)."""
    raw = _load_yaml("columns.yaml")
    members = [
        _member_column(position, member, column)
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
    """The headers of a variant in its written order."""
    members = {
        member: [column.name for column in load_template().columns if column.name.startswith(member)]
        for member in MEMBERS
    }
    order = _load_yaml(f"{variant}.yaml")["order"]
    return tuple(header for name in order for header in members.get(name, [name]))

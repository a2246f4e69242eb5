"""Wire schema of a record that a guardian filed for a student."""

from typing import Self

from pydantic import BaseModel, Field

from backend.people.tables import GuardianLink


class FiledByGuardianOut(BaseModel):
    """The guardian who filed a record for the student, as on the roster at that time."""

    name: str = Field(examples=["张大山"])
    relation: str | None = Field(examples=["父亲"])
    zh: str = Field(examples=["监护人代为提交"])
    en: str = Field(examples=["filed by a guardian"])

    @classmethod
    def of(cls, link: GuardianLink | None) -> Self | None:
        if link is None:
            return None
        return cls(
            name=link.guardian_name, relation=link.relation, zh="监护人代为提交", en="filed by a guardian"
        )

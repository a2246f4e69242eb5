"""A law case file that a person opens in the simulator: each case as the body of an evaluation."""

import asyncio
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from backend.core.web.schema_types import Schema, ShortText
from backend.law_cases.errors import CaseValueBad, Source
from backend.law_cases.format import Case
from backend.law_cases.loader import parse_uploaded_cases
from backend.law_cases.schemas import MAX_FACTS, MAX_INSTANTS, MAX_TERMS

MAX_CHARACTERS = 200_000


class LawCaseFileIn(Schema):
    """The text of a law case file (docs/law-cases.md)."""

    file_name: Annotated[ShortText, Field(examples=["case.yaml"])]
    content: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_CHARACTERS,
            examples=["cases:\n  - name: 连续两次未核验，期满未处理\n"],
        ),
    ]


class OpenedLawCaseOut(BaseModel):
    """A case of the file."""

    name: str = Field(examples=["连续两次未核验，期满未处理"])
    body: dict[str, Any] = Field(
        description="推演请求的正文 · the body for POST /v1/law-cases/evaluation, with the keys that the file gives"
    )
    ignored: list[str] = Field(
        description="文件有而推演不用的键 · keys of the file that the simulator does not use",
        examples=[["calendar"]],
    )

    @classmethod
    def of(cls, case: Case, file_name: str) -> Self:
        """Raises `CaseValueBad` where the case has more terms or facts than the simulator takes."""
        given = case.model_dump(mode="json", by_alias=True, exclude_unset=True)
        source = Source(file_name, case.name)
        for key, count, most in (
            ("terms", len(case.terms), MAX_TERMS),
            ("facts", len(case.facts), MAX_FACTS),
        ):
            if count > most:
                source.fault(CaseValueBad, key, f"推演最多 {most} 项", f"the simulator takes at most {most}")
        instants = [each["at"] for each in given["expect"]]
        ignored = [
            *(
                ["law.amendments"] if case.law.amendments else []
            ),  # without a citation they cannot be explained
            *(["calendar"] if "calendar" in given else []),
            *(f"expect.{number}" for number in range(MAX_INSTANTS, len(instants))),
        ]
        body = {
            "name": case.name,
            "place": case.law.place,
            "terms": given["terms"],
            "student": given.get("student", {}),
            "facts": given.get("facts", []),
            "at": instants[:MAX_INSTANTS],
        }
        return cls(name=case.name, body=body, ignored=ignored)


class OpenedLawCasesOut(BaseModel):
    """The cases of a file, in order."""

    cases: list[OpenedLawCaseOut]


async def open_case_file(file: LawCaseFileIn) -> OpenedLawCasesOut:
    """Parse an uploaded file. Raises a `CaseMalformed` that names file, case and key."""
    cases = await asyncio.to_thread(parse_uploaded_cases, file.content, file.file_name)
    return OpenedLawCasesOut(cases=[OpenedLawCaseOut.of(each, file.file_name) for each in cases])

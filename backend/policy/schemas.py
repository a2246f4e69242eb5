"""Response schemas of the law: policies in force, their history, and the clause report."""

from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from typing import Self

from pydantic import BaseModel, Field

from backend.policy.catalogue import AbsentEntry, Catalogue, PlacedValue, PolicyEntry
from backend.policy.clause_report import ClauseReport
from backend.policy.clauses import BilingualText, Clause, Instrument, Status
from backend.policy.installed import installed_policy
from backend.policy.loader import load_clauses
from backend.policy.schema import NATIONAL, DatedValue, ParameterKind, Reference
from backend.policy.unit_words import UNIT_WORDS

Cell = bool | int | float | str
PolicyValue = bool | int | float | str | list[int] | list[str] | list[dict[str, Cell]]
"""As the file has it: a number in its unit, a date in ISO 8601, a code, codes, or the rows of a table."""
FindWords = Callable[[PolicyEntry, DatedValue], BilingualText | None]
"""The words of a value that is made of codes, where the product has some."""


class PlaceOut(BaseModel):
    """A division of GB/T 2260; its name is its code if the policy files do not list it."""

    division: str = Field(examples=["410100"])
    name: str = Field(examples=["郑州"])

    @classmethod
    def of(cls, division: str) -> Self:
        return cls(division=division, name=_division_names().get(division, division))


class CitationOut(BaseModel):
    """The source of a value: instrument and article, the clause and the reading of the registry, and our reasons."""

    instrument: BilingualText
    article: str = Field(examples=["四、1"])
    clause: str | None = Field(examples=["HN334-4.1b"])
    reading: str | None = Field(examples=["R1"])
    rationale: str | None = Field(examples=[None])

    @classmethod
    def of(cls, reference: Reference) -> Self:
        return cls(
            instrument=_instrument_names()[reference.instrument],
            article=reference.article,
            clause=reference.clause,
            reading=reference.reading,
            rationale=reference.rationale,
        )


class PolicyValueOut(BaseModel):
    """A value with its days, both inclusive; without `until` it has no end yet."""

    value: PolicyValue = Field(examples=[2])
    words: BilingualText | None = Field(description="代码的文字 · the text of a value that is made of codes")
    place: PlaceOut
    since: date = Field(examples=["2022-10-09"])
    until: date | None = Field(examples=[None])
    citation: CitationOut

    @classmethod
    def of(cls, placed: PlacedValue, words: BilingualText | None) -> Self:
        dated = placed.dated
        value = dated.value.isoformat() if isinstance(dated.value, date) else dated.value
        return cls(
            value=value,
            words=words,
            place=PlaceOut.of(placed.place),
            since=dated.since,
            until=dated.until,
            citation=CitationOut.of(dated.reference),
        )


class PolicyOut(BaseModel):
    """One parameter as it is in force, with every value of the place and the places above it, the newest first."""

    parameter: str = Field(examples=["misses.consecutive"])
    title: BilingualText
    kind: ParameterKind
    unit: BilingualText | None
    in_force: PolicyValueOut
    history: list[PolicyValueOut] = Field(
        description="本地与上级地区的全部取值，新的在前 · every value here and above, newest first"
    )

    @classmethod
    def of(cls, entry: PolicyEntry, find_words: FindWords) -> Self:
        parameter = entry.parameter

        def as_value(placed: PlacedValue) -> PolicyValueOut:
            return PolicyValueOut.of(placed, find_words(entry, placed.dated))

        return cls(
            parameter=parameter.id,
            title=BilingualText(zh=parameter.zh, en=parameter.en),
            kind=parameter.kind,
            unit=_unit_words(parameter.unit),
            in_force=as_value(PlacedValue(parameter.place, entry.in_force)),
            history=[as_value(placed) for placed in entry.history],
        )


class AbsentPolicyOut(BaseModel):
    """A parameter without a value in force: whatever needs it is refused with `absent_law`."""

    parameter: str = Field(examples=["misses.consecutive"])
    title: BilingualText
    refusal: BilingualText = Field(
        description="需要它的操作会得到的拒绝（absent_law） · what asks for it is refused"
    )

    @classmethod
    def of(cls, entry: AbsentEntry) -> Self:
        return cls(
            parameter=entry.parameter.id,
            title=BilingualText(zh=entry.parameter.zh, en=entry.parameter.en),
            refusal=BilingualText(zh=entry.error.sentence("zh"), en=entry.error.sentence("en")),
        )


class PolicyCatalogueOut(BaseModel):
    """Every parameter on one day at one place."""

    on: date = Field(examples=["2026-03-17"])
    lineage: list[PlaceOut] = Field(
        description="从本地到全国；最近的一级优先 · from the place up to the nation; the nearest one that has a value applies"
    )
    places: list[PlaceOut] = Field(description="政策文件列出的地区 · the places that the policy files list")
    policy_version: str = Field(examples=["3f6c…"])
    policies: list[PolicyOut]
    absent: list[AbsentPolicyOut]

    @classmethod
    def of(cls, catalogue: Catalogue, find_words: FindWords) -> Self:
        return cls(
            on=catalogue.at.day,
            lineage=[PlaceOut.of(each) for each in catalogue.at.lineage],
            places=[PlaceOut.of(each) for each in _known_places()],
            policy_version=catalogue.at.version,
            policies=[PolicyOut.of(each, find_words) for each in catalogue.entries],
            absent=[AbsentPolicyOut.of(each) for each in catalogue.absent],
        )


class ClauseOut(BaseModel):
    """A clause or a reading: its source, whether the product implements it, with which code, tests and parameters."""

    id: str = Field(examples=["HN334-4.1b"])
    instrument: str = Field(examples=["HN334"])
    article: str = Field(examples=["四、1"])
    title: BilingualText
    status: Status
    missing: BilingualText | None = Field(description="尚未实现的部分 · what a partial clause lacks")
    source_files: list[str] = Field(examples=[["backend/standing/engine/misses.py"]])
    tests: list[str] = Field(examples=[["tests/law/HN334/misses.yaml::连续两次未核验：提示"]])
    touches: list[str] = Field(examples=[["HN334-4.1c"]])
    parameters: list[str] = Field(examples=[["misses.consecutive"]])

    @classmethod
    def of(cls, clause: Clause, report: ClauseReport) -> Self:
        return cls(
            id=clause.id,
            instrument=clause.instrument,
            article=clause.article,
            title=clause.title,
            status=clause.status,
            missing=clause.missing,
            source_files=list(clause.code),
            tests=list((report.tests or {}).get(clause.id, ())),
            touches=list(clause.touches),
            parameters=list(report.parameters.get(clause.id, ())),
        )


class InstrumentOut(BaseModel):
    """A notice, a law, or the product's own readings and figures."""

    id: str = Field(examples=["HN334"])
    zh: str = Field(examples=["教办职成〔2022〕334号（河南，学籍常态化核验）"])
    en: str = Field(examples=["Henan 2022 No. 334 on regular verification of standing"])

    @classmethod
    def of(cls, instrument: Instrument) -> Self:
        return cls(id=instrument.id, zh=instrument.zh, en=instrument.en)


class ClauseReportOut(BaseModel):
    """All clauses in the order of the registry."""

    tests_scanned: bool = Field(
        description="本安装含有测试，故可列出 · whether this installation has the tests, so that they are listed",
        examples=[True],
    )
    instruments: list[InstrumentOut]
    clauses: list[ClauseOut]

    @classmethod
    def of(cls, report: ClauseReport) -> Self:
        return cls(
            tests_scanned=report.tests is not None,
            instruments=[InstrumentOut.of(each) for each in report.registry.instruments],
            clauses=[ClauseOut.of(each, report) for each in report.registry.clauses],
        )


@lru_cache(maxsize=1)
def _instrument_names() -> Mapping[str, BilingualText]:
    return {each.id: BilingualText(zh=each.zh, en=each.en) for each in load_clauses().instruments}


@lru_cache(maxsize=1)
def _division_names() -> Mapping[str, str]:
    return {NATIONAL: "全国"} | {row.code: row.zh for row in installed_policy().divisions}


def _known_places() -> list[str]:
    policy = installed_policy()
    return sorted(set(_division_names()) | {parameter.place for parameter in policy.parameters})


def _unit_words(unit: str | None) -> BilingualText | None:
    if unit is None:
        return None
    zh, en = UNIT_WORDS.get(unit, (unit, unit))
    return BilingualText(zh=zh, en=en)

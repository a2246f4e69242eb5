"""Response schemas of explanations for both APIs."""

from datetime import date
from typing import Self

from pydantic import BaseModel, Field

from backend.core.bilingual import Bilingual
from backend.standing.explanations.citations import Figure, Reference
from backend.standing.explanations.model import Explanation


class BilingualOut(BaseModel):
    """One sentence in both languages."""

    zh: str = Field(examples=["学校已在 2026-10-12 09:00 收到提示，正在处理。"])
    en: str = Field(examples=["The school received the prompt at 2026-10-12 09:00 and is on it."])

    @classmethod
    def of(cls, words: Bilingual) -> Self:
        return cls(zh=words.zh, en=words.en)


class FactOut(BaseModel):
    """A fact that the result rests on."""

    key: str = Field(
        description="留痕中的编号 · the key in the trace",
        examples=["check:01890a5d-ac96-774b-bcce-b302099a8057"],
    )
    words: BilingualOut


class FigureOut(BaseModel):
    """A figure of the policy as it was applied, and the day from which it is in force."""

    parameter: str = Field(examples=["misses.consecutive"])
    name: BilingualOut
    value: BilingualOut
    since: date = Field(examples=["2022-10-09"])
    instrument: BilingualOut
    article: str = Field(examples=["四、1"])

    @classmethod
    def of(cls, figure: Figure) -> Self:
        return cls(
            parameter=figure.parameter,
            name=BilingualOut.of(figure.name),
            value=BilingualOut.of(figure.value),
            since=figure.since,
            instrument=BilingualOut.of(figure.instrument),
            article=figure.article,
        )


class ReferenceOut(BaseModel):
    """A reference to a clause or a reading."""

    clause: str = Field(examples=["HN334-4.1b"])
    instrument: BilingualOut
    article: str = Field(examples=["四、1"])
    title: BilingualOut

    @classmethod
    def of(cls, reference: Reference) -> Self:
        return cls(
            clause=reference.clause,
            instrument=BilingualOut.of(reference.instrument),
            article=reference.article,
            title=BilingualOut.of(reference.title),
        )


class ExplanationOut(BaseModel):
    """A result in plain language: the finding, its rule, figures and facts, and what comes next."""

    title: BilingualOut
    paragraphs: list[BilingualOut]
    facts: list[FactOut]
    figures: list[FigureOut]
    next_steps: list[BilingualOut] = Field(
        description="接下来会怎样、现在可以做什么 · what comes next and what you can do now"
    )
    references: list[ReferenceOut]

    @classmethod
    def of(cls, explanation: Explanation) -> Self:
        return cls(
            title=BilingualOut.of(explanation.title),
            paragraphs=[BilingualOut.of(words) for words in explanation.paragraphs],
            facts=[FactOut(key=fact.key, words=BilingualOut.of(fact.words)) for fact in explanation.facts],
            figures=[FigureOut.of(figure) for figure in explanation.figures],
            next_steps=[BilingualOut.of(words) for words in explanation.next_steps],
            references=[ReferenceOut.of(reference) for reference in explanation.references],
        )

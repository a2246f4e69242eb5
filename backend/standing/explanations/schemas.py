"""Explanations as both APIs show them."""

from datetime import date
from typing import Self

from pydantic import BaseModel, Field

from backend.standing.explanations.citations import Figure, Reference
from backend.standing.explanations.phrases import Bilingual
from backend.standing.explanations.prompt import Explanation


class WordsOut(BaseModel):
    """One sentence in both languages."""

    zh: str = Field(examples=["学校已在 2026-10-12 09:00 收到提示，正在处理。"])
    en: str = Field(examples=["The school received the prompt at 2026-10-12 09:00 and is on it."])

    @classmethod
    def of(cls, words: Bilingual) -> Self:
        return cls(zh=words.zh, en=words.en)


class FactOut(BaseModel):
    """A fact that the result rests on."""

    key: str = Field(
        description="留痕中的编号 · its key in the trace",
        examples=["check:01890a5d-ac96-774b-bcce-b302099a8057"],
    )
    words: WordsOut


class FigureOut(BaseModel):
    """A figure of the law as it was applied, and since when it holds."""

    parameter: str = Field(examples=["misses.consecutive"])
    name: WordsOut
    value: WordsOut
    since: date = Field(examples=["2022-10-09"])
    instrument: WordsOut
    article: str = Field(examples=["四、1"])

    @classmethod
    def of(cls, figure: Figure) -> Self:
        return cls(
            parameter=figure.parameter,
            name=WordsOut.of(figure.name),
            value=WordsOut.of(figure.value),
            since=figure.since,
            instrument=WordsOut.of(figure.instrument),
            article=figure.article,
        )


class ReferenceOut(BaseModel):
    """A clause, or a reading of ours, by reference."""

    clause: str = Field(examples=["HN334-4.1b"])
    instrument: WordsOut
    article: str = Field(examples=["四、1"])
    title: WordsOut

    @classmethod
    def of(cls, reference: Reference) -> Self:
        return cls(
            clause=reference.clause,
            instrument=WordsOut.of(reference.instrument),
            article=reference.article,
            title=WordsOut.of(reference.title),
        )


class ExplanationOut(BaseModel):
    """A result in plain words: what was found, by which rule and figures, on which facts, and what comes next."""

    title: WordsOut
    paragraphs: list[WordsOut]
    facts: list[FactOut]
    figures: list[FigureOut]
    next_steps: list[WordsOut] = Field(
        description="接下来会怎样、现在可以做什么 · what comes next and what you can do now"
    )
    references: list[ReferenceOut]

    @classmethod
    def of(cls, told: Explanation) -> Self:
        """The explanation as JSON."""
        return cls(
            title=WordsOut.of(told.title),
            paragraphs=[WordsOut.of(words) for words in told.paragraphs],
            facts=[FactOut(key=fact.key, words=WordsOut.of(fact.words)) for fact in told.facts],
            figures=[FigureOut.of(figure) for figure in told.figures],
            next_steps=[WordsOut.of(words) for words in told.next_steps],
            references=[ReferenceOut.of(reference) for reference in told.references],
        )

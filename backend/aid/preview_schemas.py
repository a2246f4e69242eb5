"""Wire schemas of the preview of a prompt's decisions. Amounts are whole fen (1 yuan = 100 fen)."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field

from backend.aid.application_schemas import KIND_DESCRIPTION
from backend.aid.money import format_yuan
from backend.aid.preview import AidPart, DecisionEffect
from backend.aid.rules import AidKind
from backend.core.bilingual import Bilingual
from backend.core.web.bulk_schemas import RowErrorOut
from backend.core.web.schema_types import OneOf
from backend.standing.engine.decision_rules import DISMISS, Role
from backend.standing.explanations.phrases import (
    AID_KINDS,
    PROMPT_STATES,
    STANDINGS,
    STUDY_FORMS,
    blocker_words,
    join_phrases,
    outcome_words,
)
from backend.standing.prompts.preview import PromptPreview
from backend.standing.prompts.schemas import LabelledCodeOut, LabelledStatusOut

LOCKED = Bilingual(
    "锁定学籍，之后的变更须逐级报省批准", "lock the record: later changes need approvals up to the province"
)
NOTHING = Bilingual("学籍和资助都不变", "standing and aid do not change")
ASK_SUPERIOR = Bilingual(
    "报上级答复；上级同意后，这些未核验不再计入",
    "ask the superior; if they agree, these misses no longer count",
)
NO_LONGER_COUNTED = Bilingual("这些未核验不再计入", "these misses no longer count")


class AidPartOut(BaseModel):
    """Equal unpaid instalments that would be withdrawn."""

    kind: AidKind = Field(description=KIND_DESCRIPTION)
    instalments: int = Field(description="未发放的期数 · unpaid instalments", examples=[5])
    fen_each: int = Field(examples=[23000])
    fen: int = Field(description="合计 · in all", examples=[115000])

    @classmethod
    def of(cls, part: AidPart) -> Self:
        return cls(
            kind=part.kind,
            instalments=part.instalments,
            fen_each=part.fen_each,
            fen=part.instalments * part.fen_each,
        )


class OutcomePreviewOut(BaseModel):
    """What one outcome would do if it were decided now."""

    outcome: LabelledCodeOut
    proposed: bool = Field(description="提示建议的处理 · the outcome that the prompt proposes")
    needs_reasons: bool = Field(description="须写明理由 · it is refused without reasons", examples=[False])
    refused: RowErrorOut | None = Field(
        description="现在不能这样处理的原因；null 表示可以 · why it cannot be decided now; null: it can"
    )
    state: LabelledCodeOut | None = Field(
        description="处理后提示的状态 · the prompt's state afterwards; null if the decision would have no effect"
    )
    before: LabelledStatusOut
    after: LabelledStatusOut
    locks: bool = Field(description="学籍随之锁定 · the record is locked by it", examples=[True])
    aid: list[AidPartOut] = Field(description="将撤回的未发放资助 · unpaid aid that would be withdrawn")
    aid_fen: int = Field(description="将撤回的合计 · withdrawn in all", examples=[115000])
    aid_waits_for: list[LabelledCodeOut] = Field(
        description="资助暂不撤回的情形 · what keeps the aid from being withdrawn at once"
    )
    summary_zh: str = Field(examples=["学习形式：全日制 → 非全日制；撤回国家助学金 5 × 230.00 元"])
    summary_en: str = Field(
        examples=["study form: full-time → part-time; withdraw the grant 5 × 230.00 yuan"]
    )

    @classmethod
    def of(cls, preview: PromptPreview, effect: DecisionEffect) -> Self:
        given, labelled = effect.preview, LabelledCodeOut.of
        status = preview.before.status
        after = given.after.status if given.after else status
        state = next(
            (
                each.state
                for each in (given.after.prompts if given.after else ())
                if each.prompt_id == preview.prompt.prompt_id
            ),
            None,
        )
        summary = _summarise(preview, effect)
        aid = [AidPartOut.of(part) for part in effect.aid]
        return cls(
            outcome=labelled(given.outcome, outcome_words(preview.law, given.outcome)),
            proposed=given.outcome == preview.prompt.proposed,
            needs_reasons=given.needs_reasons,
            refused=RowErrorOut.of(given.error) if given.error else None,
            state=labelled(state, PROMPT_STATES[state]) if state else None,
            before=LabelledStatusOut.of(status.standing, status.study_form),
            after=LabelledStatusOut.of(after.standing, after.study_form),
            locks=effect.locks,
            aid=aid,
            aid_fen=sum(part.fen for part in aid),
            aid_waits_for=[labelled(code, blocker_words(code)) for code in effect.aid_waits_for],
            summary_zh=summary.zh,
            summary_en=summary.en,
        )


class PromptPreviewOut(BaseModel):
    """What each decision on a prompt would do by the facts of `at`. The decision itself uses those of its own moment."""

    prompt_id: UUID
    at: datetime
    decider: Annotated[str, OneOf(Role)] = Field(description="registrar or superior", examples=["registrar"])
    outcomes: list[OutcomePreviewOut]

    @classmethod
    def of(cls, preview: PromptPreview, effects: Iterable[DecisionEffect]) -> Self:
        return cls(
            prompt_id=UUID(preview.prompt.prompt_id),
            at=preview.at,
            decider=preview.role,
            outcomes=[OutcomePreviewOut.of(preview, each) for each in effects],
        )


def _summarise(preview: PromptPreview, effect: DecisionEffect) -> Bilingual:
    """What the outcome does, in one line."""
    entry = effect.entry
    if entry is None:
        if effect.preview.outcome != DISMISS:
            return NOTHING
        return NO_LONGER_COUNTED if preview.role is Role.SUPERIOR else ASK_SUPERIOR
    parts = []
    if entry.before.study_form != entry.after.study_form:
        old, new = STUDY_FORMS[entry.before.study_form], STUDY_FORMS[entry.after.study_form]
        parts.append(Bilingual(f"学习形式：{old.zh} → {new.zh}", f"study form: {old.en} → {new.en}"))
    if entry.before.standing != entry.after.standing:
        old, new = STANDINGS[entry.before.standing], STANDINGS[entry.after.standing]
        parts.append(Bilingual(f"学籍状态：{old.zh} → {new.zh}", f"standing: {old.en} → {new.en}"))
    if effect.locks:
        parts.append(LOCKED)
    parts += [_describe_part(part) for part in effect.aid]
    if not effect.aid:
        parts.append(Bilingual("没有未发放的资助可撤回", "there is no unpaid aid to withdraw"))
    elif effect.aid_waits_for:
        waits = join_phrases(blocker_words(code) for code in effect.aid_waits_for)
        parts.append(Bilingual(f"资助暂不撤回：{waits.zh}", f"the aid is not withdrawn yet: {waits.en}"))
    return Bilingual("；".join(each.zh for each in parts), "; ".join(each.en for each in parts))


def _describe_part(part: AidPart) -> Bilingual:
    kind, yuan = AID_KINDS[part.kind], format_yuan(part.fen_each)
    amount = yuan if part.instalments == 1 else f"{part.instalments} × {yuan}"
    return Bilingual(f"撤回{kind.zh} {amount} 元", f"withdraw {kind.en}: {amount} yuan")

"""Texts of the notices of appeals. They contain no grounds and no name, because others may see the phone."""

from datetime import date, datetime

from backend.core.bilingual import Bilingual, format_end
from backend.notice.messages import NoticeText

TARGETS = {
    "check": Bilingual("点名核验结果", "a roll call's result"),
    "change": Bilingual("学籍异动", "a change of standing"),
    "gaokao": Bilingual("高考报名资格", "eligibility for the gaokao"),
}
APPELLANTS = {
    "student": Bilingual("学生", "the student"),
    "school": Bilingual("学校", "the school"),
}
FINDINGS = {
    "present": Bilingual("该次核验改为“到场”。", "The roll call now counts as attended."),
    "excused": Bilingual("该次核验不再计入。", "The roll call no longer counts."),
}
MESSAGE = NoticeText(
    Bilingual("申诉有新消息", "A message in an appeal"),
    Bilingual(
        "申诉中有新的消息，请在应用中查看。", "There is a new message in an appeal. Read it in the app."
    ),
)


def filed_to_unit(appellant: str, target: str, due_at: datetime | None) -> NoticeText:
    who, what, deadline = APPELLANTS[appellant], TARGETS[target], deadline_sentence(due_at)
    return NoticeText(
        Bilingual("新的申诉待决定", "An appeal to decide"),
        Bilingual(
            f"{who.zh}对{what.zh}提出申诉。{deadline.zh}",
            f"An appeal by {who.en} against {what.en}. {deadline.en}",
        ),
    )


def filed_to_student(appellant: str, target: str, unit: str, due_at: datetime | None) -> NoticeText:
    """Also sent to the registrars and the counselor."""
    who, what, deadline = APPELLANTS[appellant], TARGETS[target], deadline_sentence(due_at)
    return NoticeText(
        Bilingual("申诉已受理", "Appeal received"),
        Bilingual(
            f"{who.zh}对{what.zh}的申诉已送达{unit}。{deadline.zh}决定之前，相关提示不会自动执行。",
            f"The appeal by {who.en} against {what.en} is with {unit}. {deadline.en} No related prompt is executed before"
            " the decision.",
        ),
    )


def withdrawn_to_student(target: str) -> NoticeText:
    """Also sent to the school and the deciding unit."""
    what = TARGETS[target]
    return NoticeText(
        Bilingual("申诉已撤回", "Appeal withdrawn"),
        Bilingual(
            f"对{what.zh}的申诉已由申诉方撤回，原结果继续有效。",
            f"The appellant withdrew the appeal against {what.en}. The original result stays in effect.",
        ),
    )


def ended_to_student(target: str) -> NoticeText:
    """Also sent to the school and the deciding unit."""
    what = TARGETS[target]
    return NoticeText(
        Bilingual("申诉已终止", "Appeal ended"),
        Bilingual(
            f"对{what.zh}的申诉已自行终止：该异动已另行撤销，无须再作决定。",
            f"The appeal against {what.en} ended by itself: the change was reversed in another way.",
        ),
    )


def rejected_to_student(target: str, unit: str, next_until: date | None) -> NoticeText:
    """Also sent to the school and the authorities. `next_until`: last day for the next level, None if none is left."""
    what = TARGETS[target]
    if next_until is None:
        after = Bilingual(
            "申诉的级数已用完，这是最终决定。", "No level of appeal is left; this decision is final."
        )
    else:
        day = next_until.isoformat()
        after = Bilingual(
            f"如不服，可在 {day} 之前（含当天）向上一级申诉一次。",
            f"If you disagree, you can appeal to the next level once, until {day}, that day included.",
        )
    return NoticeText(
        Bilingual("申诉被驳回", "Appeal rejected"),
        Bilingual(
            f"{unit}驳回了对{what.zh}的申诉，理由见应用。{after.zh}",
            f"{unit} rejected the appeal against {what.en}; the app shows the reasons. {after.en}",
        ),
    )


def upheld_to_student(
    target: str, unit: str, *, finding: str | None, exam_year: str | None, restored: bool
) -> NoticeText:
    """Also sent to the school and the authorities. `restored`: a change of standing was reversed by the decision."""
    what = TARGETS[target]
    zh, en = f"{unit}认定对{what.zh}的申诉成立。", f"{unit} upheld the appeal against {what.en}."
    if finding is not None:
        zh, en = (
            f"{zh}{FINDINGS[finding].zh}未核验次数已重新计算。",
            f"{en} {FINDINGS[finding].en} Misses are recounted.",
        )
    if exam_year is not None:
        zh, en = f"{zh}具备 {exam_year} 年高考报名资格。", f"{en} Eligible for the gaokao of {exam_year}."
    if restored:
        zh += "相关异动已撤销，学籍恢复原状；据此撤回的资助，没有其他异动扣回的，予以恢复。"
        en += " The change is reversed and the standing is restored; aid withdrawn because of it is restored, unless another change withholds it."
    else:
        zh, en = f"{zh}学籍状态没有因此变化。", f"{en} The standing does not change."
    return NoticeText(Bilingual("申诉成立", "Appeal upheld"), Bilingual(zh, en))


def due_to_unit(due_at: datetime | None) -> NoticeText:
    deadline = deadline_sentence(due_at)
    return NoticeText(
        Bilingual("申诉即将到期", "An appeal is due soon"),
        Bilingual(f"有一件申诉尚未决定。{deadline.zh}", f"An appeal has not been decided yet. {deadline.en}"),
    )


def overdue_to_unit(unit: str) -> NoticeText:
    return NoticeText(
        Bilingual("申诉逾期未决定", "An appeal is overdue"),
        Bilingual(
            f"{unit}受理的一件申诉已超过决定期限，请尽快办理。逾期期间不执行相关提示。",
            f"An appeal with {unit} is past its deadline. Decide it as soon as possible. Related prompts are not executed"
            " until then.",
        ),
    )


def deadline_sentence(due_at: datetime | None) -> Bilingual:
    if due_at is None:
        return Bilingual(
            "决定期限待工作日历载入后计算。", "The deadline is computed once the working calendar is loaded."
        )
    end = format_end(due_at)
    return Bilingual(f"应在 {end} 前决定。", f"The deadline is {end}.")

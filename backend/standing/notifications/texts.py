"""The Chinese and English texts of the notices of standing: what happened, what to do and until when.

Others may see the phone, so titles and SMS say nothing about the matter, and no text contains a name or a student's
reason. `docs/texts.md` lists every text that a student receives.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime

from backend.core.bilingual import Bilingual, format_end, format_instant
from backend.notice.messages import NoticeText
from backend.standing.engine.prompts import PromptState
from backend.standing.explanations.phrases import KINDS

APPEAL = Bilingual(
    "如有异议，可在应用中提出申诉；申诉成立的，恢复原来的学籍状态。",
    "If you disagree, appeal in the app; if the appeal is upheld, your earlier status is restored.",
)


# --- a prompt is raised ---


def raised_to_registrar(kind: str, proposed: Bilingual, days: int) -> NoticeText:
    what = KINDS[kind]
    return NoticeText(
        Bilingual("学籍处理提示", "A prompt for your decision"),
        Bilingual(
            f"贵校一名学生{what.zh}，拟处理意见为“{proposed.zh}”。请在应用中确认收到并核实情况，"
            f"自收到之日起 {days} 个工作日内作出决定。",
            f"One of your students: {what.en}; proposed: {proposed.en}. Confirm the receipt in the app, check the "
            f"facts, and decide within {days} working days of the receipt.",
        ),
    )


def raised_to_counselor(kind: str) -> NoticeText:
    what = KINDS[kind]
    return NoticeText(
        Bilingual("请了解一名学生的情况", "Please contact a student"),
        Bilingual(
            f"您负责的一名学生{what.zh}，学校已收到提示，将核实后作出决定。请尽快联系学生；"
            "如有正当理由，请提醒学生在学校决定之前在应用中说明。",
            f"One of your students: {what.en}. The school received a prompt and will decide. Contact the student soon; a "
            "justified reason should be stated in the app before the school decides.",
        ),
    )


def raised_to_student(kind: str, days: Sequence[date], proposed: Bilingual, deadline_days: int) -> NoticeText:
    """What is on record, what may follow and by when, and the three things to do now.

    `days`: the legal days of the missed checks; for leave, the day that exceeded the limit; for absence, its first day.
    """
    record, dates = _RECORDS[kind], _list_days(days)
    return NoticeText(
        Bilingual("请说明情况", "Please explain"),
        Bilingual(
            f"{record.zh.format(number=len(days), days=dates.zh)}学校正在核实，尚未作出决定；核实无误的，可能的处理是：{proposed.zh}。"
            f"学校确认收到提示后有 {deadline_days} 个工作日作决定，请尽快做三件事：一、在应用中核对这些记录，认为结果不对的，可以申诉；"
            "二、有正当理由的（如生病、请假、手机故障），在应用中说明并附上证明；三、联系辅导员，需要时请辅导员帮助。",
            f"{record.en.format(number=len(days), days=dates.en)} The school is checking this and has not decided yet. If it is right, "
            f"what may follow is: {proposed.en}. The school has {deadline_days} working days to decide, once it confirms that it "
            "received the prompt. Do three things soon: 1. Check these records in the app, and appeal if a result is wrong. 2. If you "
            "had a justified reason (illness, leave, a broken phone), state it in the app with a proof. 3. Talk to your "
            "counselor, who can help you.",
        ),
    )


_RECORDS: Mapping[str, Bilingual] = {
    "misses": Bilingual(
        "记录显示，本学期您有 {number} 次核验未按时完成，日期是 {days}。",
        "Your record shows {number} missed checks this term, on {days}.",
    ),
    "leave_over_cap": Bilingual(
        "记录显示，您本学期的请假天数在 {days} 超过了上限。",
        "Your record shows that your leave of this term exceeded its limit on {days}.",
    ),
    "absence_without_leave": Bilingual(
        "记录显示，您从 {days} 起未请假缺席，之后没有到校的记录。",
        "Your record shows absence without leave from {days}, and no presence since.",
    ),
}


def _list_days(days: Sequence[date]) -> Bilingual:
    written = [day.isoformat() for day in days]
    return Bilingual("、".join(written), ", ".join(written))


def raised_to_superior(kind: str, school: str) -> NoticeText:
    what = KINDS[kind]
    return NoticeText(
        Bilingual("已向学校发出处理提示", "A school received a prompt"),
        Bilingual(
            f"“{school}”一名学生{what.zh}，系统已提示学校核实处理。目前无需您操作。",
            f"A student of “{school}”: {what.en}. The school received a prompt. No action is needed from you now.",
        ),
    )


def reminder_to_registrar(kind: str, due: datetime) -> NoticeText:
    what = KINDS[kind]
    return NoticeText(
        Bilingual("待处理提示", "A prompt is waiting for you"),
        Bilingual(
            f"一名学生（{what.zh}）的处理提示尚未作出决定，期限至 {format_end(due)}。请在应用中核实并作出决定。",
            f"A prompt ({what.en}) is waiting for your decision until {format_end(due)}. Check the facts and decide in the app.",
        ),
    )


# --- a prompt changes its state ---

TO_SUPERIOR = {
    PromptState.DISMISSAL_PENDING: NoticeText(
        Bilingual("请答复学校的免予处理意见", "A dismissal is waiting for your answer"),
        Bilingual(
            "“{school}”认为一名学生有正当理由，拟免予处理。请在应用中查看并答复。",
            "“{school}” found a justified reason and wants to dismiss a prompt. Review it in the app and answer.",
        ),
    ),
    PromptState.BLOCKED: NoticeText(
        Bilingual("期限已到，暂缓执行", "A deadline has ended; execution is blocked"),
        Bilingual(
            "“{school}”一项提示期限已到，但尚有事项未了结，系统不会自动执行。请在应用中查看并督促了结。",
            "A deadline of “{school}” has ended with open matters, so nothing is executed. Review them in the app and have them settled.",
        ),
    ),
    PromptState.ESCALATED: NoticeText(
        Bilingual("请作出决定", "Please decide"),
        Bilingual(
            "“{school}”未在期限内作出决定，该提示已转由您处理。请在应用中核实并作出决定。",
            "“{school}” did not decide in time, so you decide this prompt now. Check the facts and decide in the app.",
        ),
    ),
    PromptState.EXECUTED: NoticeText(
        Bilingual("期限已到，已自动执行", "A deadline has ended; the proposal was executed"),
        Bilingual(
            "“{school}”一项提示期限内未作决定，系统已按拟处理意见执行。请核查；如有不当，可在应用中一步撤销。",
            "“{school}” did not decide in time, and the proposal was executed. Check it; you can reverse it in one step in the app.",
        ),
    ),
}

DECIDED_DESPITE_BLOCKERS = NoticeText(
    Bilingual("有未了结事项时作出了处理", "A prompt was decided with matters still open"),
    Bilingual(
        "“{school}”在仍有事项未了结（如申诉、理由申请、请假待批或网络中断）时，对一名学生的提示作出了处理，并在理由中作了说明。请在应用中核查。",
        "“{school}” decided a prompt while matters such as an appeal, a claim, a leave request or an outage were still open, and gave "
        "reasons. Check it in the app.",
    ),
)
"""The superior's notice of a decision that the registrar made despite a blocker (reading 25)."""

TO_REGISTRAR = {
    PromptState.BLOCKED: NoticeText(
        Bilingual("期限已到，暂缓执行", "A deadline has ended; execution is blocked"),
        Bilingual(
            "一项提示期限已到，但尚有事项未了结，系统不会自动执行。请在应用中查看未了结的事项，并作出决定。",
            "A deadline has ended with open matters, so nothing is executed. Review them in the app and decide.",
        ),
    ),
    PromptState.ESCALATED: NoticeText(
        Bilingual("提示已转上级处理", "A prompt was escalated to your superior"),
        Bilingual(
            "一项提示期限内未作决定，已转上级处理。请配合上级核实。",
            "A prompt was not decided in time and was escalated to your superior. Please help to check the facts.",
        ),
    ),
}

DISMISSAL_REFUSED = NoticeText(
    Bilingual("上级未同意免予处理", "Your superior did not agree to a dismissal"),
    Bilingual(
        "上级未同意一项免予处理意见，意见全文见应用。请在应用所示期限之前重新作出决定；原期限已满或将满的，期限已顺延。",
        "Your superior did not agree to a dismissal; the app shows the opinion. Decide again before the deadline in the app. "
        "If the original deadline was over or close, it has been extended.",
    ),
)

CLOSED_TO_STUDENT = {
    PromptState.DISMISSED: NoticeText(
        Bilingual("情况已核实，不作处理", "Checked: no further action"),
        Bilingual(
            "经核实，您有正当理由，此前的提示已了结，不作任何处理。您无需操作。",
            "You had a justified reason. The prompt is closed without consequences. You do not need to do anything.",
        ),
    ),
    PromptState.WITHDRAWN: NoticeText(
        Bilingual("提示已撤回", "A prompt was withdrawn"),
        Bilingual(
            "此前关于您的提示所依据的记录已不成立，提示已撤回，不作任何处理。您无需操作。",
            "The basis of the prompt no longer holds. It was withdrawn without consequences. You do not need to do anything.",
        ),
    ),
}

CLOSED_TO_STAFF = {
    PromptState.DISMISSED: NoticeText(
        Bilingual("提示已免予处理", "A prompt was dismissed"),
        Bilingual(
            "一名学生的提示经核实免予处理，已经了结，无需再作决定。",
            "A student's prompt was dismissed for a justified reason. No decision is needed.",
        ),
    ),
    PromptState.WITHDRAWN: NoticeText(
        Bilingual("提示已撤回", "A prompt was withdrawn"),
        Bilingual(
            "一名学生的提示所依据的记录已不成立，提示已撤回，无需再作决定。",
            "The basis of a student's prompt no longer holds. It was withdrawn. No decision is needed.",
        ),
    ),
}


# --- the status changes ---

CAUSE_PHRASES = {
    "decision": Bilingual(
        "经学校或上级核实后决定", "decided after the school or its superior checked the facts"
    ),
    "expiry": Bilingual(
        "规定期限内未作其他决定，按规定执行", "executed because there was no other decision in time"
    ),
}


def changed_to_student(
    cause: str, outcome: Bilingual, kind: str, at: datetime, delay: Bilingual | None
) -> NoticeText:
    """`delay`: why the execution waited after the deadline (`delay_words`), None if it did not."""
    what, why = KINDS[kind], CAUSE_PHRASES[cause]
    if delay is not None:
        why = Bilingual(f"{why.zh}；{delay.zh}", f"{why.en}; {delay.en}")
    return NoticeText(
        Bilingual("学籍状态有变化", "Your status has changed"),
        Bilingual(
            f"您的学籍状态自 {format_instant(at)} 起发生异动：{outcome.zh}。原因：{what.zh}，{why.zh}。依据和证据可在应用中查看。{APPEAL.zh}",
            f"Your status has changed from {format_instant(at)}: {outcome.en}. Reason: {what.en}, {why.en}. The app shows the rule and "
            f"the evidence. {APPEAL.en}",
        ),
    )


RESTORED_TO_STUDENT = NoticeText(
    Bilingual("学籍状态已恢复", "Your status is restored"),
    Bilingual(
        "此前的一项学籍异动已撤销，您的学籍状态已恢复。您无需操作，详情可在应用中查看。",
        "An earlier change was reversed and your status is restored. You do not need to do anything; the app shows the details.",
    ),
)
EDITED_TO_STUDENT = NoticeText(
    Bilingual("学籍信息已变更", "Your record has changed"),
    Bilingual(
        "您的学籍信息已按审批结果变更，详情可在应用中查看。如与事实不符，请联系辅导员。",
        "Your record was changed as approved; the app shows the details. If it is wrong, contact your counselor.",
    ),
)
CHANGED_TO_STAFF = NoticeText(
    Bilingual("一名学生的学籍状态有异动", "A student's status has changed"),
    Bilingual(
        "一名学生的学籍状态有异动，异动和依据可在应用中查看。请当面告知学生，并告知可以申诉。",
        "A student's status has changed; the app shows how and why. Please tell the student in person and mention the right to appeal.",
    ),
)
RESTORED_TO_STAFF = NoticeText(
    Bilingual("一名学生的学籍状态已恢复", "A student's status is restored"),
    Bilingual(
        "一名学生的一项学籍异动已撤销，学籍状态已恢复。请告知学生并恢复正常管理。",
        "A change of a student's status was reversed. Please tell the student and resume normal management.",
    ),
)


# --- warnings ---


def warning_to_student(code: str, cap: int) -> NoticeText:
    return NoticeText(Bilingual("请留意", "Please take note"), _STUDENT_WARNINGS[code](cap))


def warning_to_counselor(code: str) -> NoticeText:
    warning = _COUNSELOR_WARNINGS[code]
    return NoticeText(
        Bilingual("请关心一名学生", "Please contact a student"),
        Bilingual(
            f"您负责的一名学生{warning.zh}请尽快联系学生，详情见应用。",
            f"{warning.en} Contact the student soon; the app shows the details.",
        ),
    )


_STUDENT_WARNINGS: Mapping[str, Callable[[int], Bilingual]] = {
    "one_more_miss": lambda _: Bilingual(
        "本学期再有一次未按时核验，学校就会收到提示。请留意下一次核验通知并按时完成；做不到时，请提前告诉辅导员。",
        "If you miss one more check this term, your school receives a prompt. Watch for the next one and check in on time; "
        "if you cannot, tell your counselor beforehand.",
    ),
    "leave_days_used": lambda cap: Bilingual(
        f"本学期请假天数已接近上限（{cap} 天）。请合理安排；确需再请假的，请先与辅导员商量。",
        f"Your leave this term is close to its limit ({cap} days). Plan the rest, and talk to your counselor before asking for more.",
    ),
    "leave_plan_exceeds": lambda cap: Bilingual(
        f"已批准的请假用完后，将超过本学期上限（{cap} 天）。请在此之前返校销假，或尽快与辅导员商量。",
        f"With your approved leave you will exceed this term's limit ({cap} days). Return before that, or talk to "
        "your counselor soon.",
    ),
    "absence_continues": lambda _: Bilingual(
        "学校有您未请假缺席的记录。请尽快返校，或在应用中补办请假；如记录有误，请联系辅导员更正。",
        "Your school has recorded you absent without leave. Return or ask for leave in the app soon; if the record is "
        "wrong, contact your counselor.",
    ),
}
_COUNSELOR_WARNINGS = {
    "one_more_miss": Bilingual(
        "本学期再有一次未按时核验，学校就会收到提示。",
        "If a student misses one more check, the school receives a prompt.",
    ),
    "leave_days_used": Bilingual(
        "本学期请假天数已接近上限。", "A student's leave is close to the limit of the term."
    ),
    "leave_plan_exceeds": Bilingual(
        "已批准的请假将超过学期上限。", "A student's approved leave will exceed the limit of the term."
    ),
    "absence_continues": Bilingual(
        "未请假缺席已有多日。", "A student has been recorded absent without leave for days."
    ),
}

CHANGE_WITHOUT_BASIS_TO_STUDENT = NoticeText(
    Bilingual("您的一项学籍异动可能失去依据", "A change of your status may have lost its basis"),
    Bilingual(
        "您的学籍异动所依据的事实后来有了变化，按现有事实已达不到规定的条件。学校和上级主管部门已收到通知。"
        "系统不会自动改动已了结的事项；您可以在应用中查看依据并提出申诉，申诉成立的，学籍状态即予恢复。",
        "The facts behind a change of your status have changed and no longer reach the limit. Your school and its superior have "
        "been told. Closed cases are never changed automatically: see the basis in the app and appeal. If the appeal is "
        "upheld, your status is restored.",
    ),
)
CHANGE_WITHOUT_BASIS = NoticeText(
    Bilingual("一项学籍异动可能失去依据", "A change may have lost its basis"),
    Bilingual(
        "一名学生学籍异动所依据的事实后来有了变化：例如未核验有正当理由，或待定的核验已认定为通过。按现有事实已达不到规定的条件。"
        "系统不会自动改动已了结的事项，请核查，必要时撤销该异动，或告知学生可以申诉。",
        "The facts behind a student's change have changed: for example, a miss was excused, or an undetermined check was found "
        "to be a pass. They no longer reach the limit. Closed cases are never changed automatically: check it, reverse the "
        "change if necessary, or tell the student about the right to appeal.",
    ),
)
REPLAY_DIFFERENCE = NoticeText(
    Bilingual("学籍记录需要核查", "A record needs a review"),
    Bilingual(
        "“{school}”一名学生的存档与按事实重新推算的结果不一致。系统未作任何改动，请在应用中查看差异并核查。",
        "The stored record of a student of “{school}” differs from the result of the facts. Nothing was changed; review "
        "the difference in the app.",
    ),
)


# --- claims ---

CLAIM_ACCEPTED = NoticeText(
    Bilingual("未核验理由已认可", "Reason accepted"),
    Bilingual(
        "您的未核验理由已认可。该次核验不再计入次数。请在应用中查看意见。",
        "Your reason for a missed check was accepted. That check no longer counts. Open the app to read the opinion.",
    ),
)
CLAIM_REFUSED = NoticeText(
    Bilingual("未核验理由未予认可", "Reason not accepted"),
    Bilingual(
        "您的未核验理由未予认可。如不服，可提出申诉。请在应用中查看意见。",
        "Your reason for a missed check was not accepted. If you disagree, you may appeal. Open the app to read the opinion.",
    ),
)

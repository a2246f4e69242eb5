"""The notices of standing, Chinese and English: what happened, what to do, until when. No name, no reason, no threat.

A phone may lie open, and a notice is read before a case is: it says where to look, and nobody is judged in it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from backend.standing.engine.prompts import PromptState
from backend.standing.explanations.phrases import KINDS, Bilingual, instant, until


@dataclass(frozen=True, slots=True)
class Text:
    """Title and body in both languages."""

    title: Bilingual
    body: Bilingual


APPEAL = Bilingual(
    "如有异议，可在应用中提出申诉；申诉成立的，恢复原来的学籍状态。",
    "If you disagree, appeal in the app; if the appeal is upheld, your earlier status is restored.",
)


# --- a prompt is raised ---


def raised_to_registrar(kind: str, proposed: Bilingual, days: int) -> Text:
    what = KINDS[kind]
    return Text(
        Bilingual("学籍处理提示", "A prompt for a decision"),
        Bilingual(
            f"贵校一名学生{what.zh}，拟处理意见为“{proposed.zh}”。请在应用中确认收到并核实情况，"
            f"自收到之日起 {days} 个工作日内作出决定。",
            f"One of your students: {what.en}; proposed: {proposed.en}. Confirm the receipt in the app, look into the "
            f"case, and decide within {days} working days of the receipt.",
        ),
    )


def raised_to_counselor(kind: str) -> Text:
    what = KINDS[kind]
    return Text(
        Bilingual("请了解一名学生的情况", "Please look after a student"),
        Bilingual(
            f"您负责的一名学生{what.zh}，学校已收到提示，将核实后作出决定。请尽快联系学生；"
            "如有正当理由，请提醒学生在学校决定之前在应用中说明。",
            f"One of your students: {what.en}. The school was prompted and will decide. Get in touch soon; with a "
            "justified reason, the student should say so in the app before the school decides.",
        ),
    )


def raised_to_student(kind: str) -> Text:
    what = KINDS[kind]
    return Text(
        Bilingual("请说明情况", "Please tell your side"),
        Bilingual(
            f"记录显示：{what.zh}。学校正在核实，尚未作出决定。如有正当理由（如生病、请假、设备故障），"
            "请在学校作出决定之前在应用中说明；也可以联系辅导员帮助您。",
            f"Your record shows: {what.en}. The school is looking into it and has decided nothing. With a justified "
            "reason (illness, leave, a broken phone), say so in the app before the school decides; your counselor helps.",
        ),
    )


def raised_to_superior(kind: str, school: str) -> Text:
    what = KINDS[kind]
    return Text(
        Bilingual("已向学校发出处理提示", "A school was prompted"),
        Bilingual(
            f"“{school}”一名学生{what.zh}，系统已提示学校核实处理。目前无需您操作。",
            f"A student of “{school}”: {what.en}. The school was prompted; you need do nothing now.",
        ),
    )


def reminder(kind: str, due: datetime) -> Text:
    what = KINDS[kind]
    return Text(
        Bilingual("待处理提示", "A prompt waits for you"),
        Bilingual(
            f"一名学生（{what.zh}）的处理提示尚未作出决定，期限至 {until(due)}。请在应用中核实并作出决定。",
            f"A prompt ({what.en}) waits for a decision until {until(due)}. Look into it and decide in the app.",
        ),
    )


# --- a prompt moves ---

TO_SUPERIOR = {
    PromptState.DISMISSAL_PENDING: Text(
        Bilingual("请答复学校的免予处理意见", "A dismissal waits for you"),
        Bilingual(
            "“{school}”认为一名学生有正当理由，拟免予处理。请在应用中查看并答复。",
            "“{school}” found a justified reason and would dismiss a prompt. See the app and answer.",
        ),
    ),
    PromptState.BLOCKED: Text(
        Bilingual("期限已到，暂缓执行", "A deadline has ended; execution is held up"),
        Bilingual(
            "“{school}”一项提示期限已到，但尚有事项未了结，系统不会自动执行。请在应用中查看并督促了结。",
            "A deadline of “{school}” has ended with matters open, so nothing is executed. See the app and help to settle them.",
        ),
    ),
    PromptState.ESCALATED: Text(
        Bilingual("请作出决定", "A decision is yours now"),
        Bilingual(
            "“{school}”未在期限内作出决定，该提示已转由您处理。请在应用中核实并作出决定。",
            "“{school}” did not decide in time, and the prompt is yours now. Look into it and decide in the app.",
        ),
    ),
    PromptState.EXECUTED: Text(
        Bilingual("期限已到，已自动执行", "A deadline has ended; the proposal was executed"),
        Bilingual(
            "“{school}”一项提示期限内未作决定，系统已按拟处理意见执行。请核查；如有不当，可在应用中一步撤销。",
            "“{school}” did not decide in time, and the proposal was executed. Check it; one step in the app takes it back.",
        ),
    ),
}

TO_REGISTRAR = {
    PromptState.BLOCKED: Text(
        Bilingual("期限已到，暂缓执行", "A deadline has ended; execution is held up"),
        Bilingual(
            "一项提示期限已到，但尚有事项未了结，系统不会自动执行。请在应用中查看未了结的事项，并作出决定。",
            "A deadline has ended with matters open, so nothing is executed. See the app for what is open, and decide.",
        ),
    ),
    PromptState.ESCALATED: Text(
        Bilingual("提示已转上级处理", "A prompt went to your superior"),
        Bilingual(
            "一项提示期限内未作决定，已转上级处理。请配合上级核实。",
            "A prompt was not decided in time and went to your superior. Please help with the facts.",
        ),
    ),
}

REFUSED_DISMISSAL = Text(
    Bilingual("上级未同意免予处理", "Your superior did not agree to a dismissal"),
    Bilingual(
        "上级未同意一项免予处理意见，意见全文见应用。请在期限内重新作出决定。",
        "Your superior did not agree to a dismissal; the app shows why. Decide again before the deadline ends.",
    ),
)

CLOSED_TO_STUDENT = {
    PromptState.DISMISSED: Text(
        Bilingual("情况已核实，不作处理", "Looked into: nothing follows"),
        Bilingual(
            "经核实，您有正当理由，此前的提示已了结，不作任何处理。您无需操作。",
            "You had a justified reason. The prompt is closed, nothing follows, and you need do nothing.",
        ),
    ),
    PromptState.WITHDRAWN: Text(
        Bilingual("提示已撤回", "A prompt was withdrawn"),
        Bilingual(
            "此前关于您的提示所依据的记录已不成立，提示已撤回，不作任何处理。您无需操作。",
            "What the prompt rested on holds no more. It was withdrawn, nothing follows, and you need do nothing.",
        ),
    ),
}

CLOSED_TO_STAFF = {
    PromptState.DISMISSED: Text(
        Bilingual("提示已免予处理", "A prompt was dismissed"),
        Bilingual(
            "一名学生的提示经核实免予处理，已经了结，无需再作决定。",
            "A student's prompt was dismissed for a justified reason; no decision is needed any more.",
        ),
    ),
    PromptState.WITHDRAWN: Text(
        Bilingual("提示已撤回", "A prompt was withdrawn"),
        Bilingual(
            "一名学生的提示所依据的记录已不成立，提示已撤回，无需再作决定。",
            "What a student's prompt rested on holds no more. It was withdrawn; no decision is needed any more.",
        ),
    ),
}


# --- the status changes ---

WHY_CHANGED = {
    "decision": Bilingual("经学校或上级核实后决定", "after the school or its superior looked into it"),
    "expiry": Bilingual("规定期限内未作其他决定，按规定执行", "because nothing else was decided in time"),
}


def changed_to_student(cause: str, outcome: Bilingual, kind: str, at: datetime) -> Text:
    what, why = KINDS[kind], WHY_CHANGED[cause]
    return Text(
        Bilingual("学籍状态有变动", "Your status has changed"),
        Bilingual(
            f"您的学籍状态自 {instant(at)} 起变动：{outcome.zh}。原因：{what.zh}，{why.zh}。依据和证据可在应用中查看。{APPEAL.zh}",
            f"Your status has changed from {instant(at)}: {outcome.en}. Why: {what.en}, {why.en}. The app shows the rule and "
            f"the evidence. {APPEAL.en}",
        ),
    )


RESTORED_TO_STUDENT = Text(
    Bilingual("学籍状态已恢复", "Your status is restored"),
    Bilingual(
        "此前的一项学籍变动已撤销，您的学籍状态已恢复。您无需操作，详情可在应用中查看。",
        "An earlier change was taken back and your status is restored. You need do nothing; see the app.",
    ),
)
EDITED_TO_STUDENT = Text(
    Bilingual("学籍信息有变动", "Your record has changed"),
    Bilingual(
        "您的学籍信息已按审批结果变动，详情可在应用中查看。如与事实不符，请联系辅导员。",
        "Your record has changed as it was approved; see the app. If it is not right, tell your counselor.",
    ),
)
CHANGED_TO_STAFF = Text(
    Bilingual("一名学生的学籍状态有变动", "A student's status has changed"),
    Bilingual(
        "一名学生的学籍状态有变动，变动和依据可在应用中查看。请当面告知学生，并告知可以申诉。",
        "A student's status has changed; the app shows how and why. Please speak with the student, also of the appeal.",
    ),
)
RESTORED_TO_STAFF = Text(
    Bilingual("一名学生的学籍状态已恢复", "A student's status is restored"),
    Bilingual(
        "一名学生的一项学籍变动已撤销，学籍状态已恢复。请告知学生并恢复正常管理。",
        "A change of a student's status was taken back. Please tell the student and carry on as before.",
    ),
)


# --- warnings ---


def warned_student(code: str, cap: int) -> Text:
    return Text(Bilingual("请留意", "Please take note"), _WARNED_STUDENT[code](cap))


def warned_counselor(code: str) -> Text:
    said = _WARNED_COUNSELOR[code]
    return Text(
        Bilingual("请关心一名学生", "Please look after a student"),
        Bilingual(
            f"您负责的一名学生{said.zh}请尽快联系学生，详情见应用。",
            f"{said.en} Get in touch soon; see the app.",
        ),
    )


_WARNED_STUDENT: Mapping[str, Callable[[int], Bilingual]] = {
    "one_more_miss": lambda _: Bilingual(
        "本学期再有一次未按时核验，学校就会收到提示。请留意下一次核验通知并按时完成；做不到时，请提前告诉辅导员。",
        "One more missed check this term prompts your school. Watch for the next one and take part in time; if you "
        "cannot, tell your counselor before it.",
    ),
    "leave_days_used": lambda cap: Bilingual(
        f"本学期请假天数已接近上限（{cap} 天）。请合理安排；确需再请假的，请先与辅导员商量。",
        f"Your leave this term nears its limit ({cap} days). Plan the rest, and speak with your counselor before asking for more.",
    ),
    "leave_plan_exceeds": lambda cap: Bilingual(
        f"已批准的请假用完后，将超过本学期上限（{cap} 天）。请在此之前返校销假，或尽快与辅导员商量。",
        f"With the leave that is approved you will pass this term's limit ({cap} days). Return before that, or speak with "
        "your counselor soon.",
    ),
    "absence_continues": lambda _: Bilingual(
        "学校有您未请假缺席的记录。请尽快返校，或在应用中补办请假；如记录有误，请联系辅导员更正。",
        "Your school has recorded you absent without leave. Return or ask for leave in the app soon; if the record is "
        "wrong, tell your counselor.",
    ),
}
_WARNED_COUNSELOR = {
    "one_more_miss": Bilingual(
        "本学期再有一次未按时核验，学校就会收到提示。",
        "One more missed check of a student prompts the school.",
    ),
    "leave_days_used": Bilingual(
        "本学期请假天数已接近上限。", "A student's leave nears the limit of the term."
    ),
    "leave_plan_exceeds": Bilingual(
        "已批准的请假将超过学期上限。", "A student's approved leave will pass the limit of the term."
    ),
    "absence_continues": Bilingual(
        "未请假缺席已有多日。", "A student has been recorded absent without leave for days."
    ),
}

UNFOUNDED = Text(
    Bilingual("一项学籍变动可能失去依据", "A change may have lost its basis"),
    Bilingual(
        "一名学生学籍变动所依据的未核验记录，后来被认定为有正当理由。系统不会自动改动已了结的事项，请核查，"
        "必要时撤销该变动，或告知学生可以申诉。",
        "Misses behind a student's change were excused since. A closed case is never reopened by itself: check it, take "
        "the change back if need be, or tell the student of the appeal.",
    ),
)
DIFFERS = Text(
    Bilingual("学籍记录需要核查", "A record needs a look"),
    Bilingual(
        "“{school}”一名学生的存档与按事实重新推算的结果不一致。系统未作任何改动，请在应用中查看差异并核查。",
        "What is stored of a student of “{school}” differs from what the facts give. Nothing was changed; see the app "
        "and look into it.",
    ),
)

"""Every code of the rules of standing in plain words, Chinese first, English beside; the one place for them.

A code without words is a fault that `tests/standing/test_explaining.py` finds before anybody reads it.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import NamedTuple

from backend.core.clock import LEGAL_ZONE
from backend.standing.law import StandingLaw


class Words(NamedTuple):
    """A sentence, or a part of one, in both languages."""

    zh: str
    en: str


def joined(parts: Iterable[Words]) -> Words:
    """A list in one line."""
    found = tuple(parts)
    return Words("、".join(part.zh for part in found), ", ".join(part.en for part in found))


def instant(at: datetime) -> str:
    """An instant as clocks in China show it."""
    return at.astimezone(LEGAL_ZONE).strftime("%Y-%m-%d %H:%M")


def until(at: datetime) -> str:
    """The last minute before an exclusive end: 24:00 of a day reads as that day, not as the next."""
    local = at.astimezone(LEGAL_ZONE)
    if (local.hour, local.minute, local.second) == (0, 0, 0):
        return f"{date.fromordinal(local.date().toordinal() - 1).isoformat()} 24:00"
    return instant(at)


_TERM = re.compile(r"([0-9]{4})-(spring|autumn)")


def term_words(code: str) -> Words:
    """A term by its code; a school's own kind of code is a name already."""
    found = _TERM.fullmatch(code)
    if found is None:
        return Words(f"学期 {code}", f"term {code}") if code else Words("学期之外", "outside the terms")
    year, half = found.groups()
    return Words(f"{year} 年{'春' if half == 'spring' else '秋'}季学期", f"{half} term of {year}")


KINDS: Mapping[str, Words] = {
    "misses": Words("多次未按时核验", "checks were missed"),
    "leave_over_cap": Words("请假超过学期上限", "leave over the limit of the term"),
    "absence_without_leave": Words("未请假长期缺席", "long absence without leave"),
}
"""`PromptKind`."""

STATES: Mapping[str, Words] = {
    "undelivered": Words("待学校接收", "not received by the school yet"),
    "running": Words("待学校处理", "waits for the school"),
    "dismissal_pending": Words("已申请免予处理，待上级答复", "a dismissal waits for the superior"),
    "blocked": Words("期限届满，因故暂缓执行", "the deadline has ended; execution is held up"),
    "escalated": Words("已转上级处理", "waits for the superior"),
    "decided": Words("已处理", "decided"),
    "executed": Words("已自动执行", "executed when the deadline ended"),
    "dismissed": Words("已免予处理", "dismissed"),
    "withdrawn": Words("已撤回", "withdrawn"),
}
"""`PromptState`."""

BLOCKERS: Mapping[str, Words] = {
    "open_appeal": Words("有申诉尚未答复", "an appeal is open"),
    "open_reason_claim": Words("有正当理由申请尚未答复", "a claim of a justified reason is open"),
    "pending_leave": Words("有请假尚未审批", "a request for leave is pending"),
    "declared_outage": Words(
        "有申报的故障尚未认定或仍在持续", "a declared outage lasts or is not judged yet"
    ),
    "notice_undelivered": Words("有通知未及时送达", "a notice was not delivered in time"),
    "incomplete_evidence": Words("证据不齐", "the evidence is incomplete"),
    "calendar_year_missing": Words(
        "{year} 年的工作日历尚未载入，期限无法计算",
        "the working calendar of {year} is not loaded, so the deadline cannot be computed",
    ),
}
"""What holds an automatic execution up, as parts of a sentence; a code may carry a year behind a colon."""

PARTS: Mapping[str, Words] = {
    "notice": Words("通知及时送达的回执", "the receipt of the notice in time"),
    "window": Words("核验时段", "the window"),
    "availability": Words("系统可用性记录", "the record of the service's availability"),
    "submissions": Words("学生提交内容的判定", "the judgement of what the student submitted"),
    "versions": Words("备案地址等版本", "the versions of the filed site"),
}
"""The parts of evidence that a sanction must name (invariant 7)."""

CAUTIONS: Mapping[str, Words] = {
    "one_more_miss": Words(
        "再有一次未按时核验，学校会收到处理提示。", "One more missed check brings a prompt to the school."
    ),
    "leave_days_used": Words(
        "请假天数已接近学期上限，请合理安排。", "The leave of this term nears its limit; plan the rest."
    ),
    "leave_plan_exceeds": Words(
        "如不提前返校，请假将超过学期上限。",
        "Unless the student returns early, leave will pass the limit of the term.",
    ),
    "absence_continues": Words(
        "有未请假缺席的记录，请尽快返校或补办手续。",
        "There is a record of absence without leave; return, or ask for leave.",
    ),
    "change_without_basis": Words(
        "一项学籍异动的依据已发生变化，可提出申诉。",
        "What a change of standing rested on has changed; an appeal is possible.",
    ),
}
"""Warnings: what will follow if nothing changes."""

GROUNDS: Mapping[str, Words] = {
    "consecutive": Words("连续次数达到上限", "the limit of misses in a row is reached"),
    "cumulative": Words("累计次数达到上限", "the limit of misses in the term is reached"),
    "over_cap": Words("本学期请假天数超过上限", "leave in the term is over the limit"),
    "over_limit": Words(
        "有记录的缺席超过规定的月数", "recorded absence lasted longer than the months allowed"
    ),
}

WITHDRAWN_BECAUSE: Mapping[str, Words] = {
    "standing_changed": Words(
        "学籍状态已经改变，不再需要参加核验。", "The standing has changed, and presence is no longer owed."
    ),
    "basis_gone": Words(
        "所依据的记录已被认可理由、更正或作废，不再成立。",
        "The records it rested on were excused, corrected or voided.",
    ),
}

CAUSES: Mapping[str, Words] = {
    "decision": Words("人工决定", "decided by a person"),
    "expiry": Words("期满自动执行", "carried out when the deadline ended"),
    "appeal": Words("申诉成立，恢复原状态", "restored by an appeal"),
    "reversal": Words("主管部门撤回自动执行", "taken back by the authority"),
    "edit": Words("学籍变更", "change of the record"),
}
"""`Cause`: what wrote an entry of the ledger."""

OBJECTIONS: Mapping[str, Words] = {
    "prompt_unknown": Words("没有这条提示。", "There is no such prompt."),
    **{
        f"prompt_{code}": Words(f"提示的状态是“{words.zh}”。", f"The prompt stands as: {words.en}.")
        for code, words in STATES.items()
    },
    "for_registrar_to_decide": Words("现在应由学校管理员处理。", "It is the registrar's turn to decide."),
    "for_superior_to_decide": Words("现在应由上级主管部门处理。", "It is the superior's turn to decide."),
    "reason_not_in_catalogue": Words("这不是目录中的正当理由。", "The reason is not in the catalogue."),
    "reason_needs_text": Words("这种理由须写明情况。", "This reason needs a text."),
    "unknown_outcome": Words("规定中没有这种处理结果。", "The law knows no such outcome."),
    "prompt_not_delivered": Words("提示还没有送达学校。", "The prompt has not reached the school yet."),
    "notice_undelivered": Words("有通知没有及时送达。", "A notice did not arrive in time."),
    "incomplete_evidence": Words("证据不齐。", "The evidence is incomplete."),
    "reasons_required": Words(
        "选择与提示不同的处理，须写明理由。", "Another outcome than the proposed one needs reasons."
    ),
    "no_dismissal_pending": Words("没有等待答复的免予处理申请。", "No dismissal waits for an answer."),
    "own_dismissal": Words("提出免予处理的人不能自己答复。", "Who dismissed may not answer it."),
    "unknown_target": Words("不能就这件事申诉。", "This is nothing to appeal against."),
    "no_result_yet": Words("核验还没有截止，没有结果可以申诉。", "The check has no result yet."),
    "already_appealed": Words("已就这件事申诉过。", "This matter was appealed already."),
    "previous_not_rejected": Words(
        "上一次申诉没有被驳回，不能继续向上申诉。", "The earlier appeal was not rejected."
    ),
    "already_carried_up": Words("这件申诉已提交到上一级。", "The appeal was carried up already."),
    "appeal_exhausted": Words("申诉的级数已用完。", "No level of appeal is left."),
    "no_such_change": Words("没有这次学籍变动。", "There is no such change."),
    "no_such_change_in_force": Words("没有这次仍然有效的变动。", "No such change is in force."),
    "not_automatic": Words(
        "这是人作出的决定，应通过申诉改变。", "A person decided this; only an appeal undoes it."
    ),
    "locked": Words(
        "学籍已锁定，须先经省教育厅批准。", "The record is locked; the province must approve first."
    ),
}
"""Why a recorded act had no effect."""

PLACES: Mapping[str, Words] = {
    "appeal_upheld": Words("申诉成立", "an appeal was upheld"),
    "voided": Words("核验已作废", "the check was voided"),
    "relaunched": Words("核验已重新发起", "the check was launched anew"),
    "excused": Words("免于核验", "excused"),
    "undetermined": Words("结果待定", "undetermined"),
    "unsettled": Words("尚未结算", "not settled yet"),
    "reason_accepted": Words("理由已获认可", "a reason was accepted"),
    "on_leave": Words("请假获批准", "on approved leave"),
    "outage": Words("系统或网络中断", "an outage"),
    "outside_one_term": Words("时段不在一个学期内", "not inside one term"),
    "overlapping_window": Words("与另一次核验时段重叠", "its window overlapped another's"),
    "answered": Words("此前的变动已处理过", "answered for by an earlier change"),
    "reversed": Words("所致变动已被撤销", "the change it caused was taken back"),
    "dismissed": Words("提示已免予处理", "its prompt was dismissed"),
}
"""Why a check is out of the count."""

RESULTS: Mapping[str, Words] = {
    "present": Words("通过", "passed"),
    "missed": Words("未按时核验", "missed"),
    "excused": Words("免于核验", "excused"),
    "undetermined": Words("待定", "undetermined"),
    "unsettled": Words("尚未结算", "not settled yet"),
}

CHECK_KINDS: Mapping[str, Words] = {
    "spot_check": Words("上级核验", "spot check"),
    "registration": Words("注册核验", "registration check"),
    "rehearsal": Words("联调测试", "rehearsal"),
    "school_own": Words("学校自行点名", "the school's own roll call"),
}

LAUNCHERS: Mapping[str, Words] = {
    "province": Words("省教育厅", "the province"),
    "bureau": Words("市、县教育局", "a bureau"),
    "school": Words("学校", "the school"),
}

STANDINGS: Mapping[str, Words] = {
    "01": Words("在读", "enrolled"),
    "02": Words("休学", "suspended"),
    "03": Words("退学", "withdrawn"),
    "04": Words("停学", "stopped"),
    "05": Words("复学", "resumed"),
    "06": Words("流失", "dropped out"),
    "07": Words("毕业", "graduated"),
    "08": Words("结业", "completed"),
    "09": Words("肄业", "left before graduation"),
    "10": Words("转出", "transferred out"),
    "11": Words("死亡", "deceased"),
    "12": Words("保留入学资格", "admission kept"),
    "13": Words("公派出国", "sent abroad"),
    "14": Words("开除", "expelled"),
    "15": Words("下落不明", "missing"),
    "99": Words("其他", "other"),
}
"""National codes of standing."""

STUDY_FORMS: Mapping[str, Words] = {
    "full_time": Words("全日制", "full-time"),
    "part_time": Words("非全日制", "part-time"),
}

ITEMS: Mapping[str, Words] = {
    "standing_change": Words("学籍状态变动", "change of standing"),
    "return_from_suspension": Words("复学", "return from suspension"),
    "study_form": Words("学习形式变更", "change of study form"),
    "contact_data": Words("联系方式", "contact data"),
    "graduation": Words("毕业", "graduation"),
    "death": Words("死亡", "death"),
    "restoration_by_appeal": Words("申诉恢复", "restoration by appeal"),
}
"""What the lock covers and what it leaves free; an edit of the record is one of them."""

OTHER_OUTCOMES: Mapping[str, Words] = {
    **ITEMS,
    "restored": Words("恢复原状态", "the earlier standing restored"),
    "dismiss": Words("免予处理", "dismissed"),
}
"""What an entry or a decision may say beside the outcomes of the law."""

DAY_COUNTS: Mapping[str, Words] = {
    "calendar_days": Words("按自然日", "calendar days"),
    "teaching_days": Words("按教学日", "teaching days"),
}

ON_EXPIRY: Mapping[str, Words] = {
    "execute": Words("按提示建议的处理执行", "the proposed outcome is carried out"),
    "escalate": Words("交上级决定", "the superior decides"),
}

ROLES: Mapping[str, Words] = {
    "registrar": Words("学校管理员", "the registrar"),
    "superior": Words("上级主管部门", "the superior"),
}

TARGETS: Mapping[str, Words] = {
    "check": Words("一次核验的结果", "the result of a check"),
    "change": Words("一次学籍变动", "a change of standing"),
    "gaokao": Words("高考报名资格", "gaokao eligibility"),
}

AID_KINDS: Mapping[str, Words] = {
    "grant": Words("国家助学金", "the grant"),
    "tuition_waiver": Words("免学费", "the tuition waiver"),
}

UNITS: Mapping[str, Words] = {
    "miss_per_term": Words("次（每学期）", "misses a term"),
    "day_per_term": Words("天（每学期）", "days a term"),
    "calendar_month": Words("个月", "calendar months"),
    "calendar_day": Words("天", "calendar days"),
    "day": Words("天", "days"),
    "working_day": Words("个工作日", "working days"),
    "level": Words("级", "levels"),
}


def blocker_words(code: str) -> Words:
    """A blocker; `calendar_year_missing:2027` names its year."""
    name, _, year = code.partition(":")
    words = BLOCKERS[name]
    return Words(words.zh.format(year=year), words.en.format(year=year))


def outcome_words(law: StandingLaw, outcome: str) -> Words:
    """An outcome as the law words it, or one that no table of the law holds; raises `LookupError`."""
    if outcome in OTHER_OUTCOMES:
        return OTHER_OUTCOMES[outcome]
    return _worded(law, "decision.outcome_effects", "outcome", outcome)


def reason_words(law: StandingLaw, reason: str) -> Words:
    """A justified reason as the law's catalogue words it; raises `LookupError`."""
    return _worded(law, "misses.justified_reasons", "code", reason)


def _worded(law: StandingLaw, table: str, column: str, code: str) -> Words:
    for row in law.policy.table(table):
        if row[column] == code:
            return Words(str(row["zh"]), str(row["en"]))
    raise LookupError(code)


def status_words(standing: str, study_form: str) -> Words:
    """Standing and study form in one."""
    one, other = STANDINGS[standing], STUDY_FORMS[study_form]
    return Words(f"{one.zh}、{other.zh}", f"{one.en}, {other.en}")

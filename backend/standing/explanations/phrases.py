"""The Chinese and English text of every code of the standing rules.

`tests/standing/test_explanation_texts.py` fails for a code without a text.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from backend.core.bilingual import Bilingual, format_end
from backend.standing.policy import StandingPolicy


def join_phrases(parts: Iterable[Bilingual]) -> Bilingual:
    """Join phrases into one list."""
    phrases = tuple(parts)
    return Bilingual("、".join(phrase.zh for phrase in phrases), ", ".join(phrase.en for phrase in phrases))


KINDS: Mapping[str, Bilingual] = {
    "misses": Bilingual("多次未按时核验", "checks were missed"),
    "leave_over_cap": Bilingual("请假超过学期上限", "leave over the limit of the term"),
    "absence_without_leave": Bilingual("未请假长期缺席", "long absence without leave"),
}
"""`PromptKind`."""

PROMPT_STATES: Mapping[str, Bilingual] = {
    "undelivered": Bilingual("待学校接收", "not received by the school yet"),
    "running": Bilingual("待学校处理", "waiting for the school"),
    "dismissal_pending": Bilingual(
        "已申请免予处理，待上级答复", "dismissed by the school; waiting for the superior's answer"
    ),
    "blocked": Bilingual("期限届满，因故暂缓执行", "the deadline has ended; execution is blocked"),
    "escalated": Bilingual("已转上级处理", "waiting for the superior"),
    "decided": Bilingual("已处理", "decided"),
    "executed": Bilingual("已自动执行", "executed when the deadline ended"),
    "dismissed": Bilingual("已免予处理", "dismissed"),
    "withdrawn": Bilingual("已撤回", "withdrawn"),
}
"""`PromptState`."""

BLOCKERS: Mapping[str, Bilingual] = {
    "open_appeal": Bilingual("有申诉尚未答复", "an appeal is open"),
    "open_reason_claim": Bilingual("有正当理由申请尚未答复", "a claim of a justified reason is open"),
    "pending_leave": Bilingual("有请假尚未审批", "a request for leave is pending"),
    "declared_outage": Bilingual(
        "有申报的故障尚未认定或仍在持续", "a declared outage is not decided yet or is still ongoing"
    ),
    "notice_undelivered": Bilingual("有通知未及时送达", "a notice was not delivered in time"),
    "incomplete_evidence": Bilingual("证据不齐", "the evidence is incomplete"),
    "undetermined_check": Bilingual(
        "有一次核验结果待定，如认定为通过，则达不到次数",
        "a check without a determined result, without which the limit is not reached",
    ),
    "change_without_basis": Bilingual(
        "学籍异动的依据已发生变化", "the facts behind the change no longer reach the limit"
    ),
    "calendar_year_missing": Bilingual(
        "{year} 年的工作日历尚未载入，期限无法计算",
        "the working calendar of {year} is not loaded, so the deadline cannot be computed",
    ),
}
"""The blockers of an automatic execution, as parts of a sentence. A code may end with a colon and a year."""

EVIDENCE_PARTS: Mapping[str, Bilingual] = {
    "notice": Bilingual("通知及时送达的回执", "proof that the notice arrived in time"),
    "window": Bilingual("核验时段", "the window"),
    "availability": Bilingual("系统可用性记录", "the record of the service's availability"),
    "submissions": Bilingual("学生提交内容的判定", "the verdict on the student's submissions"),
    "versions": Bilingual("备案地址等版本", "the versions of the filed site"),
}
"""The parts of evidence that a sanction requires (invariant 7)."""

WARNINGS: Mapping[str, Bilingual] = {
    "one_more_miss": Bilingual(
        "再有一次未按时核验，学校会收到处理提示。", "One more missed check brings a prompt to the school."
    ),
    "leave_days_used": Bilingual(
        "请假天数已接近学期上限，请合理安排。", "The leave of this term is close to its limit. Plan the rest."
    ),
    "leave_plan_exceeds": Bilingual(
        "如不提前返校，请假将超过学期上限。",
        "Unless the student returns early, leave will exceed the limit of the term.",
    ),
    "absence_continues": Bilingual(
        "有未请假缺席的记录，请尽快返校或补办手续。",
        "There is a record of absence without leave. Return to school or ask for leave.",
    ),
    "change_without_basis": Bilingual(
        "一项学籍异动的依据已发生变化，可提出申诉。",
        "The basis of a change of standing has changed. An appeal is possible.",
    ),
}
"""Warnings: what happens if nothing changes."""

PROMPT_GROUNDS: Mapping[str, Bilingual] = {
    "consecutive": Bilingual("连续次数达到上限", "the limit of misses in a row is reached"),
    "cumulative": Bilingual("累计次数达到上限", "the limit of misses in the term is reached"),
    "over_cap": Bilingual("本学期请假天数超过上限", "leave in the term is over the limit"),
    "over_limit": Bilingual(
        "有记录的缺席超过规定的月数", "recorded absence lasted longer than the months allowed"
    ),
}

WITHDRAWN_BECAUSE: Mapping[str, Bilingual] = {
    "standing_changed": Bilingual(
        "学籍状态已经改变，不再需要参加核验。", "The standing has changed, so roll calls no longer apply."
    ),
    "evidence_incomplete": Bilingual(
        "证据不足且无法补齐，上级已结束该提示；缺少证据的核验不再计入。",
        "The evidence was incomplete, so the superior closed the prompt. Checks without complete evidence do not count.",
    ),
    "basis_gone": Bilingual(
        "所依据的记录已被认可理由、更正或作废，不再成立。",
        "The records it was based on were excused, corrected or voided.",
    ),
}

CAUSES: Mapping[str, Bilingual] = {
    "decision": Bilingual("人工决定", "decided by a person"),
    "expiry": Bilingual("期满自动执行", "executed when the deadline ended"),
    "appeal": Bilingual("申诉成立，恢复原状态", "restored by an appeal"),
    "reversal": Bilingual("主管部门撤回自动执行", "reversed by the authority"),
    "edit": Bilingual("学籍变更", "change of the record"),
}
"""`Cause`: why a ledger entry was written."""

OBJECTIONS: Mapping[str, Bilingual] = {
    "prompt_unknown": Bilingual("没有这条提示。", "There is no such prompt."),
    **{
        f"prompt_{code}": Bilingual(f"提示的状态是“{words.zh}”。", f"The state of the prompt is: {words.en}.")
        for code, words in PROMPT_STATES.items()
    },
    "for_registrar_to_decide": Bilingual("现在应由学校管理员处理。", "The registrar decides now."),
    "for_superior_to_decide": Bilingual("现在应由上级主管部门处理。", "The superior decides now."),
    "reason_not_in_catalogue": Bilingual("这不是目录中的正当理由。", "The reason is not in the catalogue."),
    "reason_needs_text": Bilingual("这种理由须写明情况。", "This reason requires a text."),
    "unknown_outcome": Bilingual("规定中没有这种处理结果。", "There is no such outcome."),
    "prompt_not_delivered": Bilingual("提示还没有送达学校。", "The prompt has not reached the school yet."),
    "notice_undelivered": Bilingual("有通知没有及时送达。", "A notice did not arrive in time."),
    "incomplete_evidence": Bilingual("证据不齐。", "The evidence is incomplete."),
    "evidence_complete": Bilingual(
        "证据齐全，不能以证据不足结束。",
        "The evidence is complete, so it cannot be closed for want of evidence.",
    ),
    "reasons_required": Bilingual(
        "选择与提示不同的处理，须写明理由。", "An outcome other than the proposed one requires reasons."
    ),
    "blockers_unanswered": Bilingual(
        "还有事项没有了结，须在理由中说明。", "Matters are still open; the reasons must answer them."
    ),
    "no_dismissal_pending": Bilingual(
        "没有等待答复的免予处理申请。", "No dismissal is waiting for an answer."
    ),
    "own_dismissal": Bilingual("提出免予处理的人不能自己答复。", "The account that dismissed cannot answer."),
    "unknown_target": Bilingual("不能就这件事申诉。", "This cannot be appealed."),
    "no_result_yet": Bilingual("核验还没有截止，没有结果可以申诉。", "The check has no result yet."),
    "already_appealed": Bilingual("已就这件事申诉过。", "This matter has already been appealed."),
    "previous_not_rejected": Bilingual(
        "上一次申诉没有被驳回，不能继续向上申诉。", "The earlier appeal was not rejected."
    ),
    "already_carried_up": Bilingual(
        "这件申诉已提交到上一级。", "The appeal has already gone to the next level."
    ),
    "appeal_exhausted": Bilingual("申诉的级数已用完。", "No level of appeal is left."),
    "no_such_change": Bilingual("没有这次学籍异动。", "There is no such change."),
    "no_such_change_in_force": Bilingual("没有这次仍然有效的异动。", "No such change is in force."),
    "not_automatic": Bilingual(
        "这是人作出的决定，应通过申诉改变。", "A person decided this; only an appeal can change it."
    ),
    "locked": Bilingual(
        "学籍已锁定，须先经省教育厅批准。", "The record is locked; the province must approve first."
    ),
}
"""Why a recorded act had no effect."""

CHECK_STATUSES: Mapping[str, Bilingual] = {
    "appeal_upheld": Bilingual("申诉成立", "an appeal was upheld"),
    "voided": Bilingual("核验已作废", "the check was voided"),
    "relaunched": Bilingual("核验已重新发起", "the check was launched again"),
    "excused": Bilingual("免于核验", "excused"),
    "undetermined": Bilingual("结果待定", "undetermined"),
    "unsettled": Bilingual("尚未结算", "not settled yet"),
    "reason_accepted": Bilingual("理由已获认可", "a reason was accepted"),
    "on_leave": Bilingual("请假获批准", "on approved leave"),
    "outage": Bilingual("系统或网络中断", "an outage"),
    "vacation": Bilingual("时段在假期内", "its window lay in a vacation"),
    "evidence_incomplete": Bilingual("证据不足", "its evidence was incomplete"),
    "outside_one_term": Bilingual("时段不在一个学期内", "not inside one term"),
    "overlapping_window": Bilingual("与另一次核验时段重叠", "its window overlapped with another check"),
    "answered": Bilingual("此前的异动已处理过", "already sanctioned by an earlier change"),
    "earlier_term": Bilingual("属于恢复前的学期", "belongs to a term before the return"),
    "reversed": Bilingual("所致异动已被撤销", "the change it caused was reversed"),
    "dismissed": Bilingual("提示已免予处理", "its prompt was dismissed"),
}
"""Why a roll call is excluded from the count."""

ROLL_CALL_RESULTS: Mapping[str, Bilingual] = {
    "present": Bilingual("通过", "passed"),
    "missed": Bilingual("未按时核验", "missed"),
    "excused": Bilingual("免于核验", "excused"),
    "undetermined": Bilingual("待定", "undetermined"),
    "unsettled": Bilingual("尚未结算", "not settled yet"),
}

ROLL_CALL_KINDS: Mapping[str, Bilingual] = {
    "spot_check": Bilingual("上级核验", "spot check"),
    "registration": Bilingual("注册核验", "registration check"),
    "rehearsal": Bilingual("联调测试", "rehearsal"),
    "school_own": Bilingual("学校自行点名", "the school's own roll call"),
}

LAUNCHERS: Mapping[str, Bilingual] = {
    "province": Bilingual("省教育厅", "the province"),
    "bureau": Bilingual("市、县教育局", "a bureau"),
    "school": Bilingual("学校", "the school"),
}

STANDINGS: Mapping[str, Bilingual] = {
    "01": Bilingual("在读", "enrolled"),
    "02": Bilingual("休学", "suspended"),
    "03": Bilingual("退学", "withdrawn"),
    "04": Bilingual("停学", "stopped"),
    "05": Bilingual("复学", "resumed"),
    "06": Bilingual("流失", "dropped out"),
    "07": Bilingual("毕业", "graduated"),
    "08": Bilingual("结业", "completed"),
    "09": Bilingual("肄业", "left before graduation"),
    "10": Bilingual("转出", "transferred out"),
    "11": Bilingual("死亡", "deceased"),
    "12": Bilingual("保留入学资格", "admission kept"),
    "13": Bilingual("公派出国", "sent abroad"),
    "14": Bilingual("开除", "expelled"),
    "15": Bilingual("下落不明", "missing"),
    "99": Bilingual("其他", "other"),
}
"""The national codes of standing."""

STUDY_FORMS: Mapping[str, Bilingual] = {
    "full_time": Bilingual("全日制", "full-time"),
    "part_time": Bilingual("非全日制", "part-time"),
}

RECORD_ITEMS: Mapping[str, Bilingual] = {
    "standing_change": Bilingual("学籍状态异动", "change of standing"),
    "transfer_in": Bilingual("转入", "transfer in"),
    "return_from_suspension": Bilingual("复学", "return from suspension"),
    "study_form": Bilingual("学习形式变更", "change of study form"),
    "contact_data": Bilingual("联系方式", "contact data"),
    "graduation": Bilingual("毕业", "graduation"),
    "death": Bilingual("死亡", "death"),
    "restoration_by_appeal": Bilingual("申诉恢复", "restoration by appeal"),
}
"""Items of the record that the lock covers or excludes; a change request changes one of them."""

OTHER_OUTCOMES: Mapping[str, Bilingual] = {
    **RECORD_ITEMS,
    "restored": Bilingual("恢复原状态", "the earlier standing restored"),
    "dismiss": Bilingual("免予处理", "dismissed"),
}
"""Outcomes of entries and decisions that the policy does not define."""

DAY_COUNTS: Mapping[str, Bilingual] = {
    "calendar_days": Bilingual("按自然日", "calendar days"),
    "teaching_days": Bilingual("按教学日", "teaching days"),
}

ON_EXPIRY: Mapping[str, Bilingual] = {
    "execute": Bilingual("按提示建议的处理执行", "the proposed outcome is carried out"),
    "escalate": Bilingual("交上级决定", "the superior decides"),
}

ROLES: Mapping[str, Bilingual] = {
    "registrar": Bilingual("学校管理员", "the registrar"),
    "superior": Bilingual("上级主管部门", "the superior"),
}

APPEAL_TARGETS: Mapping[str, Bilingual] = {
    "check": Bilingual("一次核验的结果", "the result of a check"),
    "change": Bilingual("一次学籍异动", "a change of standing"),
    "gaokao": Bilingual("高考报名资格", "gaokao eligibility"),
}

AID_KINDS: Mapping[str, Bilingual] = {
    "grant": Bilingual("国家助学金", "the grant"),
    "tuition_waiver": Bilingual("免学费", "the tuition waiver"),
}

UNITS: Mapping[str, Bilingual] = {
    "miss_per_term": Bilingual("次（每学期）", "misses a term"),
    "day_per_term": Bilingual("天（每学期）", "days a term"),
    "calendar_month": Bilingual("个月", "calendar months"),
    "calendar_day": Bilingual("天", "calendar days"),
    "day": Bilingual("天", "days"),
    "working_day": Bilingual("个工作日", "working days"),
    "level": Bilingual("级", "levels"),
}


def delay_words(due_at: datetime, blockers: Iterable[str]) -> Bilingual:
    """Why an execution waited: the deadline, and what was open when it ended."""
    why, due = join_phrases(blocker_words(code) for code in blockers), format_end(due_at)
    return Bilingual(
        f"处理期限到 {due} 为止，因{why.zh}，暂缓到有结果之后才执行",
        f"the deadline was {due}, and the execution waited because: {why.en}",
    )


def blocker_words(code: str) -> Bilingual:
    """The text of a blocker; `calendar_year_missing:2027` includes its year."""
    name, _, year = code.partition(":")
    words = BLOCKERS[name]
    return Bilingual(words.zh.format(year=year), words.en.format(year=year))


def outcome_words(law: StandingPolicy, outcome: str) -> Bilingual:
    """The text of an outcome from the policy or `OTHER_OUTCOMES`; raises `LookupError`."""
    if outcome in OTHER_OUTCOMES:
        return OTHER_OUTCOMES[outcome]
    return _policy_phrase(law, "decision.outcome_effects", "outcome", outcome)


def reason_words(law: StandingPolicy, reason: str) -> Bilingual:
    """The text of a justified reason from the policy's catalogue; raises `LookupError`."""
    return _policy_phrase(law, "misses.justified_reasons", "code", reason)


def _policy_phrase(law: StandingPolicy, table: str, column: str, code: str) -> Bilingual:
    for row in law.policy.table(table):
        if row[column] == code:
            return Bilingual(str(row["zh"]), str(row["en"]))
    raise LookupError(code)


def status_words(standing: str, study_form: str) -> Bilingual:
    """Standing and study form as one phrase."""
    return join_phrases((STANDINGS[standing], STUDY_FORMS[study_form]))

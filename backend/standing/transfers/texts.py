"""Texts of notices about quarantined enrolments, to registrars and authorities. They contain no names of students."""

from backend.core.bilingual import Bilingual
from backend.notice.messages import NoticeText
from backend.standing.transfers.rules import QuarantineState

OUTCOME_WORDS = {
    QuarantineState.TRANSFERRED: Bilingual("核定为转学", "the student was transferred"),
    QuarantineState.DIFFERENT_PERSON: Bilingual(
        "核定为并非同一人，其中一人的身份证件号有误，请两校核对",
        "two different persons; the ID number of one of them is wrong: both schools check it",
    ),
    QuarantineState.ERROR: Bilingual("核定为填报有误，不建立学籍", "an error; no student was created"),
    QuarantineState.WITHDRAWN: Bilingual("已由导入学校撤回", "withdrawn by the school that imported the row"),
}

IN_OWN_ROSTER = Bilingual(
    "本校花名册中有学生已在其他学校建有学籍", "Students of your roster are on another school's roll"
)
ON_OWN_ROLL = Bilingual(
    "其他学校的花名册列有本校在册学生", "Another school's roster lists students of your roll"
)
IN_A_ROSTER_BELOW = Bilingual(
    "所属学校的花名册与另一所学校的学籍重复",
    "A roster of one of your schools lists students of another school's roll",
)


def quarantined_to_staff(what: Bilingual, rows: int) -> NoticeText:
    """Rows of a roster were quarantined."""
    return NoticeText(
        Bilingual("重复学籍待核", "Quarantined enrolments"),
        Bilingual(
            f"{what.zh}（{rows} 人）。该行未建立学籍，由两校共同的上级教育部门核定，请在系统中查看。",
            f"{what.en} ({rows}). No student was created. The authority above both schools decides; see the list.",
        ),
    )


def decided_to_staff(state: QuarantineState) -> NoticeText:
    """A quarantined row was decided."""
    words = OUTCOME_WORDS[state]
    return NoticeText(
        Bilingual("重复学籍核定结果", "A quarantined enrolment was decided"),
        Bilingual(f"一条重复学籍待核记录：{words.zh}。", f"A quarantined enrolment: {words.en}."),
    )

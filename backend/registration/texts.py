"""Texts of notices about measures, to the registrars of the school."""

from backend.core.bilingual import Bilingual
from backend.notice.messages import NoticeText
from backend.registration.schools.rules import MeasureKind

MEASURE_WORDS = {
    MeasureKind.PLAN_CUT: Bilingual("缩减本校招生计划", "cut the intake plan of your school"),
    MeasureKind.SUSPENDED: Bilingual(
        "暂停本校新生学籍注册，花名册中的新生暂不建立学籍",
        "suspended your school's registration of new students; new students of a roster are not enrolled",
    ),
    MeasureKind.STOPPED: Bilingual("停止本校招生", "stopped your school's intake"),
    MeasureKind.LIFTED: Bilingual(
        "解除对本校招生和注册的限制", "lifted the limits on your school's intake and registration"
    ),
}


def measure_to_staff(kind: MeasureKind) -> NoticeText:
    """An authority took a measure against the school."""
    words = MEASURE_WORDS[kind]
    return NoticeText(
        Bilingual("办学资质处理", "A measure about your school's qualification"),
        Bilingual(
            f"主管部门{words.zh}。依据和整改要求见“办学资质”。",
            f"An authority {words.en}. Grounds and what to mend are under “Qualification”.",
        ),
    )

"""Texts of the notices about rehearsals."""

from backend.core.bilingual import Bilingual
from backend.notice.messages import NoticeText


def rehearsal_confirmed_to_staff(confirmed: int, excluded: int, people: int) -> NoticeText:
    """Tell the registrar what the counselor confirmed, and where the school's figures are."""
    return NoticeText(
        Bilingual("联调测试已确认", "A rehearsal was confirmed"),
        Bilingual(
            f"一个班确认了 {confirmed} 名在场学生（排除 {excluded} 名），全校已有 {people} 名学生可用于确定人脸阈值。"
            "本校预计通过、存疑、不符的比例和人工核对量见“人脸报告”。",
            f"A class confirmed {confirmed} students as present (and excluded {excluded}); thresholds can be learned from"
            f" {people} students of the school. See the face report for the shares that your school may expect to be"
            " accepted, doubtful and refused, and for the work left to people.",
        ),
    )

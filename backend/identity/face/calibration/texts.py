"""Texts of the notices about rehearsals."""

import math

from backend.core.bilingual import Bilingual
from backend.identity.face.calibration.report import MISSING, SchoolReport
from backend.notice.messages import NoticeText
from biometrics.matching.learned_thresholds import Share


def rehearsal_confirmed_to_staff(
    confirmed: int, excluded: int, people: int, report: SchoolReport
) -> NoticeText:
    """Tell the registrar what the counselor confirmed, what the school may expect, and where its figures are."""
    expected = _expectation(report)
    return NoticeText(
        Bilingual("联调测试已确认", "A rehearsal was confirmed"),
        Bilingual(
            f"一个班确认了 {confirmed} 名在场学生（排除 {excluded} 名），全校已有 {people} 名学生可用于确定人脸阈值。"
            f"{expected.zh}各组的数字见“人脸报告”。",
            f"A class confirmed {confirmed} students as present (and excluded {excluded}); thresholds can be learned from"
            f" {people} students of the school. {expected.en}The figures of each group are in the face report.",
        ),
    )


def _expectation(report: SchoolReport) -> Bilingual:
    """What the school may expect of a roll call, and what is missing; each sentence ends so that another may follow."""
    sentences = []
    if report.demonstration:
        sentences.append(
            Bilingual(
                "以下数字由演示参数得出，不代表任何误认率。",
                "The following figures are of a demonstration and claim no error rate. ",
            )
        )
    if report.shares is not None:
        accepted, doubtful, refused = (
            _percent(each) for each in (report.shares.accepted, report.shares.doubtful, report.shares.refused)
        )
        sentences.append(
            Bilingual(
                f"按现行阈值，预计签到的人脸通过 {accepted}、存疑 {doubtful}、不符 {refused}（依据本校 {report.shares.people} 人）。",
                f"At the thresholds in force, {accepted} of the faces that check in would be accepted, {doubtful} doubtful and"
                f" {refused} refused (from {report.shares.people} people of the school). ",
            )
        )
    if report.looks is not None:
        looks = _count(report.looks)
        sentences.append(
            Bilingual(
                f"{report.enrolled} 名已采集人脸的学生全部签到时，每次预计有 {looks} 人要人工核对。",
                f"When all {report.enrolled} students with an enrolled face check in, people have to look at {looks} of them each time. ",
            )
        )
    sentences += [Bilingual(MISSING[code][0], f"{MISSING[code][1]} ") for code in report.missing]
    return Bilingual("".join(each.zh for each in sentences), "".join(each.en for each in sentences))


def _percent(share: Share) -> str:
    """The share with its interval, in percent."""
    return f"{100 * share.value:.1f} % ({100 * share.low:.1f}–{100 * share.high:.1f})"


def _count(number: Share) -> str:
    """An expected number of people with its interval, in whole people, rounded up."""
    low, value, high = (math.ceil(round(each, 6)) for each in (number.low, number.value, number.high))
    return str(value) if low == high else f"{value} ({low}–{high})"

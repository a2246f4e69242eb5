"""Errors of licences, inspections and measures. Codes are stable; each message says what to do."""

from backend.core.bilingual import Bilingual
from backend.core.errors import DomainError
from backend.registration.schools.rules import Objection

OBJECTION_WORDS = {
    Objection.NO_FAILED_INSPECTION: Bilingual(
        "该校没有未整改的不合格年检，不能作出处理",
        "the school has no failed inspection that waits to be mended, so no measure follows",
    ),
    Objection.STILL_MENDING: Bilingual(
        "整改期限尚未届满，请在期满后再作处理",
        "the time to mend is not over; wait until it is",
    ),
    Objection.OUT_OF_ORDER: Bilingual(
        "处理须依次进行：缩减招生计划、暂停新生学籍注册、停止招生；不具备资质的直接停止招生",
        "measures follow in order: plan cut, registration suspended, intake stopped; without a qualification intake is"
        " stopped at once",
    ),
    Objection.NOTHING_TO_LIFT: Bilingual("该校没有正在执行的处理", "no measure is in force"),
    Objection.NOT_MENDED: Bilingual(
        "请先登记整改完成，再解除处理", "record first that the school has mended, then lift the measure"
    ),
}


class MeasureRefused(DomainError):
    """The measure may not be taken now; the sentence says why."""

    code = "school_measure_refused"
    status = 409
    zh = "不能作出该处理：{reason_zh}。"
    en = "The measure is not possible: {reason_en}."

    def __init__(self, objection: Objection) -> None:
        words = OBJECTION_WORDS[objection]
        super().__init__(reason_zh=words.zh, reason_en=words.en)
        self.objection = objection


class InspectionStepTaken(DomainError):
    """The inspection was published or mended already, or there is nothing to mend."""

    code = "inspection_step_taken"
    status = 409
    zh = "这次年检已登记该项，或无须整改，请刷新后查看。"
    en = "This was recorded for the inspection already, or there is nothing to mend. Reload the page."


class LicenceRevoked(DomainError):
    code = "licence_revoked"
    status = 409
    zh = "该资质已撤销，不能再次撤销。"
    en = "The licence was revoked already."

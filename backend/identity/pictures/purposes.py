"""Why staff look at a picture of a face or at the positions of a check-in, in words that the student reads."""

from enum import StrEnum

from backend.core.bilingual import Bilingual


class PicturePurpose(StrEnum):
    """The purposes for which staff may open a picture or positions."""

    PORTRAIT_REVIEW = "portrait_review"
    FACE_REPLACEMENT = "face_replacement"
    CHECK_IN_LOOK = "check_in_look"
    CHECK_IN_LOOK_REVIEW = "check_in_look_review"
    DUPLICATE_SEARCH = "duplicate_search"
    PROMPT_DECISION = "prompt_decision"
    APPEAL_DECISION = "appeal_decision"

    @property
    def words(self) -> Bilingual:
        """The purpose in both languages."""
        return _WORDS[self]


_WORDS = {
    PicturePurpose.PORTRAIT_REVIEW: Bilingual("核对学籍证件照", "To check the ID portrait"),
    PicturePurpose.FACE_REPLACEMENT: Bilingual(
        "审核更换人脸的申请", "To answer a request to replace the enrolled face"
    ),
    PicturePurpose.CHECK_IN_LOOK: Bilingual(
        "点名照片由人核对是否本人", "To confirm in person that the pictures of a check-in show the student"
    ),
    PicturePurpose.CHECK_IN_LOOK_REVIEW: Bilingual(
        "复核他人对点名照片的核对", "To review what another person saw in the pictures of a check-in"
    ),
    PicturePurpose.DUPLICATE_SEARCH: Bilingual(
        "核对两名学生是否为同一人", "To check whether two students are one person"
    ),
    PicturePurpose.PROMPT_DECISION: Bilingual("办理学籍异动提示", "To decide a prompt about the standing"),
    PicturePurpose.APPEAL_DECISION: Bilingual("决定申诉", "To decide an appeal"),
}

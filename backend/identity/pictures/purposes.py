"""Why a member of the staff looks at a picture of a face, in words that the student reads."""

from enum import StrEnum

from backend.core.bilingual import Bilingual


class PicturePurpose(StrEnum):
    """The purposes for which staff may open a picture."""

    PORTRAIT_REVIEW = "portrait_review"
    FACE_REPLACEMENT = "face_replacement"
    CHECK_IN_LOOK = "check_in_look"
    CHECK_IN_LOOK_REVIEW = "check_in_look_review"
    DUPLICATE_SEARCH = "duplicate_search"

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
}

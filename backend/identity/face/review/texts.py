"""Texts of the notices about replaced faces and shared pictures."""

from datetime import datetime

from backend.core.bilingual import Bilingual, format_instant
from backend.notice.messages import NoticeText, SmsText

REPLACEMENT_TO_STAFF = NoticeText(
    Bilingual("学生申请更换人脸", "A student replaces the enrolled face"),
    Bilingual(
        "请当面核对学生本人与新照片，再到“人脸更换”中审核；同意后由上级再审核一次。",
        "Compare the student in person with the new pictures, then answer under face replacements. Your superior answers next.",
    ),
)
REPLACEMENT_TO_SUPERIOR = NoticeText(
    Bilingual("学生更换人脸，请审核", "Please answer the replacement of a face"),
    Bilingual(
        "学校已当面核对并同意。请对照证件照审核新照片。",
        "The school has seen the student and approved. Compare the new pictures with the ID portrait, then answer.",
    ),
)
SUBMITTED_TO_STUDENT = NoticeText(
    Bilingual("您的账号提交了新的人脸照片", "New face pictures were sent from your account"),
    Bilingual(
        "新人脸须由学校和上级两人审核后才使用。如非本人操作，请立即联系辅导员。",
        "A person of your school and one of its superior must approve it first. If this was not you, tell your counselor at once.",
    ),
)
APPROVED_TO_STUDENT = NoticeText(
    Bilingual("更换人脸已获同意", "Your new face was approved"),
    Bilingual(
        "两人审核均已同意，今后用新的人脸核验。如非本人操作，请立即联系辅导员。",
        "Two persons approved it; check-ins use your new face from now on. If this was not you, tell your counselor at once.",
    ),
)
REFUSED_TO_STUDENT = NoticeText(
    Bilingual("更换人脸未获同意", "Your new face was not approved"),
    Bilingual(
        "原有方式不变，不影响您的学籍和资助。可以当面联系辅导员了解原因，再重新申请；不同意的可以向学校或上级反映。",
        "Nothing changes, neither standing nor aid. See your counselor in person for the reasons; you may apply again, or turn to the school or its superior if you disagree.",
    ),
)


def submitted_sms(at: datetime) -> SmsText:
    return SmsText("notice", {"title": "更换人脸", "until": format_instant(at)})


def shared_picture_to_staff(*, same_school: bool) -> NoticeText:
    """One picture was sent for two students. No name is in the notice."""
    zh = "本校两名学生的照片" if same_school else "本校学生与外校学生的照片"
    return NoticeText(
        Bilingual("两名学生使用同一张照片", "One picture was sent for two students"),
        Bilingual(
            f"{zh}相同或几乎相同，后提交的未通过或待审核。请当面核对学生身份，见“照片重复”列表。",
            "A picture of a student of your school is the same as another student's, or nearly so. The later one was refused or"
            " is in review. Check the identity in person; see the list of shared pictures.",
        ),
    )


def same_person_to_staff(*, same_school: bool) -> NoticeText:
    """A person of the superior authority confirmed that two students are one person. No name is in the notice."""
    zh = "本校两名学生" if same_school else "本校一名学生与外校一名学生"
    return NoticeText(
        Bilingual("上级核对认为两名学生为同一人", "A superior found that two students are one person"),
        Bilingual(
            f"上级部门对照证件照，认为{zh}为同一人。请当面核对学生身份和学籍，见“照片重复”列表；核实前不作任何处理。",
            "A person of your superior compared the ID portraits and found that a student of your school and another one are one"
            " person. Check the identity in person; see the list of shared pictures. Nothing happens before you have checked.",
        ),
    )

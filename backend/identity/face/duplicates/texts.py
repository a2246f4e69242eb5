"""Texts of notices about similar faces."""

from backend.core.bilingual import Bilingual
from backend.notice.messages import NoticeText

CANDIDATE_TO_SUPERIOR = NoticeText(
    Bilingual("两名学生人脸罕见相似，请核对", "Two students have unusually similar faces: please compare"),
    Bilingual(
        "请在“相似人脸”中对照两张证件照答复。相似不等于同一人；您确认前不作任何处理。",
        "Compare the two ID portraits under similar faces and answer. Similar faces are often two people; nothing happens before you confirm.",
    ),
)

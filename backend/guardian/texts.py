"""Texts of the SMS to guardians: surname only, no school and no details, because other people may see the phone.

What is stored has no link; the parameters of the SMS, which have it, are encrypted until they are sent.
"""

from collections.abc import Mapping

from backend.core.bilingual import Bilingual
from backend.notice.messages import NoticeText

_TITLES: Mapping[str, Bilingual] = {
    "miss": Bilingual("告知监护人：未按时核验", "To the guardian: a missed roll call"),
    "warning": Bilingual("告知监护人：预警", "To the guardian: a warning"),
    "prompt": Bilingual("告知监护人：学籍异动提示", "To the guardian: a prompt"),
}
_SENTENCES: Mapping[str, Bilingual] = {
    "miss": Bilingual("{child}有一次未按时核验。", "{child}: a roll call was missed."),
    "warning": Bilingual("{child}有一条新的预警。", "{child}: there is a new warning."),
    "prompt": Bilingual(
        "学校收到关于{child}的学籍异动提示，处理有期限。",
        "{child}: the school received a prompt, which has a deadline.",
    ),
}
_SEE_LINK = Bilingual("详情请打开短信中的链接。", "Open the link in the SMS for details.")


def notice_to_guardian(cause: str, child: str) -> NoticeText:
    """What happened, without details; `child` is the short name."""
    sentence = _SENTENCES[cause]
    return NoticeText(
        _TITLES[cause],
        Bilingual(
            sentence.zh.format(child=child) + _SEE_LINK.zh,
            f"{sentence.en.format(child=child)} {_SEE_LINK.en}",
        ),
    )

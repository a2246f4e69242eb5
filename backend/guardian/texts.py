"""Texts of the SMS to guardians, and of the notice to a student whose guardian filed something.

The SMS has the surname only, no school and no details, because other people may see the phone.

What is stored has no link; the parameters of the SMS, which have it, are encrypted until they are sent.
"""

from collections.abc import Mapping
from typing import Literal

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


FiledAct = Literal["claim", "statement", "appeal", "message"]
_FILED: Mapping[FiledAct, Bilingual] = {
    "claim": Bilingual("申报了一次未按时核验的正当理由", "claimed a justified reason for a missed roll call"),
    "statement": Bilingual("对一条学籍提示提交了陈述", "made a statement on a prompt"),
    "appeal": Bilingual("提出了一件申诉", "filed an appeal"),
    "message": Bilingual("在申诉中补充了说明", "added a message to an appeal"),
}


def filed_to_student(act: FiledAct, name: str, relation: str | None) -> NoticeText:
    """Who filed what in the student's name, and what the student can do about it."""
    who = f"{name}（{relation}）" if relation else name
    return NoticeText(
        Bilingual("监护人代您提交了材料", "Your guardian filed something for you"),
        Bilingual(
            f"您的监护人{who}通过短信链接，代您{_FILED[act].zh}。如果您不知情或不同意，请联系辅导员；撤回“告知监护人”的同意后，链接立即停用。",
            f"Your guardian {name} {_FILED[act].en} for you, by the link of an SMS. If you did not know of it or disagree, talk to your"
            " counselor. Withdrawing the consent to notices for guardians ends the link at once.",
        ),
    )

"""Sentences for reason codes: what happened, and what the student can do now."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType
from typing import Any

from backend.core.bilingual import Bilingual, format_end
from backend.roll_call import errors
from backend.roll_call.rules import Outcome
from biometrics.liveness import burst as liveness
from biometrics.liveness import presence, reuse
from biometrics.pictures import quality
from geo.fence import FenceReason


@dataclass(frozen=True, slots=True)
class Explanation:
    """A reason code with its sentence in both languages."""

    code: str
    zh: str
    en: str


_REASONS = {
    "verified": ("核验通过。", "Verified."),
    "attested_on_site": ("辅导员现场核验通过。", "Attested on site by the counselor."),
    "frame_reused": (
        "图片与此前提交的图片相同，请现场重新拍摄。",
        "A picture is identical to one of an earlier submission; take new pictures now.",
    ),
    "outside_site": (
        "您的位置在学校备案办学地址之外，请到校内后重试；如定位有误请找辅导员。",
        "You are outside the school's filed address; go inside and try again, or see your counselor.",
    ),
    "frames_missing": (
        "图片未在宽限时间内全部上传，结果待定；截止前可重新核验。",
        "Not all pictures were uploaded in time; the result is undetermined. Try again before the close.",
    ),
    "face_mismatch": (
        "人脸与采集的本人照片不符，将由人工复核；您可重试或找辅导员现场核验。",
        "The face does not match the enrolled one; a person will review it. Try again or see your counselor.",
    ),
    "verification_unavailable": (
        "核验服务暂不可用，结果待定，不计为未核验。",
        "Verification was unavailable; the result is undetermined and not a miss.",
    ),
    "site_not_filed": (
        "学校尚无已批准的办学地址，结果待定，请联系学校管理员。",
        "The school has no approved filed site; the result is undetermined. Tell the registrar.",
    ),
    "face_unusable": (
        "照片无法用于核验，请按提示调整后重试。",
        "The pictures cannot be used; follow the hints and try again.",
    ),
    "challenge_unanswered": (
        "未能确认您按要求完成了动作，请重新获取动作口令，按顺序缓慢完成；做不到的动作可以不选。",
        "The requested actions were not recognised. Request new actions and do them slowly, in order; exclude what you cannot do.",
    ),
    "presence_doubtful": (
        "未能确认是本人在镜头前现场拍摄，请按提示重试，或找辅导员现场核验；此情形不会直接记为未核验。",
        "It is uncertain whether you were in front of the camera; follow the hint and try again, or see your counselor; this alone never counts as a miss.",
    ),
    "face_unsure": (
        "人脸相似度不足以确认，请在光线充足处正对镜头重试，或找辅导员现场核验。",
        "The face match is uncertain; face the camera in good light and try again, or see your counselor.",
    ),
    "face_needs_look": (
        "动作和位置已通过，照片需由工作人员人工核对，结果待定，不计为未核验。",
        "Actions and position passed, and a person has to compare the picture; the result is undetermined and not a miss.",
    ),
    "rehearsal_face_unproven": (
        "动作和位置已通过，人脸未判定。这是演练，不影响您，无须操作。",
        "Actions and position passed, and the face is undetermined. This is a rehearsal: it has no effect, and you do not need to do anything.",
    ),
    "look_without_portrait": (
        "动作和位置已通过，但没有已审核的证件照，无法人工核对照片，结果待定，不计为未核验。请在截止前找辅导员现场核验，并补交证件照。",
        "Actions and position passed, but without an accepted ID portrait no person can compare the picture; the result is undetermined and not a miss. See your counselor before the close, and submit a portrait.",
    ),
    "look_without_consent": (
        "动作和位置已通过，您未同意人工核对照片，结果待定，不计为未核验。请在截止前找辅导员现场核验，也可以在应用内同意人工核对。",
        "Actions and position passed, and you have not agreed that a person compares the picture; the result is undetermined and not a miss. See your counselor before the close, or agree in the app.",
    ),
    "looked_at": (
        "工作人员已将照片与证件照核对，确认为本人。",
        "A person compared the picture with the ID portrait and confirmed that it shows you.",
    ),
    "look_not_upheld": (
        "人工核对未通过复核，结果待定。",
        "The comparison by a person was not upheld on review; the result is undetermined.",
    ),
    "nearer_classmate": (
        "照片不足以与本班其他同学区分，请本人独自在光线充足处重试，或找辅导员现场核验。",
        "The pictures could also be a classmate's; try again alone and in good light, or see your counselor.",
    ),
    "picture_seen_before": (
        "照片与此前提交或采集的照片过于相似，请用相机现场重新拍摄，不要使用已有照片。",
        "The pictures are too similar to earlier ones; take new pictures with the camera, not stored ones.",
    ),
    "location_uncertain": (
        "定位无法确定您是否在校内，请到开阔处重试，或找辅导员现场核验。",
        "The location is too inaccurate to tell whether you are inside; try again in the open, or see your counselor.",
    ),
    "location_doubtful": (
        "定位数据不像是手机现场测得的，需要再次核验。请关闭模拟定位，打开“精确位置”，在原地停留约 10 秒后重试，或找辅导员现场核验；此情形不会直接记为未核验。",
        "The location does not look measured by the phone, so a second check is needed. Turn off mock locations, allow precise location, stay where you are for about 10 s and try again, or see your counselor; this alone never counts as a miss.",
    ),
    "device_rebound_recently": (
        "您近期更换过手机，需辅导员现场核验确认。",
        "You changed phones recently; ask your counselor to attest your presence on site.",
    ),
    "not_announced": (
        "核验通知未能及时发出，结果待定，不计为未核验。",
        "The notice was not sent in time; the result is undetermined and not a miss.",
    ),
    "non_face_route_unattended": (
        "您在时段内应由辅导员现场核验，但无人核验，结果待定，不计为未核验。",
        "Your counselor did not attest your presence during the window; the result is undetermined and not a miss.",
    ),
    "no_check_in": ("截止前未提交核验。", "Nothing was submitted before the close."),
    "verification_pending": (
        "已提交，核验尚未完成，结果待定。",
        "Submitted in time; verification is not finished, and the result is undetermined.",
    ),
    "voided": ("此次核验已作废。", "The roll call was voided."),
    "appeal_upheld": ("申诉成立，结果已更正。", "An appeal was upheld and the result was corrected."),
    "attestation_not_upheld": (
        "现场核验未通过复核，结果待定。",
        "The attestation was not upheld on review; the result is undetermined.",
    ),
    "determined_by_person": ("由管理部门人工认定。", "Determined by a person of the responsible authority."),
    "on_leave": ("核验期间请假已获批准，免于核验。", "On approved leave during the window; excused."),
    "part_time": ("非全日制学生不参加核验。", "Part-time students do not take part in roll calls."),
}
OUTCOME_REASONS = tuple(_REASONS)
"""The codes that outcomes have as their reason; verdicts have further ones of the libraries."""
_IMAGE = (
    "有图片无法读取，请更新应用，用应用内的相机现场拍摄。",
    "A picture cannot be read; update the app and take the pictures with its camera.",
)


def _reasons_in(library: ModuleType) -> Iterator[quality.Reason]:
    """Yield the reasons that a module of the face library defines as constants, single or by action."""
    for value in vars(library).values():
        if isinstance(value, quality.Reason):
            yield value
        elif isinstance(value, dict):
            yield from (each for each in value.values() if isinstance(each, quality.Reason))


_SENTENCES = (
    _REASONS
    | {reason.value: (reason.zh, reason.en) for reason in FenceReason}
    | {
        reason.code: (reason.zh, reason.en)
        for reason in (
            *_reasons_in(quality),
            *_reasons_in(liveness),
            *_reasons_in(presence),
            *_reasons_in(reuse),
        )
    }
)

_ADVICE = {
    "voided": ("核验已作废，您无须操作。", "Voided; you do not need to do anything."),
    "not_asked": ("您无须参加本次核验。", "You do not have to take part."),
    "announced": (
        "核验尚未开始，请留意时间并保持在校。",
        "Not open yet; note the time and be at school then.",
    ),
    "open": (
        "请在校内打开摄像头和精确定位，现在完成核验。",
        "Check in now, at school, with camera and precise location allowed.",
    ),
    "see_counselor": (
        "请在截止前携带学生卡找辅导员现场核验；此情形不会直接记为未核验。",
        "Before the close, see your counselor with your student card; this alone never counts as a miss.",
    ),
    "ask_counselor": (
        "您选择了不使用人脸：请在应用中申请现场核验，并在截止前携带学生卡找辅导员。",
        "You chose verification without a face: ask for it in the app, and see your counselor with your card before the close.",
    ),
    "present": ("您已通过核验，无须操作。", "You have passed; you do not need to do anything."),
    "missed": (
        "您被记为未按时核验。如有正当理由，请联系辅导员或提出申诉。",
        "Counted as missed. If you have a justified reason, tell your counselor or appeal.",
    ),
    "excused": ("您免于本次核验，不计次数。", "You are excused from this roll call. It does not count."),
    "undetermined": (
        "结果待定，将由人工认定，不计为未核验。",
        "Undetermined; a person will decide. It does not count as a miss.",
    ),
    "rehearsed": (
        "演练：未判定，不影响您，无须操作。",
        "Rehearsal: undetermined. It has no effect, and you do not need to do anything.",
    ),
    "closed": ("核验已截止，结果正在结算。", "Closed; the results are being settled."),
}


ALTERNATIVE = Bilingual(
    "不想或不能使用人脸、摄像头或手机时，可申请由辅导员在备案地点凭学生卡现场核验，效果相同。",
    "If you will not or cannot use your face, camera or phone, ask your counselor to verify you with your student card on a"
    " filed site, with the same effect.",
)
"""The way without a face, told with every roll call."""

_LOOK = (
    "工作人员将在 {until} 前人工核对您的照片与证件照；结果待定，不计为未核验，您无须操作。",
    "A person will compare your picture with the ID portrait by {until}. The result is undetermined until then and no miss; you do not need to do anything.",
)

_ADVICE_ZH = re.compile(r"[，。；](?:请|您可|截止前可|需辅导员)")
_SENTENCE_END_EN = re.compile(r"[.;] ")


def closed_reason(code: str) -> Explanation:
    """What happened, without the advice to try again: the roll call is closed."""
    full = reason(code)
    fact = _ADVICE_ZH.split(full.zh)[0]
    if fact == full.zh:
        return full
    return Explanation(code, f"{fact}。", f"{_SENTENCE_END_EN.split(full.en)[0]}.")


def reason(code: str) -> Explanation:
    """Return the sentences of a reason code."""
    if code in _SENTENCES:
        return Explanation(code, *_SENTENCES[code])
    if code.startswith("image_"):
        return Explanation(code, *_IMAGE)
    return Explanation(
        code, f"未通过（{code}），请按提示调整后重试。", f"Not accepted ({code}). Adjust and try again."
    )


def what_to_do(
    state: str,
    duty: str,
    outcome: str | None,
    *,
    sent_to_a_person: bool = False,
    rehearsed: bool = False,
    look_until: datetime | None = None,
    without_face: bool = False,
) -> Explanation:
    """Return the advice to a student about a roll call right now. `rehearsed`: an undetermined rehearsal."""
    if state == "voided":
        key = "voided"
    elif duty == "exempt":
        key = "not_asked"
    elif rehearsed:
        key = "rehearsed"
    elif outcome is None and duty == "owed" and state == "open" and sent_to_a_person:
        key = "see_counselor"
    elif outcome is None and duty == "owed" and state == "open" and without_face:
        key = "ask_counselor"
    else:
        key = outcome or ("excused" if duty == "excused" else state)
    if look_until is not None and key in {"open", "closed", Outcome.UNDETERMINED}:
        until = format_end(look_until)
        return Explanation("looked_at", *(text.format(until=until) for text in _LOOK))
    zh, en = _ADVICE[key]
    return Explanation(key, zh, en)


_ERRORS = {error.code: error for error in errors.CheckInRefusal.__subclasses__()}


class _Blanks(dict[str, Any]):
    """Values for a sentence; a value that is no longer stored is a dash."""

    def __missing__(self, key: str) -> str:
        return "—"


def explain_refusal(code: str, detail: Mapping[str, Any]) -> Explanation:
    """The sentences of a stored refusal. A position is refused with a code of the location library."""
    error = _ERRORS.get(code) or (errors.FixRefused if "reason_zh" in detail else None)
    if error is None:
        return reason(code)
    values = _Blanks(detail)
    return Explanation(code, error.zh.format_map(values), error.en.format_map(values))

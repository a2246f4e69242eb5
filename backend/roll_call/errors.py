"""Why a launch or a check-in is refused. Codes are stable; each sentence says what to do."""

from backend.core.errors import DomainError


class LaunchNotPermitted(DomainError):
    """The launcher has no authority over a school, or for this kind (HN334-3.4)."""

    code = "launch_not_permitted"
    status = 403
    zh = "您无权对所选范围发起此类点名：{reason_zh}"
    en = "You may not launch this kind of roll call over that audience: {reason_en}"


class WindowInvalid(DomainError):
    """The times of a launch do not make a fair window."""

    code = "window_invalid"
    status = 422
    zh = "点名时间不合规定：{reason_zh}"
    en = "The window does not follow the rules: {reason_en}"


class AudienceEmpty(DomainError):
    """Nobody in the audience owes presence."""

    code = "audience_empty"
    status = 422
    zh = "所选范围内没有应核验的全日制学生，请调整范围。"
    en = "Nobody in that audience owes presence; change the audience."


class WindowsOverlap(DomainError):
    """Another superior's window overlaps for at least one of the students (reading 3): the later is refused."""

    code = "windows_overlap"
    status = 409
    zh = "所选学生中有 {students} 人在该时段已有上级核验，请改期或调整范围。"
    en = "{students} of these students already have a superior's check in that window; change time or audience."


class CheckInRefusal(DomainError):
    """Base of the refusals that are kept as rows."""

    status = 409


class NotOpenYet(CheckInRefusal):
    code = "window_not_open"
    zh = "核验尚未开始，请在 {opens_at} 后重试。"
    en = "The window is not open yet; try again after {opens_at}."


class WindowClosed(CheckInRefusal):
    """One second late by the server's clock is late (HN334-3.4)."""

    code = "window_closed"
    zh = "核验已于 {closes_at} 截止。如有正当理由，请联系辅导员或提出申诉。"
    en = "The window closed at {closes_at}. With a justified reason, tell your counselor or appeal."


class RollCallVoided(CheckInRefusal):
    code = "roll_call_voided"
    zh = "此次核验已被发起单位作废，您无须操作。"
    en = "This roll call was voided by its launcher; you need do nothing."


class NotAsked(CheckInRefusal):
    code = "not_asked"
    zh = "此次核验不要求您参加（{reason}），您无须操作。"
    en = "You are not asked to take part in this roll call ({reason}); you need do nothing."


class ActivationIncomplete(CheckInRefusal):
    """HN334-3.1: check-in is refused with a reason until activation is done, or a non-face route is recorded."""

    code = "activation_incomplete"
    zh = "账号尚未完成激活，还差：{gaps}。请先完成，或请辅导员走非人脸核验。"
    en = "Activation is not complete; missing: {gaps}. Finish it, or ask your counselor for the non-face route."


class FaceRouteClosed(CheckInRefusal):
    code = "non_face_route_recorded"
    zh = "您已选择非人脸核验，请携带学生卡找辅导员现场核验。"
    en = "You chose the non-face route: go to your counselor with your student card."


class AlreadyPresent(CheckInRefusal):
    code = "already_present"
    zh = "您已通过此次核验，无须重复提交。"
    en = "You have already passed this roll call; there is nothing more to do."


class TooManyFailures(CheckInRefusal):
    """Running out of attempts leads to a person, never to a miss (THREATS 15)."""

    code = "face_attempts_exhausted"
    zh = "人脸核验已失败 {attempts} 次。请找辅导员现场核验，此情形不会直接记为未核验。"
    en = "The face check failed {attempts} times. See your counselor; this alone never counts as a miss."


class StepUpsExhausted(CheckInRefusal):
    """After so many doubtful answers a person looks (THREATS 15)."""

    code = "step_ups_exhausted"
    zh = "已有 {attempts} 次核验结果存疑，不再自动核验。请携带学生卡找辅导员现场核验；此情形不会直接记为未核验。"
    en = "{attempts} answers were in doubt. See your counselor with your student card; this alone never counts as a miss."


class ChallengesExhausted(CheckInRefusal):
    """Asking again and again must not make a challenge easier."""

    code = "challenges_exhausted"
    zh = "本次核验已获取 {challenges} 次动作口令，不再发放。请携带学生卡找辅导员现场核验；此情形不会直接记为未核验。"
    en = "You have had {challenges} challenges. See your counselor with your student card; this alone never counts as a miss."


class ChallengeActionsTooFew(CheckInRefusal):
    """Whoever cannot do two of the actions answers on the way without a face, which is an equal one (THREATS 17)."""

    code = "challenge_actions_too_few"
    zh = (
        "人脸核验至少需要能做 {needed} 种动作，目前只有 {able} 种。请携带学生卡找辅导员现场核验，"
        "或在应用中选择非人脸核验；此情形不会直接记为未核验。"
    )
    en = (
        "A face check needs at least {needed} actions that you can do, and {able} are left. See your counselor with "
        "your student card, or choose the way without a face; this alone never counts as a miss."
    )


class TooManyAttempts(CheckInRefusal):
    code = "too_many_attempts"
    status = 429
    zh = "操作过于频繁，请一分钟后再试。"
    en = "Too many attempts; wait a minute and try again."


class EnvelopeMalformed(CheckInRefusal):
    code = "envelope_malformed"
    status = 422
    zh = "提交的数据无法解析（{reason}），请更新应用后重试。"
    en = "The envelope cannot be read ({reason}); update the app and try again."


class EnvelopeTooLarge(CheckInRefusal):
    code = "envelope_too_large"
    status = 413
    zh = "提交的数据超过 {limit} 字节，请更新应用后重试。"
    en = "The envelope is larger than {limit} bytes; update the app and try again."


class EnvelopeSignatureInvalid(CheckInRefusal):
    code = "envelope_signature_invalid"
    status = 422
    zh = "签名不是本机密钥所签，请在已绑定的手机上操作。"
    en = "The envelope is not signed by your device's key; use the phone that you registered."


class EnvelopeElsewhere(CheckInRefusal):
    code = "envelope_wrong_roll_call"
    status = 422
    zh = "提交的数据属于另一次核验，请重新开始本次核验。"
    en = "The envelope belongs to another roll call; start this one again."


class NonceUnknown(CheckInRefusal):
    code = "nonce_unknown"
    zh = "请先获取核验口令再提交（口令不存在或不属于您）。"
    en = "Ask for a challenge first: this nonce does not exist or is not yours."


class NonceExpired(CheckInRefusal):
    code = "nonce_expired"
    zh = "核验口令已过期，请重新开始一次核验。"
    en = "The challenge has expired; start again."


class FixRefused(CheckInRefusal):
    code = "fix_refused"
    status = 422
    zh = "定位数据无法使用：{reason_zh}"
    en = "The location cannot be used: {reason_en}"

    def __init__(self, *, code: str, reason_zh: str, reason_en: str) -> None:
        self.code = code  # type: ignore[misc]  # the location library's own stable code
        super().__init__(reason_zh=reason_zh, reason_en=reason_en)


class IntakeBusy(DomainError):
    """Too many at once. The instant counts all the same (`attempted`), so that coming back makes nobody late."""

    code = "intake_busy"
    status = 503
    zh = "当前提交人数较多。您的提交时间已经记录，请保持应用打开，约 {seconds} 秒后自动重试，不会因此算作超时。"
    en = "Many are sending at once. Your time of arrival is recorded: keep the app open, it tries again in {seconds} s, and that does not make you late."

    def __init__(self, *, seconds: int, attempted: str) -> None:
        self.headers = {"Retry-After": str(seconds)}
        self.extensions = {"attempted": attempted}
        super().__init__(seconds=seconds)


class FrameNotDeclared(DomainError):
    code = "frame_not_declared"
    status = 422
    zh = "图片序号 {position} 未在提交中声明。"
    en = "Frame {position} was not declared in the envelope."


class FrameHashMismatch(DomainError):
    code = "frame_hash_mismatch"
    status = 422
    zh = "第 {position} 张图片与提交时声明的摘要不符，请上传原图。"
    en = "Frame {position} does not match the hash in the envelope; upload the original."


class FramesTooLate(DomainError):
    code = "frames_too_late"
    status = 409
    zh = "图片上传已超过宽限时间，请重新核验，或请辅导员协助。"
    en = "The grace for uploading pictures has passed; check in again or ask your counselor."


class UrgingClosed(DomainError):
    """Urging ends with the window (HN334-3.4)."""

    code = "urging_closed"
    status = 409
    zh = "核验已截止（或尚未开始），不能再督促。"
    en = "The window is not open; urging ended with it."


class UrgedRecently(DomainError):
    code = "urged_recently"
    status = 429
    zh = "{minutes} 分钟内已督促过，请稍后再试。"
    en = "They were urged within the last {minutes} minutes; try again later."


class CodeWrong(DomainError):
    code = "student_code_wrong"
    status = 422
    zh = "学生卡核验码不符，请核对学生本人的卡片。"
    en = "The code does not match the student's card; check the card."


class QuotaExhausted(DomainError):
    code = "attestation_quota_exhausted"
    status = 409
    zh = "本班现场核验名额（{quota} 人）已用完，请报学校管理员处理。"
    en = "The class's quota of {quota} attested checks is used up; tell your registrar."


class RegistrationsUsedUp(DomainError):
    """HN334-2.2: two registrations a year; a third is refused."""

    code = "registrations_used_up"
    status = 409
    zh = "{year} 年的 {allowed} 次学籍注册已全部完成，无须再次注册。"
    en = "All {allowed} registrations of {year} are done; there is no further one."


class ResultClosed(DomainError):
    """Closed results change only through an appeal or a voiding (HN334-3.4)."""

    code = "result_closed"
    status = 409
    zh = "该结果已确定，只能通过申诉或作废更改。"
    en = "This result is final; only an appeal or a voiding changes it."


SENT_TO_A_PERSON = frozenset(
    refusal.code
    for refusal in (
        FaceRouteClosed,
        TooManyFailures,
        StepUpsExhausted,
        ChallengesExhausted,
        ChallengeActionsTooFew,
    )
)
"""Refusals after which the counselor is next: nobody is missed for having got one (THREATS 15, 17)."""

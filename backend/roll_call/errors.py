"""Errors of launches, check-ins and other roll call actions. Codes are stable; each sentence says what to do."""

from backend.core.errors import DomainError


class LaunchNotPermitted(DomainError):
    """The launcher has no authority over a school of the audience, or for this kind (HN334-3.4)."""

    code = "launch_not_permitted"
    status = 403
    zh = "您无权对所选范围发起此类点名：{reason_zh}"
    en = "You may not launch this kind of roll call for this audience: {reason_en}"


class WindowInvalid(DomainError):
    """The times of a launch break the rules for windows."""

    code = "window_invalid"
    status = 422
    zh = "点名时间不合规定：{reason_zh}"
    en = "The window breaks the rules: {reason_en}"


class WindowInVacation(DomainError):
    """A day of the window lies in a declared vacation (reading 17)."""

    code = "window_in_vacation"
    status = 422
    zh = "点名时段包含假期：{days}。请改在上课期间。"
    en = "The window includes days of a vacation: {days}. Choose days on which school is in session."


class AudienceEmpty(DomainError):
    """No student in the audience owes presence."""

    code = "audience_empty"
    status = 422
    zh = "所选范围内没有应核验的全日制学生，请调整范围。"
    en = "No full-time student in this audience owes presence; change the audience."


class LaunchUnconfirmed(DomainError):
    """The launch calls so many students that it takes the second factor, and the request has none."""

    code = "launch_unconfirmed"
    status = 403
    zh = "此次点名将通知 {students} 名学生，超过 {limit} 人的点名须再次用动态码或通行密钥确认。"
    en = (
        "This launch calls {students} students. Above {limit} students, confirm it with a code of the authenticator app"
        " or a passkey."
    )


class WindowsOverlap(DomainError):
    """Another superior's window overlaps for at least one student (reading 3). The later launch is refused."""

    code = "windows_overlap"
    status = 409
    zh = "所选学生中有 {students} 人在该时段已有上级核验，请改期或调整范围。"
    en = "{students} of these students already have a superior's roll call in this window; change the time or the audience."


class CheckInRefusal(DomainError):
    """Base of the errors that are recorded as `refusal` rows."""

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


class RollCallIsVoided(CheckInRefusal):
    code = "roll_call_voided"
    zh = "此次核验已被发起单位作废，您无须操作。"
    en = "This roll call was voided by its launcher; you do not need to do anything."


class PresenceNotOwed(CheckInRefusal):
    code = "not_asked"
    zh = "此次核验不要求您参加（{reason}），您无须操作。"
    en = "You do not have to take part in this roll call ({reason}); you do not need to do anything."


class ActivationIncomplete(CheckInRefusal):
    """Check-in is refused with a reason until activation is done or a non-face route is recorded (HN334-3.1)."""

    code = "activation_incomplete"
    zh = "账号尚未完成激活，还差：{gaps}。请先完成，或请辅导员走非人脸核验。"
    en = "Activation is not complete; missing: {gaps}. Finish it, or ask your counselor for the non-face route."


class NonFaceRouteChosen(CheckInRefusal):
    code = "non_face_route_recorded"
    zh = "您已选择非人脸核验，请携带学生卡找辅导员现场核验；也可以在应用内改回人脸方式。"
    en = "You chose the non-face route. Go to your counselor with your student card, or go back to the face in the app."


class AlreadyPresent(CheckInRefusal):
    code = "already_present"
    zh = "您已通过此次核验，无须重复提交。"
    en = "You have already passed this roll call; you do not need to do anything."


class TooManyFailures(CheckInRefusal):
    """A student who runs out of attempts is referred to the counselor and never missed for it (THREATS 15)."""

    code = "face_attempts_exhausted"
    zh = "人脸核验已失败 {attempts} 次。请找辅导员现场核验，此情形不会直接记为未核验。"
    en = "The face check failed {attempts} times. See your counselor; this alone never counts as a miss."


class StepUpsExhausted(CheckInRefusal):
    """After this many uncertain results, a person decides (THREATS 15)."""

    code = "step_ups_exhausted"
    zh = "已有 {attempts} 次核验结果存疑，不再自动核验。请携带学生卡找辅导员现场核验；此情形不会直接记为未核验。"
    en = "{attempts} results were uncertain. See your counselor with your student card; this alone never counts as a miss."


class ChallengesExhausted(CheckInRefusal):
    """The number of challenges is limited, so that asking again does not make a challenge easier."""

    code = "challenges_exhausted"
    zh = "本次核验已获取 {challenges} 次动作口令，不再发放。请携带学生卡找辅导员现场核验；此情形不会直接记为未核验。"
    en = "You have received {challenges} challenges, the maximum. See your counselor with your student card; this alone never counts as a miss."


class ChallengeActionsTooFew(CheckInRefusal):
    """A student who cannot do two of the actions uses the non-face route, which counts the same (THREATS 17)."""

    code = "challenge_actions_too_few"
    zh = (
        "人脸核验至少需要能做 {needed} 种动作，目前只有 {able} 种。请携带学生卡找辅导员现场核验，"
        "或在应用中选择非人脸核验；此情形不会直接记为未核验。"
    )
    en = (
        "A face check needs at least {needed} actions that you can do, and only {able} remain. See your counselor with "
        "your student card, or choose the non-face route; this alone never counts as a miss."
    )


class LookNotPossible(CheckInRefusal):
    """The face can only be confirmed by a person, and there is no portrait or no consent to compare with."""

    code = "look_not_possible"
    zh = "无法人工比对您的照片（没有已审核的证件照，或未同意人工比对）。请携带学生卡找辅导员现场核验；此情形不会直接记为未核验。"
    en = "No person may compare your pictures: there is no accepted ID portrait, or no consent. See your counselor with your student card; this alone never counts as a miss."


class LookNotConfirmed(CheckInRefusal):
    """A person looked and did not confirm that the picture shows the student."""

    code = "look_not_confirmed"
    zh = "人工比对未能确认照片为您本人。请携带学生卡找辅导员现场核验；此情形不会直接记为未核验。"
    en = "A person looked at your picture and could not confirm that it shows you. See your counselor with your student card; this alone never counts as a miss."


class TooManyAttempts(CheckInRefusal):
    code = "too_many_attempts"
    status = 429
    zh = "操作过于频繁，请一分钟后再试。"
    en = "Too many attempts; wait one minute and try again."


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
    en = "The envelope is not signed with your device's key; use the phone that you registered."


class EnvelopeWrongRollCall(CheckInRefusal):
    code = "envelope_wrong_roll_call"
    status = 422
    zh = "提交的数据属于另一次核验，请重新开始本次核验。"
    en = "The envelope belongs to another roll call; start this check-in again."


class NonceUnknown(CheckInRefusal):
    code = "nonce_unknown"
    zh = "请先获取核验口令再提交（口令不存在或不属于您）。"
    en = "Request a challenge first: this nonce does not exist or is not yours."


class NonceExpired(CheckInRefusal):
    code = "nonce_expired"
    zh = "核验口令已过期，请重新开始一次核验。"
    en = "The challenge has expired; start the check-in again."


class NonceUsed(CheckInRefusal):
    """Another envelope with this nonce was accepted; its receipt does not cover the content of this one."""

    code = "nonce_used"
    zh = "该核验口令已用于另一份提交。请重新获取核验口令，再提交新的数据。"
    en = "This nonce was used by a different envelope. Request a new challenge and submit again."


class FixesTooFew(CheckInRefusal):
    """Not enough location fixes: the phone has not located itself often enough."""

    code = "fixes_too_few"
    status = 422
    zh = "只有 {count} 个定位点，至少需要 {minimum} 个。请打开手机定位，在原地停留约 {seconds} 秒后重试。"
    en = "Only {count} location fixes were sent; {minimum} are needed. Turn location on, stay where you are for about {seconds} s and try again."


class FixIncomplete(CheckInRefusal):
    """A fix without coordinates, accuracy or age: the phone has no usable position, or precise location is off."""

    code = "fix_incomplete"
    status = 422
    zh = "定位数据不完整（缺少 {field}）。请打开手机定位并允许应用使用“精确位置”，等定位稳定后重试；仍不行请找辅导员现场核验。"
    en = "The location is incomplete ({field} is missing). Turn location on, allow precise location for the app and try again; if it fails again, see your counselor."


class FixRefused(CheckInRefusal):
    code = "fix_refused"
    status = 422
    zh = "定位数据无法使用：{reason_zh}"
    en = "The location cannot be used: {reason_en}"

    def __init__(self, *, code: str, reason_zh: str, reason_en: str) -> None:
        self.code = code  # type: ignore[misc]  # the location library's own stable code
        super().__init__(reason_zh=reason_zh, reason_en=reason_en)


class IntakeBusy(DomainError):
    """The intake is overloaded. The signed token in `attempted` proves the arrival time, so a retry is not late."""

    code = "intake_busy"
    status = 503
    zh = "当前提交人数较多。您的提交时间已经记录，请保持应用打开，约 {seconds} 秒后自动重试，不会因此算作超时。"
    en = "Many students are submitting at once. Your submission time is recorded: keep the app open, it retries in {seconds} s, and you will not be late."

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
    en = "The time for uploading pictures is over; check in again or ask your counselor."


class ReminderClosed(DomainError):
    """Reminders can be sent only while the window is open (HN334-3.4)."""

    code = "urging_closed"
    status = 409
    zh = "核验已截止（或尚未开始），不能再督促。"
    en = "The window is not open; reminders can be sent only while it is."


class RemindedRecently(DomainError):
    code = "urged_recently"
    status = 429
    zh = "{minutes} 分钟内已督促过，请稍后再试。"
    en = "A reminder was sent within the last {minutes} minutes; try again later."


class NoReminderNeeded(DomainError):
    """The student is present already, or does not owe presence."""

    code = "no_reminder_needed"
    status = 409
    zh = "该生已通过核验，或本次无须核验，不用督促。"
    en = "This student is present already or does not have to take part; no reminder is needed."


class RehearsalCompleted(DomainError):
    """The school has completed the rehearsal of the cohort (HN334-5.1)."""

    code = "rehearsal_completed"
    status = 409
    zh = "该校已完成联调测试，不用督促。"
    en = "This school has completed the rehearsal; no reminder is needed."


class SchoolRemindedRecently(DomainError):
    code = "school_reminded_recently"
    status = 429
    zh = "{hours} 小时内已督促过该校，请稍后再试。"
    en = "This school was reminded within the last {hours} hours; try again later."


class SchoolWithoutRegistrar(DomainError):
    code = "school_without_registrar"
    status = 409
    zh = "该校没有已激活的学校管理员，通知无人收到。请先开通学校管理员账号，或电话联系。"
    en = "The school has no active registrar to notify. Create an account for one first, or phone the school."


class StudentCodeWrong(DomainError):
    code = "student_code_wrong"
    status = 422
    zh = "学生卡核验码不符，请核对学生本人的卡片。"
    en = "The code does not match the student's card; check the card."


class AttestationQuotaExhausted(DomainError):
    code = "attestation_quota_exhausted"
    status = 409
    zh = "本班现场核验名额（{quota} 人）已用完，请报学校管理员处理。"
    en = "The quota of {quota} on-site attestations for this class is used up; tell your registrar."


class AttesterQuotaExhausted(DomainError):
    code = "attester_quota_exhausted"
    status = 409
    zh = "您在本次核验中的现场核验名额（{quota} 人）已用完，请报学校管理员处理。"
    en = "Your quota of {quota} on-site attestations in this roll call is used up; tell your registrar."


class CardCodesExhausted(DomainError):
    """Too many wrong codes by this attester, or for this card. Stops guessing; every wrong code is recorded."""

    code = "card_codes_exhausted"
    status = 429
    zh = "学生卡核验码输错次数过多，请 {minutes} 分钟后再试，或请学校管理员补发学生卡。输错记录已留存。"
    en = "Too many wrong card codes. Try again in {minutes} minutes, or ask your registrar for a new card. The wrong codes are recorded."


class AttesterOutsideSite(DomainError):
    code = "attester_outside_site"
    status = 409
    zh = "您不在所选的备案办学地址内，不能办理现场核验。请到校内与学生当面核验。"
    en = "You are not inside the chosen filed site, so you cannot attest. Go there and meet the student in person."


class AttesterPositionUncertain(DomainError):
    code = "attester_position_uncertain"
    status = 409
    zh = "您的定位不够精确，无法确定是否在备案办学地址内。请打开精确定位，到开阔处重试。"
    en = "Your position is too uncertain to tell whether you are inside the filed site. Allow precise location and try again in the open."


class RegistrationNotOpen(DomainError):
    """No term's registration period includes today (reading 21)."""

    code = "registration_not_open"
    status = 409
    zh = "现在不在学籍注册时间内。{next_zh}。"
    en = "Registration is not open now. {next_en}."


class RegisteredThisTerm(DomainError):
    """One registration in each term's registration period (reading 21)."""

    code = "registered_this_term"
    status = 409
    zh = "{term_zh}已完成学籍注册，无须再次注册。{next_zh}。"
    en = "You are already registered for the {term_en}. {next_en}."


class RegistrationsUsedUp(DomainError):
    """Two registrations a year are allowed; a third is refused (HN334-2.2)."""

    code = "registrations_used_up"
    status = 409
    zh = "{year} 年的 {allowed} 次学籍注册已全部完成，无须再次注册。"
    en = "All {allowed} registrations for {year} are complete; no further one is needed."


class ResultClosed(DomainError):
    """A result that is final changes only through an appeal or a voiding (HN334-3.4)."""

    code = "result_closed"
    status = 409
    zh = "该结果已确定，只能通过申诉或作废更改。"
    en = "This result is final; it changes only through an appeal or a voiding."


SENT_TO_A_PERSON = frozenset(
    refusal.code
    for refusal in (
        NonFaceRouteChosen,
        TooManyFailures,
        StepUpsExhausted,
        ChallengesExhausted,
        ChallengeActionsTooFew,
        LookNotPossible,
        LookNotConfirmed,
    )
)
"""Codes of refusals that refer the student to the counselor; none of them leads to a miss (THREATS 15, 17)."""

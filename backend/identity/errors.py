"""Errors of identity. The 401s carry a `WWW-Authenticate` challenge (RFC 9110; RFC 9449 for phones)."""

from typing import Any, ClassVar

from backend.core.errors import DomainError


class Unauthenticated(DomainError):
    """Base class of the 401s: the request is not authenticated."""

    code = "unauthenticated"
    status = 401
    zh = "请先登录。"
    en = "Sign in first."
    scheme: ClassVar[str] = "Bearer"
    challenge: ClassVar[str] = ""

    def __init__(self, **params: Any) -> None:
        self.headers = {
            "WWW-Authenticate": f'{self.scheme} error="{self.challenge}"' if self.challenge else self.scheme
        }
        super().__init__(**params)


class TokenMissing(Unauthenticated):
    """The request has no access token."""

    code = "token_missing"
    zh = "请求缺少访问令牌，请登录后重试。"
    en = "The request carries no access token; sign in and try again."


class TokenInvalid(Unauthenticated):
    """The token was not issued here, was altered, or is for the other API."""

    code = "token_invalid"
    challenge = "invalid_token"
    zh = "访问令牌无效，请重新登录。"
    en = "The access token is not valid; sign in again."


class TokenExpired(Unauthenticated):
    """The access token has expired."""

    code = "token_expired"
    challenge = "invalid_token"
    zh = "访问令牌已过期，请刷新后重试。"
    en = "The access token has expired; get a new one and try again."


class SessionRevoked(Unauthenticated):
    """The session was signed out or has expired, or its account is disabled."""

    code = "session_revoked"
    challenge = "invalid_token"
    zh = "登录已失效，请重新登录；如账号被停用，请联系上级管理员。"
    en = "This sign-in has ended; sign in again, or ask your superior if the account was disabled."


class PasskeyRefused(Unauthenticated):
    """The passkey is unknown, was removed, or did not make this answer; its account may be disabled. Never says which."""

    code = "passkey_refused"
    zh = "通行密钥未通过验证。请重试，或使用密码和动态码登录。"
    en = "The passkey was not accepted. Try again, or sign in with password and code."


class PasskeyUnverified(DomainError):
    """The answer of a registration is malformed, is for another site, or comes from a device that did not verify its owner."""

    code = "passkey_unverified"
    status = 422
    zh = "新通行密钥未通过验证：请在本系统页面内重试，并在设备上完成指纹、人脸或 PIN 验证。"
    en = "The new passkey was not accepted. Try again on a page of this system, and verify yourself on the device (finger, face or PIN)."


class PasskeyChallengeInvalid(DomainError):
    """The challenge has ended, was answered before, or was issued for something else."""

    code = "passkey_challenge_invalid"
    status = 422
    zh = "本次通行密钥操作已过期或已使用。请重新开始。"
    en = "This request for a passkey has expired or was answered already. Start again."


class PasskeysUnavailable(DomainError):
    """The public address has no host name, and browsers make passkeys only for names."""

    code = "passkeys_unavailable"
    status = 409
    zh = "本系统的公开地址（{url}）不是域名，不能使用通行密钥。请使用密码和动态码。"
    en = "The public address of this system ({url}) has no host name, so passkeys cannot be used. Use password and code."


class PasskeyKnown(DomainError):
    """The passkey is registered already."""

    code = "passkey_known"
    status = 409
    zh = "该通行密钥已登记。请换一个设备，或先移除原来的。"
    en = "This passkey is registered already. Use another device, or remove it first."


class PasskeysTooMany(DomainError):
    """The account has the maximum number of passkeys."""

    code = "passkeys_too_many"
    status = 409
    zh = "每个账号最多 {limit} 个通行密钥。请先移除不用的。"
    en = "An account has at most {limit} passkeys. Remove one that you do not use."


class OriginRefused(DomainError):
    """A request of a browser that carries the session's cookie, but comes from a page of another site or of none."""

    code = "origin_refused"
    status = 403
    zh = "请求不是来自本系统的页面（{origin}），已拒绝。请在 {expected} 打开页面后重试。"
    en = "The request does not come from a page of this system ({origin}). Open the page at {expected} and try again."


class PhoneTokenMissing(TokenMissing):
    """A phone's request without `Authorization: DPoP …`."""

    scheme = "DPoP"


class PhoneTokenInvalid(TokenInvalid):
    """`TokenInvalid` for a phone."""

    scheme = "DPoP"


class PhoneTokenExpired(TokenExpired):
    """`TokenExpired` for a phone."""

    scheme = "DPoP"


class ProofInvalid(Unauthenticated):
    """The DPoP proof is missing, is for another request, or was not signed by the key (RFC 9449, 4.3)."""

    code = "proof_invalid"
    scheme = "DPoP"
    challenge = "invalid_dpop_proof"
    zh = "请求签名（DPoP）无效（{reason}），请更新应用后重试。"
    en = "The DPoP proof of this request is not valid ({reason}). Update the app and try again."


class ProofClockWrong(ProofInvalid):
    """`iat` differs too much from the server's time, which `server_time` states so that the app can correct its clock."""

    code = "proof_clock_wrong"
    zh = (
        "手机时间与服务器时间（{server_time}）相差超过 {seconds} 秒。请在系统设置中打开“自动设置时间”后重试。"
    )
    en = "The phone's clock differs from the server's time ({server_time}) by more than {seconds} s. Set the time automatically and try again."

    def __init__(self, *, server_time: str, seconds: int) -> None:
        self.extensions = {"server_time": server_time}
        super().__init__(server_time=server_time, seconds=seconds)


class ProofUrlWrong(ProofInvalid):
    """`htu` is not the public address of this endpoint."""

    code = "proof_htu_wrong"
    zh = "请求签名（DPoP）的 htu 不是本接口的公开地址，应为 {expected}。"
    en = "`htu` of the DPoP proof is not the public address of this endpoint; it must be {expected}."


class ProofSignatureWrong(ProofInvalid):
    """The proof was not signed by the key in its header."""

    code = "proof_signature_wrong"
    zh = "请求签名（DPoP）不是其中公钥对应的密钥所签。请用本机密钥重新签名；仍不行请重新绑定手机。"
    en = "The DPoP proof was not signed by the key in its header. Sign it with the phone's key; if that fails, register the phone again."


class ProofTokenWrong(ProofInvalid):
    """`ath` is missing or is not the hash of the access token of this request (RFC 9449, 7)."""

    code = "proof_ath_wrong"
    zh = "请求签名（DPoP）的 ath 与访问令牌不符。请用当前令牌的 SHA-256 重新签名。"
    en = "`ath` of the DPoP proof does not match the access token. Sign again with the SHA-256 of the current token."


class ProofReplayed(Unauthenticated):
    """The proof was used before; each proof is accepted once."""

    code = "proof_replayed"
    scheme = "DPoP"
    challenge = "invalid_dpop_proof"
    zh = "该请求签名已使用过，请重新发起请求。"
    en = "This proof was used before; repeat the request with a new proof."


class KeyRevoked(Unauthenticated):
    """The key is not bound to a student, or was revoked."""

    code = "key_revoked"
    scheme = "DPoP"
    challenge = "invalid_token"
    zh = "本机未绑定或已解绑，请在应用内重新注册本机。"
    en = "This phone is not bound to a student or was revoked; register it again in the app."


class PhoneReplaced(KeyRevoked):
    """The key was revoked because the student bound another phone; the old phone can object."""

    code = "phone_replaced"
    zh = (
        "您的账号已绑定到另一部手机，本机不能再使用。如非本人操作，请立即在本机提出异议"
        "（POST /v1/rebinding-objections），或当面联系辅导员。"
    )
    en = (
        "Your account was bound to another phone and this one can no longer be used. If this was not you, object on this phone at "
        "once (POST /v1/rebinding-objections), or see your counselor in person."
    )


class RebindingCheckNeeded(DomainError):
    """The SMS code is right, but another phone was bound before: a face or a code given in person is needed as well."""

    code = "rebinding_check_needed"
    status = 409
    zh = "验证码正确。您以前绑定过手机，换绑还需核对本人：{face_zh}请辅导员或学校管理员当面核对后发放当面绑定码。原手机在此之前继续有效。"
    en = (
        "The code is right. You bound a phone before, so the change needs one more check: {face_en}ask your counselor or the registrar in "
        "person for a binding code. The old phone stays valid until then."
    )

    def __init__(self, *, face: bool) -> None:
        self.extensions = {"checks": ["face", "in_person"] if face else ["in_person"]}
        super().__init__(
            face_zh="在本机拍摄人脸，或" if face else "",
            face_en="take pictures of your face on this phone, or " if face else "",
        )


class RebindingFaceUnavailable(DomainError):
    """There is no face to compare with, or the consents about it are missing."""

    code = "rebinding_face_unavailable"
    status = 409
    zh = "您没有可用于比对的人脸（未采集、已撤回同意或采用非人脸方式）。请当面向辅导员或学校管理员领取当面绑定码。"
    en = "There is no enrolled face to compare with. Ask your counselor or the registrar in person for a binding code."


class CoolDownActive(DomainError):
    """After a change of phone, new consents about the face and contact data wait until the cool-down is over."""

    code = "cool_down_active"
    status = 409
    zh = "换绑手机后的冷静期内，此项须等到 {until} 之后办理。撤回同意、非人脸方式、说明理由、陈述和申诉不受影响。"
    en = (
        "After a change of phone, this waits until {until}. Revoking a consent, verification without a face, reasons, "
        "statements and appeals are not affected."
    )


class AccountIsDisabled(Unauthenticated):
    """The account was disabled."""

    code = "account_disabled"
    scheme = "DPoP"
    challenge = "invalid_token"
    zh = "账号已停用，请联系学校管理员。"
    en = "The account is disabled; ask the school's registrar."


class SignInRefused(Unauthenticated):
    """Login, password or code is wrong; the answer does not say which."""

    code = "sign_in_refused"
    zh = "登录名、密码或动态码不正确。请核对后重试。"
    en = "Login, password or code is wrong. Check them and try again."


class SecondFactorUsed(Unauthenticated):
    """The second-factor code is right and was used before: each is valid once (RFC 6238, 5.2)."""

    code = "second_factor_used"
    zh = "这个动态验证码已经用过，每个只能用一次。请等验证器显示下一个（最多 30 秒）再登录。"
    en = "This code was used already; each is valid once. Wait up to 30 seconds for the next one, then sign in."


class FactorsWrong(DomainError):
    """The present password or the code is wrong; the answer does not say which. The session stays valid."""

    code = "factors_wrong"
    status = 422
    zh = "当前密码或动态码不正确。请核对后重试。"
    en = "The present password or the code is wrong. Check them and try again."


class PasswordTooCommon(DomainError):
    """The password is among the first guesses of an attacker."""

    code = "password_too_common"
    status = 422
    zh = "该密码太常见或包含姓名、登录名、电话，容易被猜到。请换一个，例如几个互不相关的词连在一起。"
    en = (
        "This password is common, or contains your name, login or phone number, and is easy to guess. Choose another one, for example "
        "several unrelated words."
    )


class ActivationRefused(Unauthenticated):
    """Login or activation code is wrong, used or expired; the answer does not say which."""

    code = "activation_refused"
    zh = "登录名或激活码不正确、已使用或已过期。请核对，或请上级重新发放激活码。"
    en = (
        "Login or activation code is wrong, used or expired. Check them, or ask your superior for a new code."
    )


class TooManyAttempts(DomainError):
    """Too many attempts; retry after the delay."""

    code = "too_many_attempts"
    status = 429
    zh = "尝试次数过多，请在 {wait_s} 秒后重试。"
    en = "Too many attempts; try again in {wait_s} seconds."

    def __init__(self, *, wait_s: int) -> None:
        self.headers = {"Retry-After": str(wait_s)}
        super().__init__(wait_s=wait_s)


class CodeWrong(DomainError):
    """The one-time code does not match, or no code was sent; the answer does not say which."""

    code = "code_wrong"
    status = 422
    zh = "验证码不正确。请核对短信；没有收到请核对姓名和证件号，或联系学校核对预留手机号。"
    en = (
        "The code is wrong. Check the message; if none came, check name and ID number, or ask the school "
        "which phone number is on the roster."
    )


class CodeExhausted(DomainError):
    """All attempts at the code are used up."""

    code = "code_exhausted"
    status = 409
    zh = "验证码错误次数已达上限，请重新获取。"
    en = "All attempts at this code are used up; request a new one."


class CodeExpired(DomainError):
    """The one-time code has expired."""

    code = "code_expired"
    status = 409
    zh = "验证码已过期，请重新获取。"
    en = "The code has expired; request a new one."


class DeviceBoundElsewhere(DomainError):
    """The key was bound before; a key belongs to one student for good (invariant 11)."""

    code = "device_bound_elsewhere"
    status = 409
    zh = "本机密钥已被使用过，不能再次绑定。请清除应用数据后用本人手机重新注册。"
    en = "This phone's key was used before and cannot be bound again. Clear the app's data and register your own phone."


class ConsentMissing(DomainError):
    """Pictures are taken only with recorded consent."""

    code = "consent_missing"
    status = 409
    zh = "尚未同意“{kind}”。请先阅读并单独同意，或选择非人脸方式。"
    en = (
        "There is no consent to “{kind}”. Read and give it separately, or choose verification without a face."
    )


class ConsentTextOutdated(DomainError):
    """The consent text that was read has been replaced by a newer version."""

    code = "consent_text_outdated"
    status = 422
    zh = "文本已更新为 {current} 版，请重新阅读后再作答。"
    en = "The text was replaced by version {current}; read it and answer again."


class GuardianNeeded(DomainError):
    """Below the statutory age, a guardian must consent (PIPL, article 31)."""

    code = "guardian_needed"
    status = 422
    zh = "不满 {age} 周岁须由监护人同意，请填写监护人姓名。"
    en = "Below the age of {age} a guardian must consent; give the guardian's name."


class GuardianNotOnFile(DomainError):
    """Messages to guardians need a guardian with a phone number on the roster."""

    code = "guardian_not_on_file"
    status = 409
    zh = "名册中没有登记监护人，或监护人没有联系电话，无法向监护人发送通知。请联系学校补登家庭成员信息后再同意。"
    en = "No guardian with a phone number is on the roster, so no one could be notified. Ask the school to add one, then consent."


class FaceNotReady(DomainError):
    """The face route needs both consents and an enrolled face."""

    code = "face_not_ready"
    status = 409
    zh = "还不能改回人脸核验：请先同意两项人脸条款并完成人脸采集（曾撤回同意的，须两人审核）。采集通过后自动改回。"
    en = "You cannot go back to the face yet. Give both consents and enrol your face first (after a withdrawal, two persons approve it). You are switched back when it is accepted."


class ShotsRepeated(DomainError):
    """One file was sent as several shots."""

    code = "shots_repeated"
    status = 422
    zh = "同一张照片提交了多次。请每张都现场重新拍摄，并稍微转动头部。"
    en = "One picture was sent several times. Take new pictures, and turn your head a little each time."


class FaceAlreadyEnrolled(DomainError):
    """A student cannot replace the own enrolled face."""

    code = "face_already_enrolled"
    status = 409
    zh = "人脸已采集。如需更换，请提交更换申请（POST /v1/me/face-replacement），由学校和上级两人审核。"
    en = "A face is already enrolled. To replace it, submit a replacement (POST /v1/me/face-replacement): a person of the school and one of its superior must approve it."


class EnrolmentPending(DomainError):
    """The last submitted pictures are still being judged."""

    code = "enrolment_pending"
    status = 409
    zh = "上次提交的照片正在核验，请稍候查看结果。"
    en = "Your last pictures are still being checked; check the result again shortly."


class FaceStepOpen(DomainError):
    """The portrait is compared with the face, so the face step must be done first."""

    code = "face_step_open"
    status = 409
    zh = "请先完成人脸采集或选择非人脸方式，再提交证件照。"
    en = "First enrol your face or choose verification without a face, then submit the portrait."


class LoginTaken(DomainError):
    """The login exists already; logins are unique in the whole province."""

    code = "login_taken"
    status = 409
    zh = "登录名“{login}”已被使用，请换一个。"
    en = "The login “{login}” is taken; choose another one."


class CorrectionNeedsChange(DomainError):
    """A correction of the legal record needs a roster import or a filed change first."""

    code = "correction_needs_change"
    status = 409
    zh = "“{field}”是学籍信息，不能在此直接修改。请在学籍系统更正后重新导入名册（或办理异动），再接受本申请。"
    en = (
        "“{field}” is part of the legal record and cannot be edited here. Correct it in the roster and import it again, "
        "or file a change; then accept this request."
    )


class PicturesUnjudged(DomainError):
    """Judging failed for technical reasons; the student sends new pictures."""

    code = "pictures_unjudged"
    status = 503
    zh = "照片未能完成审核，与您本人无关，请重新提交。"
    en = "The pictures could not be checked. This is not your fault; send new ones."

"""Wire schemas of staff accounts: invitation, activation and administration."""

from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import quote, urlencode
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from backend.core.web.schema_types import OneOf, Schema, ShortText
from backend.identity.accounts.queries import AccountView
from backend.identity.accounts.staff_accounts import Invitation
from backend.identity.tables import Account
from backend.org.schemas import UnitKind
from backend.org.tables import OrgUnit

Login = Annotated[
    str,
    StringConstraints(min_length=3, max_length=64, pattern=r"^ *[A-Za-z0-9][A-Za-z0-9._@-]* *$"),
    AfterValidator(lambda login: login.strip().lower()),
]
"""Surrounding blanks, which copying adds, are removed."""
Password = Annotated[str, StringConstraints(min_length=12, max_length=128, pattern=r"^[^\x00]+$")]
"""At least twelve characters, without rules about character classes (NIST SP 800-63B-4)."""
Totp = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]
ActivationCode = Annotated[str, StringConstraints(min_length=16, max_length=16, pattern=r"^[A-Za-z2-7]+$")]
Phone = Annotated[str, StringConstraints(pattern=r"^[0-9+ -]{5,20}$")]

InvitedKind = Literal["province", "bureau", "registrar", "counselor"]
AccountKind = Literal["province", "bureau", "registrar", "counselor", "student"]
AccountStatus = Literal["invited", "active", "disabled"]
AccountKindCode = Annotated[str, OneOf(AccountKind)]


class InvitationIn(Schema):
    """The account to invite; a counselor's unit is the school."""

    kind: InvitedKind = Field(examples=["counselor"])
    org_id: UUID
    login: Login = Field(examples=["li.laoshi"])
    display_name: ShortText = Field(examples=["李老师"])
    phone: Phone | None = Field(default=None, examples=["13800000000"])


class InvitationOut(BaseModel):
    """The new account and its activation code, which is shown only once."""

    account_id: UUID
    counselor_id: UUID | None
    activation_code: str = Field(examples=["ABCDEFGH23456723"])
    activation_link: str = Field(
        description="转交本人：打开后登录名、激活码和单位已填好 · for the invited person: opens the activation with login, code and"
        " unit filled in. They stand after the #, so no server sees them",
        examples=["https://dianming.example/c/activation#login=li.laoshi&code=ABCDEFGH23456723&unit=…"],
    )
    expires_at: datetime


class AccountOut(BaseModel):
    """An account, and what the reader may do about it."""

    id: UUID
    kind: AccountKindCode = Field(examples=["registrar"])
    status: Annotated[str, OneOf(AccountStatus)] = Field(examples=["active"])
    login: str | None = Field(examples=["zz.school1"])
    display_name: str = Field(examples=["王老师"])
    org_id: UUID
    org_name: str = Field(examples=["郑州市某某中等专业学校"])
    counselor_id: UUID | None
    created_at: datetime
    last_sign_in_at: datetime | None = Field(
        description="登录日志中最近一次登录；学生账号为空 · the newest sign-in in the log; null for accounts of students"
    )
    may_manage: bool = Field(
        description="可否由本人停用、恢复、重发激活码（直接上级） · whether the reader may disable, enable or invite it again"
    )
    may_reset: bool = Field(
        description="可否由本人申请或复核重置验证器 · whether the reader may request or decide the reset of its second factor"
    )


class DisableIn(Schema):
    """Why the account is disabled."""

    reason: ShortText = Field(examples=["离职"])


class EnableIn(Schema):
    """Why the account is enabled again."""

    reason: ShortText = Field(examples=["复职"])


class ResetRequestIn(Schema):
    """Why the second factor must be reset, and how the owner was identified."""

    reason: ShortText = Field(examples=["手机丢失，已当面核对本人"])


class ResetDecisionIn(Schema):
    """The answer of the second person."""

    outcome: Literal["approved", "refused"]
    note: ShortText | None = Field(default=None, examples=["已电话核对本人"])


class ResetOut(BaseModel):
    """A request to reset the second factor of an account."""

    id: UUID
    account_id: UUID
    login: str | None = Field(examples=["zz.school1"])
    display_name: str = Field(examples=["王老师"])
    reason: str
    requested_by: UUID
    requested_by_name: str | None = Field(default=None, examples=["赵老师"])
    at: datetime
    state: Literal["open", "approved", "refused"]
    decided_by: UUID | None
    decided_by_name: str | None = Field(default=None, examples=["王老师"])
    decided_at: datetime | None
    activation_code: str | None = Field(
        description="仅在批准的应答中出现一次，转交本人重新激活 · only in the answer to the approval: hand it to the owner, who"
        " activates the account again",
        examples=["ABCDEFGH23456723"],
    )


class ProfileIn(Schema):
    """Name and phone number of the invited person."""

    name: ShortText = Field(examples=["李老师"])
    phone: Phone = Field(examples=["13800000000"])


class ActivationIn(Schema):
    """The activation code from the superior, and the invited person's password and profile."""

    login: Login = Field(examples=["li.laoshi"])
    activation_code: ActivationCode = Field(examples=["ABCDEFGH23456723"])
    password: Password = Field(examples=["春风又绿江南岸-明月何时"])
    profile: ProfileIn


class ActivationOut(BaseModel):
    """The URI for the authenticator app; shown only once."""

    otpauth_uri: str = Field(examples=["otpauth://totp/…"])


class ActivationConfirmationIn(Schema):
    """The first code of the authenticator app."""

    login: Login = Field(examples=["li.laoshi"])
    activation_code: ActivationCode = Field(examples=["ABCDEFGH23456723"])
    totp: Totp = Field(examples=["492039"])


class StaffMeOut(BaseModel):
    """The signed-in account."""

    account_id: UUID
    kind: AccountKindCode = Field(examples=["registrar"])
    login: str | None = Field(examples=["zz.school1"])
    display_name: str = Field(examples=["王老师"])
    org_id: UUID
    org_kind: Annotated[str, OneOf(UnitKind)] = Field(examples=["school"])
    org_name: str = Field(examples=["郑州市某某中等专业学校"])
    school_id: UUID | None
    counselor_id: UUID | None


def invitation_out(invitation: Invitation, unit: OrgUnit, public_url: str) -> InvitationOut:
    """An invitation to a unit as the API returns it."""
    account = invitation.account
    filled = {"login": account.login or "", "code": invitation.activation_code, "unit": unit.name}
    return InvitationOut(
        account_id=account.id,
        counselor_id=account.counselor_id,
        activation_code=invitation.activation_code,
        activation_link=f"{public_url}/c/activation#{urlencode(filled, quote_via=quote)}",
        expires_at=invitation.expires_at,
    )


def account_out(view: AccountView) -> AccountOut:
    """An account as the API returns it."""
    account, unit = view.account, view.unit
    return AccountOut(
        id=account.id,
        kind=account.kind,
        status=account.status,
        login=account.login,
        display_name=account.display_name,
        org_id=unit.id,
        org_name=unit.name,
        counselor_id=account.counselor_id,
        created_at=account.created_at,
        last_sign_in_at=view.last_sign_in_at,
        may_manage=view.may_manage,
        may_reset=view.may_reset,
    )


def staff_me_out(account: Account, unit: OrgUnit) -> StaffMeOut:
    """The signed-in account as the API returns it."""
    return StaffMeOut(
        account_id=account.id,
        kind=account.kind,
        login=account.login,
        display_name=account.display_name,
        org_id=unit.id,
        org_kind=unit.kind,
        org_name=unit.name,
        school_id=account.school_id,
        counselor_id=account.counselor_id,
    )


class ColleagueOut(BaseModel):
    """An active counselor of the school. `id` is the one to name as a stand-in."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str = Field(examples=["李老师"])
    classes: int = Field(description="现带班级数 · number of their classes", examples=[3])

"""Wire schemas of passkeys: the JSON forms of WebAuthn Level 3 (`toJSON`, `parseCreationOptionsFromJSON`) and the own list."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from backend.core.web.schema_types import Schema, ShortText
from backend.identity.accounts.schemas import Totp
from backend.identity.passkeys.ceremonies import ALGORITHMS
from backend.identity.passkeys.confirmation import SecondFactor
from backend.identity.passkeys.service import OpenCeremony
from backend.identity.passkeys.tables import Passkey
from backend.identity.sign_in.dpop import base64url
from backend.identity.sign_in.second_factor import ISSUER


def _base64url(max_length: int) -> Any:
    return StringConstraints(min_length=1, max_length=max_length, pattern=r"^[A-Za-z0-9_-]+$")


class _CredentialPart(Schema):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)


class AttestationResponseIn(_CredentialPart):
    """The response of a new credential. Only the first two fields are used."""

    client_data_json: Annotated[str, _base64url(4000)] = Field(
        alias="clientDataJSON", examples=["eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIn0"]
    )
    attestation_object: Annotated[str, _base64url(16_000)] = Field(examples=["o2NmbXRkbm9uZQ"])
    authenticator_data: Annotated[str, _base64url(8000)] | None = None
    public_key: Annotated[str, _base64url(4000)] | None = None
    public_key_algorithm: int | None = None
    transports: (
        Annotated[list[Annotated[str, StringConstraints(max_length=30)]], Field(max_length=10)] | None
    ) = None


class AssertionResponseIn(_CredentialPart):
    """The response of a credential that the account has."""

    client_data_json: Annotated[str, _base64url(4000)] = Field(
        alias="clientDataJSON", examples=["eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0"]
    )
    authenticator_data: Annotated[str, _base64url(8000)] = Field(examples=["SZYN5YgOjGh0NBcPZHZgW4"])
    signature: Annotated[str, _base64url(2000)] = Field(examples=["MEUCIQDTGVxh"])
    user_handle: Annotated[str, _base64url(100)] | None = None


class _CredentialIn(_CredentialPart):
    id: Annotated[str, _base64url(1400)] = Field(examples=["AQIDBAUGBwgJCgsMDQ4PEA"])
    raw_id: Annotated[str, _base64url(1400)] = Field(examples=["AQIDBAUGBwgJCgsMDQ4PEA"])
    type: Literal["public-key"] = Field(examples=["public-key"])
    authenticator_attachment: Literal["platform", "cross-platform"] | None = None
    client_extension_results: dict[str, Any] = Field(default_factory=dict, max_length=20)

    def to_json(self) -> dict[str, Any]:
        """The credential as the page sent it."""
        return self.model_dump(by_alias=True, exclude_none=True)


class NewCredentialIn(_CredentialIn):
    """`toJSON()` of the answer of `navigator.credentials.create()`."""

    response: AttestationResponseIn


class AssertionIn(_CredentialIn):
    """`toJSON()` of the answer of `navigator.credentials.get()`."""

    response: AssertionResponseIn


class SecondFactorIn(Schema):
    """A code of the authenticator app, or an assertion by a passkey that the account has."""

    totp: Totp | None = Field(default=None, examples=["492039"])
    passkey: AssertionIn | None = None

    @model_validator(mode="after")
    def _require_one(self) -> Self:
        if (self.totp is None) == (self.passkey is None):
            raise PydanticCustomError(
                "second_factor_missing",
                "send either a code or an assertion",
                {"zh": "请填写动态码，或使用通行密钥确认（只用一种）"},
            )
        return self

    def to_factor(self) -> SecondFactor:
        """The factor as the service takes it."""
        return SecondFactor(self.totp, None if self.passkey is None else self.passkey.to_json())


class PasskeyIn(SecondFactorIn):
    """A new passkey, its name, and the second factor that confirms it."""

    name: ShortText = Field(examples=["办公室电脑"])
    credential: NewCredentialIn


class PasskeyNameIn(Schema):
    """Another name of a passkey."""

    name: ShortText = Field(examples=["家里的手机"])


class PasskeySignInIn(Schema):
    """An assertion that signs in by itself."""

    credential: AssertionIn


class PasskeyOut(BaseModel):
    """An own passkey."""

    id: UUID
    name: str = Field(examples=["办公室电脑"])
    created_at: datetime
    used_at: datetime | None = Field(description="最近一次使用 · when it was last used")
    backed_up: bool = Field(
        description="是否在本人的设备间同步 · whether it is synchronised between the owner's devices"
    )


class _OptionsPart(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class PartyOut(_OptionsPart):
    """The deployment."""

    id: str = Field(examples=["dianming.example"])
    name: str = Field(examples=[ISSUER])


class PasskeyUserOut(_OptionsPart):
    """The account, as the authenticator shows it."""

    id: str = Field(description="账号编号的 base64url · the account id in base64url")
    name: str = Field(examples=["zz.school1"])
    display_name: str = Field(examples=["李老师"])


class AlgorithmOut(_OptionsPart):
    """A permitted algorithm (COSE)."""

    type: Literal["public-key"] = "public-key"
    alg: int = Field(examples=[-7])


class DescriptorOut(_OptionsPart):
    """A passkey of the account."""

    type: Literal["public-key"] = "public-key"
    id: str


class SelectionOut(_OptionsPart):
    """The passkey must be discoverable, and its device must verify the owner."""

    resident_key: Literal["required"] = "required"
    require_resident_key: bool = True
    user_verification: Literal["required"] = "required"


class CreationOptionsOut(_OptionsPart):
    """For `PublicKeyCredential.parseCreationOptionsFromJSON()`."""

    rp: PartyOut
    user: PasskeyUserOut
    challenge: str
    pub_key_cred_params: list[AlgorithmOut]
    timeout: int = Field(description="毫秒 · milliseconds", examples=[300_000])
    exclude_credentials: list[DescriptorOut]
    authenticator_selection: SelectionOut
    attestation: Literal["none"] = "none"


class RequestOptionsOut(_OptionsPart):
    """For `PublicKeyCredential.parseRequestOptionsFromJSON()`."""

    challenge: str
    timeout: int = Field(description="毫秒 · milliseconds", examples=[300_000])
    rp_id: str = Field(examples=["dianming.example"])
    allow_credentials: list[DescriptorOut] = Field(
        description="登录时为空：由浏览器列出 · empty for a sign-in: the browser lists them"
    )
    user_verification: Literal["required"] = "required"


def passkey_out(row: Passkey) -> PasskeyOut:
    """An own passkey as the API returns it."""
    return PasskeyOut(
        id=row.id, name=row.name, created_at=row.created_at, used_at=row.used_at, backed_up=row.backed_up
    )


def creation_options_out(opened: OpenCeremony) -> CreationOptionsOut:
    """The options of a registration."""
    assert opened.account_id is not None
    return CreationOptionsOut(
        rp=PartyOut(id=opened.party_id, name=ISSUER),
        user=PasskeyUserOut(
            id=base64url(opened.account_id.bytes), name=opened.login, display_name=opened.display_name
        ),
        challenge=base64url(opened.challenge),
        pub_key_cred_params=[AlgorithmOut(alg=each) for each in ALGORITHMS],
        timeout=opened.timeout_ms,
        exclude_credentials=_describe(opened),
        authenticator_selection=SelectionOut(),
    )


def request_options_out(opened: OpenCeremony) -> RequestOptionsOut:
    """The options of an assertion."""
    return RequestOptionsOut(
        challenge=base64url(opened.challenge),
        timeout=opened.timeout_ms,
        rp_id=opened.party_id,
        allow_credentials=_describe(opened),
    )


def _describe(opened: OpenCeremony) -> list[DescriptorOut]:
    return [DescriptorOut(id=base64url(each)) for each in opened.credential_ids]

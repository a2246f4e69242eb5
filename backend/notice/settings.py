"""Settings of the notice package."""

import re
from functools import lru_cache

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from backend.notice.errors import SmsTemplateUnknown

_PUSH_KEY = re.compile(r"[A-Za-z0-9_-]{43}=?")


class NoticeSettings(BaseSettings):
    """`DIANMING_SMS_*`, `DIANMING_REAL_NAME_URL` and `DIANMING_PUSH_*`; the defaults fit the fake gateway, without push."""

    model_config = SettingsConfigDict(env_prefix="DIANMING_", extra="ignore")

    sms_provider: str = Field(default="aliyun", description="a key of `sms.providers.PROVIDERS`")
    sms_sign_name: str = Field(
        default="点名核验", description="the signature (签名) registered with the provider"
    )
    sms_templates: dict[str, str] = Field(
        default={
            "one_time_code": "SMS_100000001",
            "notice": "SMS_100000002",
            "standing": "SMS_100000003",
            "guardian_leave": "SMS_100000004",
            "guardian_leave_limit": "SMS_100000005",
            "phone_change": "SMS_100000006",
            "guardian_miss": "SMS_100000007",
            "guardian_warning": "SMS_100000008",
            "guardian_prompt": "SMS_100000009",
        },
        description="registered template code of each logical template name",
    )
    real_name_url: str | None = Field(
        default=None, description="endpoint of the real-name check if it is not the SMS gateway's"
    )
    push_private_key: SecretStr | None = Field(
        default=None,
        description="private key of web push (VAPID): the 32 bytes of a P-256 key in base64url. Absent: web push is off",
    )
    push_contact: str = Field(
        default="mailto:admin@localhost",
        description="mailto: or https: address at which push services reach the operator (RFC 8292)",
    )
    push_hosts: tuple[str, ...] = Field(
        default=(
            "fcm.googleapis.com",
            "updates.push.services.mozilla.com",
            "*.push.apple.com",
            "*.notify.windows.com",
        ),
        description="hosts of push services to which this server may send; `*.` stands for any subdomain",
    )

    @field_validator("push_private_key")
    @classmethod
    def _check_push_key(cls, value: SecretStr | None) -> SecretStr | None:
        """Refuse a key of another form when the process starts, without printing it."""
        if value is not None and not _PUSH_KEY.fullmatch(value.get_secret_value()):
            raise ValueError("DIANMING_PUSH_PRIVATE_KEY is not 32 bytes in base64url")
        return value

    def template_code(self, name: str) -> str:
        """The registered code of a logical template; raises `SmsTemplateUnknown`."""
        try:
            return self.sms_templates[name]
        except KeyError as error:
            raise SmsTemplateUnknown(name=name) from error


@lru_cache(maxsize=1)
def get_notice_settings() -> NoticeSettings:
    """The settings of this process."""
    return NoticeSettings()

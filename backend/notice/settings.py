"""Settings of the notice package."""

from functools import lru_cache

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from backend.notice.errors import SmsTemplateUnknown


class NoticeSettings(BaseSettings):
    """`DIANMING_SMS_*` and `DIANMING_REAL_NAME_URL`; the defaults fit the fake gateway."""

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

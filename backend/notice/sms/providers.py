"""The SMS provider of this process, chosen by `DIANMING_SMS_PROVIDER`."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from backend.core.app_context import AppContext
from backend.notice.errors import SmsProviderUnknown
from backend.notice.settings import get_notice_settings
from backend.notice.sms.aliyun import AliyunSms
from backend.notice.sms.port import SmsProvider
from backend.settings import Settings

PROVIDERS: Mapping[str, Callable[[Settings], SmsProvider]] = MappingProxyType({"aliyun": AliyunSms.of})


def sms_provider(app_context: AppContext) -> SmsProvider:
    """Make the configured provider; use it as `app_context.service(sms_provider)`. Raises `SmsProviderUnknown`."""
    name = get_notice_settings().sms_provider
    if name not in PROVIDERS:
        raise SmsProviderUnknown(name=name, known=", ".join(sorted(PROVIDERS)))
    return PROVIDERS[name](app_context.settings)

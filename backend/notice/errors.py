"""Errors of sending SMS and of the real-name check."""

from backend.core.errors import DomainError


class GatewayUnreachable(DomainError):
    """The gateway did not answer, or not in its protocol. Whether it acted is unknown."""

    code = "gateway_unreachable"
    status = 503
    zh = "短信或实名网关暂时无法使用：{reason}。请稍后重试。"
    en = "The SMS or real-name gateway is unavailable: {reason}. Try again later."


class FakeGatewayRefused(GatewayUnreachable):
    """A production process was configured with the fake gateway."""

    code = "fake_gateway_refused"


class GatewayRefused(DomainError):
    """The gateway answered with an error code."""

    code = "gateway_refused"
    status = 502
    zh = "网关拒绝了请求（{gateway_code}）：{reason}"
    en = "The gateway refused the request ({gateway_code}): {reason}"


class SmsProviderUnknown(DomainError):
    """`DIANMING_SMS_PROVIDER` names no provider."""

    code = "sms_provider_unknown"
    status = 500
    zh = "没有名为“{name}”的短信服务商，请把 DIANMING_SMS_PROVIDER 设为：{known}。"
    en = "There is no SMS provider “{name}”; set DIANMING_SMS_PROVIDER to one of: {known}."


class SmsTemplateUnknown(DomainError):
    """No registered template code is configured for a logical template name."""

    code = "sms_template_unknown"
    status = 500
    zh = "短信模板“{name}”没有配置模板编码，请在 DIANMING_SMS_TEMPLATES 中填写。"
    en = "The SMS template “{name}” has no registered code; add it to DIANMING_SMS_TEMPLATES."


class SmsStillQueued(DomainError):
    """The gateway deferred some messages of the slice; the job runs again later."""

    code = "sms_still_waiting"
    status = 503
    zh = "还有 {count} 条短信等待重发。"
    en = "{count} SMS are still queued and will be sent again."


class PushUnavailable(DomainError):
    """The deployment has no keys for web push."""

    code = "push_unavailable"
    status = 409
    zh = "本系统没有开启浏览器通知；通知仍在“消息”中，重要的另发短信。"
    en = "Browser notifications are switched off here; notices stay in the inbox, and important ones come by SMS too."


class PushServiceUnknown(DomainError):
    """The address of a push subscription is not at a known push service (`DIANMING_PUSH_HOSTS`)."""

    code = "push_service_unknown"
    status = 422
    zh = "这个浏览器的通知服务不在允许的名单里，请在“消息”中查看通知，或换一个浏览器。"
    en = "The push service of this browser is not on the list; read notices in the inbox, or use another browser."


class PushKeysInvalid(DomainError):
    """The public keys of a push subscription are none of the P-256 curve and of 16 bytes (RFC 8291)."""

    code = "push_keys_invalid"
    status = 422
    zh = "浏览器通知的密钥无效，请关闭后重新开启。"
    en = "The keys of the push subscription are invalid; switch notifications off and on again."


class PushStillQueued(DomainError):
    """Push services deferred some messages of the slice; the job runs again later."""

    code = "push_still_waiting"
    status = 503
    zh = "还有 {count} 条浏览器通知等待重发。"
    en = "{count} push messages are still queued and will be sent again."

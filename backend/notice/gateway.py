"""The clients of the SMS gateway, one of each kind a process."""

from backend.core.app_context import AppContext
from backend.notice.aliyun import AliyunRealName, AliyunRpc, AliyunSms, Endpoint
from backend.notice.settings import get_notice_settings


def sms_client(app_context: AppContext) -> AliyunSms:
    """A client that sends SMS and asks what became of them."""
    return AliyunSms(AliyunRpc(Endpoint.of(app_context.settings)))


def real_name_client(app_context: AppContext) -> AliyunRealName:
    """A client of the real-name check (实名核验)."""
    return AliyunRealName(AliyunRpc(Endpoint.of(app_context.settings, get_notice_settings().real_name_url)))

"""The gateway's clients of a process, made from its settings on first use and kept in `Runtime.extras`."""

from backend.core.runtime import Runtime
from backend.notice.aliyun import AliyunRealName, AliyunRpc, AliyunSms, Endpoint
from backend.notice.settings import get_notice_settings


def sms_of(runtime: Runtime) -> AliyunSms:
    """The process's SMS client."""
    if "sms" not in runtime.extras:
        runtime.extras["sms"] = AliyunSms(AliyunRpc(Endpoint.of(runtime.settings)))
    client: AliyunSms = runtime.extras["sms"]
    return client


def real_name_of(runtime: Runtime) -> AliyunRealName:
    """The process's real-name client."""
    if "real_name" not in runtime.extras:
        endpoint = Endpoint.of(runtime.settings, get_notice_settings().real_name_url)
        runtime.extras["real_name"] = AliyunRealName(AliyunRpc(endpoint))
    client: AliyunRealName = runtime.extras["real_name"]
    return client


async def close_gateway(runtime: Runtime) -> None:
    """Close what `sms_of` and `real_name_of` opened; call it before `Runtime.close`."""
    for name in ("sms", "real_name"):
        client: AliyunSms | AliyunRealName | None = runtime.extras.pop(name, None)
        if client is not None:
            await client.aclose()

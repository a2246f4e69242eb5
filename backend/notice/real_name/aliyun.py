"""Aliyun's two-factor real-name check (身份二要素核验, Cloudauth 2019-03-07)."""

from typing import Literal

import structlog

from backend.core.app_context import AppContext
from backend.notice.aliyun_rpc import AliyunRpc, Endpoint
from backend.notice.errors import GatewayUnreachable
from backend.notice.settings import get_notice_settings

log = structlog.get_logger()

VERSION = "2019-03-07"
MATCH, MISMATCH, NOT_ON_RECORD = "1", "2", "3"

RealNameAnswer = Literal["match", "mismatch", "unavailable"]


class AliyunRealName:
    """Asks whether a name and an ID number belong together."""

    def __init__(self, rpc: AliyunRpc) -> None:
        self._rpc = rpc

    async def aclose(self) -> None:
        """Close the connections."""
        await self._rpc.aclose()

    async def verify(self, name: str, id_number: str) -> RealNameAnswer:
        """Return `match`, `mismatch` (also for an unknown number), or `unavailable` without a usable answer."""
        query = {"ParamType": "normal", "IdentifyNum": id_number, "UserName": name}
        try:
            answer = await self._rpc.call("Id2MetaVerify", VERSION, query)
        except GatewayUnreachable as error:
            log.warning("real-name check unavailable", reason=error.params["reason"])
            return "unavailable"
        result = answer.get("ResultObject")
        biz_code = str(result.get("BizCode")) if isinstance(result, dict) else None
        if str(answer.get("Code")) == "200" and biz_code == MATCH:
            return "match"
        if str(answer.get("Code")) == "200" and biz_code in {MISMATCH, NOT_ON_RECORD}:
            return "mismatch"
        log.warning("real-name check unavailable", code=str(answer.get("Code")), biz_code=biz_code)
        return "unavailable"


def real_name_client(app_context: AppContext) -> AliyunRealName:
    """Make the client; use it as `app_context.service(...)`, so that the process has one."""
    return AliyunRealName(AliyunRpc(Endpoint.of(app_context.settings, get_notice_settings().real_name_url)))

"""The documented protocols, against the fake gateway over a real socket."""

import json
from dataclasses import replace

import httpx
import pytest

from backend.core.app_context import AppContext
from backend.notice.aliyun_rpc import FAKE_HEADER, AliyunRpc, Endpoint, sign
from backend.notice.errors import FakeGatewayRefused, GatewayUnreachable
from backend.notice.real_name.aliyun import AliyunRealName
from backend.notice.sms.aliyun import AliyunSms
from backend.notice.sms.port import Refused, Sent, Sms
from tests.notice.conftest import Clock, Served

TEXT = Sms("点名核验", "SMS_100000002", {"deadline": "18:00"}, "out-1")
VALID_ID = "11010519491231002X"
"""The example of GB 11643 itself."""


def endpoint(served: Served, *, secret: str = "demo-secret", production: bool = False) -> Endpoint:
    return Endpoint(served.url, "demo", secret, refuses_fake=production)


def test_signature_matches_the_documented_example() -> None:
    documented = {
        "AccessKeyId": "testId",
        "Action": "SendSms",
        "Format": "XML",
        "OutId": "123",
        "PhoneNumbers": "15300000001",
        "RegionId": "cn-hangzhou",
        "SignName": "阿里云短信测试专用",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureNonce": "45e25e9b-0a6f-4070-8c85-2956eda1b466",
        "SignatureVersion": "1.0",
        "TemplateCode": "SMS_71390007",
        "TemplateParam": '{"customer":"test"}',
        "Timestamp": "2017-07-12T02:42:19Z",
        "Version": "2017-05-25",
    }
    assert sign("GET", documented, "testSecret") == "zJDF+Lrzhj/ThnlvIToysFRq6t4="


async def test_message_arrives_with_template_and_out_id(served: Served, sms: AliyunSms) -> None:
    outcome = await sms.send(["13800000001"], TEXT)
    [message] = await served.inbox("13800000001")
    assert outcome == Sent(str(message["biz_id"]))
    assert (message["template_code"], message["params"]) == ("SMS_100000002", {"deadline": "18:00"})
    assert (message["sign_name"], message["out_id"]) == ("点名核验", "out-1")


async def test_batch_is_sent_in_one_request(served: Served, sms: AliyunSms) -> None:
    phones = [f"138000001{number:02d}" for number in range(100)]
    assert isinstance(await sms.send(phones, TEXT), Sent)
    assert served.gateway.requests == ["SendBatchSms"]
    assert all([len(await served.inbox(phone)) == 1 for phone in phones])


async def test_wrong_secret_is_refused(served: Served, clock: Clock) -> None:
    stranger = AliyunSms(AliyunRpc(endpoint(served, secret="guess"), clock))
    assert await stranger.send(["13800000002"], TEXT) == Refused("SignatureDoesNotMatch")
    assert await served.inbox("13800000002") == []
    await stranger.aclose()


async def test_replayed_request_is_refused(served: Served, clock: Clock) -> None:
    signed = AliyunRpc(endpoint(served), clock)._sign_parameters(
        {
            "Action": "SendSms",
            "Version": "2017-05-25",
            "PhoneNumbers": "13800000003",
            "SignName": "点名核验",
            "TemplateCode": "SMS_1",
        }
    )
    async with httpx.AsyncClient() as http:
        first, second = [(await http.post(served.url, data=signed)).json()["Code"] for _ in range(2)]
    assert (first, second) == ("OK", "SignatureNonceUsed")
    assert len(await served.inbox("13800000003")) == 1


async def test_malformed_number_is_refused_permanently(sms: AliyunSms) -> None:
    outcome = await sms.send(["not-a-number"], TEXT)
    assert outcome == Refused("isv.MOBILE_NUMBER_ILLEGAL", permanent=True, affects_one_number=True)
    assert outcome.permanent


async def test_sent_messages_are_found_by_out_id_only(sms: AliyunSms, clock: Clock) -> None:
    await sms.send(["13800000004"], TEXT)
    assert await sms.find_sent("13800000004", "out-1", clock())
    assert not await sms.find_sent("13800000004", "out-2", clock())
    assert not await sms.find_sent("13800000005", "out-1", clock())


async def test_closed_port_raises_gateway_unreachable(clock: Clock) -> None:
    nobody = AliyunSms(AliyunRpc(Endpoint("http://127.0.0.1:9", "demo", "x", refuses_fake=False), clock))
    with pytest.raises(GatewayUnreachable):
        await nobody.send(["13800000006"], TEXT)
    await nobody.aclose()


async def test_every_answer_of_the_fake_carries_the_fake_header(served: Served) -> None:
    async with httpx.AsyncClient() as http:
        answers = [
            await http.post(served.url, data={}),
            await http.get(f"{served.url}/inbox/1"),
            await http.get(f"{served.url}/nowhere"),
        ]
    assert [answer.headers[FAKE_HEADER] for answer in answers] == ["true"] * 3


async def test_production_refuses_the_fake_gateway_and_logs_it(
    served: Served, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    production = AliyunRpc(endpoint(served, production=True), clock)
    with pytest.raises(FakeGatewayRefused):
        await AliyunSms(production).send(["13800000007"], TEXT)
    written = capsys.readouterr()
    assert "THE GATEWAY IS FAKE" in written.out + written.err
    assert await AliyunRealName(production).verify("张三", VALID_ID) == "unavailable"
    await production.aclose()


async def test_only_production_refuses_the_fake(app_context: AppContext) -> None:
    production = app_context.settings.model_copy(update={"env": "production"})
    assert Endpoint.of(production).refuses_fake
    assert not Endpoint.of(app_context.settings).refuses_fake


@pytest.mark.parametrize(
    ("number", "verdict"),
    [(VALID_ID, "match"), ("110105194912310021", "unavailable")],
)
async def test_real_name_check_returns_the_answer_of_the_authority(
    served: Served, clock: Clock, number: str, verdict: str
) -> None:
    real_name = AliyunRealName(AliyunRpc(endpoint(served), clock))
    assert await real_name.verify("张三", number) == verdict
    await real_name.aclose()


async def test_name_of_another_person_is_a_mismatch(served: Served, clock: Clock) -> None:
    served.gateway.mismatching = "X"
    real_name = AliyunRealName(AliyunRpc(endpoint(served), clock))
    assert await real_name.verify("张三", VALID_ID) == "mismatch"
    await real_name.aclose()


async def test_unreachable_real_name_check_is_unavailable(served: Served, clock: Clock) -> None:
    down = replace(endpoint(served), url="http://127.0.0.1:9")
    real_name = AliyunRealName(AliyunRpc(down, clock))
    assert await real_name.verify("张三", VALID_ID) == "unavailable"
    await real_name.aclose()


def test_requests_do_not_contain_the_secret(served: Served, clock: Clock) -> None:
    signed = AliyunRpc(endpoint(served), clock)._sign_parameters({"Action": "SendSms"})
    assert "demo-secret" not in json.dumps(signed)

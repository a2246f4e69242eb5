"""Authentication of phone requests: token, proof of its key, key and account, in one round trip (THREATS 7 and 8, invariant 12)."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select

from backend.core.tenancy import Scope
from backend.demo.phone import Phone
from backend.identity.devices.tasks import purge_expired
from backend.identity.tables import DpopProof
from tests.support.identity.scenario import IdentityScenario, problem_code
from tests.support.identity.staff_user import create_staff_user
from tests.support.province import PROVINCE_PATH

pytestmark = pytest.mark.clause("HN334-3.1")


def sign_request(phone: Phone, path: str = "/v1/me") -> dict[str, str]:
    assert phone.token is not None
    return {"Authorization": f"DPoP {phone.token}", "DPoP": phone.proof("GET", path, phone.token)}


async def test_a_stolen_token_is_useless_without_its_key(scenario: IdentityScenario) -> None:
    owner, thief = await scenario.bind_phone(scenario.school.students[0]), scenario.phone()
    thief.token = owner.token
    refused = await thief.get("/v1/me")
    assert (refused.status_code, problem_code(refused.text)) == (401, "proof_invalid")
    assert refused.headers["www-authenticate"] == 'DPoP error="invalid_dpop_proof"'
    bearer = await scenario.mobile.get("/v1/me", headers={"Authorization": f"Bearer {owner.token}"})
    assert problem_code(bearer.text) == "token_missing"


async def test_a_token_cannot_be_used_by_another_bound_phone(scenario: IdentityScenario) -> None:
    first = await scenario.bind_phone(scenario.school.students[0])
    second = await scenario.bind_phone(scenario.school.students[1])
    second.token = first.token
    assert problem_code((await second.get("/v1/me")).text) == "proof_invalid"


async def test_a_replayed_proof_is_refused(scenario: IdentityScenario) -> None:
    headers = sign_request(await scenario.bind_phone(scenario.school.students[0]))
    assert (await scenario.mobile.get("/v1/me", headers=headers)).status_code == 200
    replayed = await scenario.mobile.get("/v1/me", headers=headers)
    assert (replayed.status_code, problem_code(replayed.text)) == (401, "proof_replayed")


async def test_twenty_parallel_uses_of_one_proof_take_effect_once(scenario: IdentityScenario) -> None:
    headers = sign_request(await scenario.bind_phone(scenario.school.students[0]))
    answers = await asyncio.gather(*(scenario.mobile.get("/v1/me", headers=headers) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19


async def test_a_proof_is_used_up_even_by_a_failing_request(scenario: IdentityScenario) -> None:
    phone = await scenario.bind_phone(scenario.school.students[0])
    assert phone.token is not None
    path = "/v1/me/record/checks"
    headers = {"Authorization": f"DPoP {phone.token}", "DPoP": phone.proof("POST", path, phone.token)}
    wrong = {"result": "wrong"}
    assert (await scenario.mobile.post(path, headers=headers, json=wrong)).status_code == 422
    again = await scenario.mobile.post(path, headers=headers, json={"result": "confirmed"})
    assert problem_code(again.text) == "proof_replayed"


async def test_a_request_with_two_proofs_is_refused(scenario: IdentityScenario) -> None:
    phone = await scenario.bind_phone(scenario.school.students[0])
    assert phone.token is not None
    proofs = [("DPoP", phone.proof("GET", "/v1/me", phone.token)) for _ in range(2)]
    headers = [("Authorization", f"DPoP {phone.token}"), *proofs]
    assert problem_code((await scenario.mobile.get("/v1/me", headers=headers)).text) == "proof_invalid"


async def test_an_expired_token_is_renewed_with_the_key_alone(scenario: IdentityScenario) -> None:
    phone = await scenario.bind_phone(scenario.school.students[0])
    scenario.clock.offset = timedelta(minutes=10)
    expired = await scenario.mobile.get("/v1/me", headers=sign_request(phone))
    assert problem_code(expired.text) == "token_expired"
    assert (await phone.get("/v1/me")).status_code == 200


async def test_a_proof_from_a_wrong_clock_is_told_the_server_time(scenario: IdentityScenario) -> None:
    phone = await scenario.bind_phone(scenario.school.students[0])

    def slow() -> float:
        return scenario.clock.seconds() - 300

    phone.clock = slow
    refused = await phone.get("/v1/me")
    assert (refused.status_code, problem_code(refused.text)) == (401, "proof_clock_wrong")
    told = datetime.fromisoformat(refused.json()["server_time"])
    correction = told.timestamp() - slow()
    phone.clock = lambda: slow() + correction
    assert (await phone.get("/v1/me")).status_code == 200


async def test_an_unbound_key_gets_no_token(scenario: IdentityScenario) -> None:
    refused = await scenario.phone().prove("POST", "/v1/token")
    assert (refused.status_code, problem_code(refused.text)) == (401, "key_revoked")


async def test_a_revoked_phone_is_refused_at_its_next_request(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    phone, registrar = (
        await scenario.bind_phone(student),
        await create_staff_user(scenario, "registrar", scenario.school.id),
    )
    path = f"/v1/students/{student.id}/device/revocation"
    assert (await registrar.post(path, {"reason": "手机丢失"})).status_code == 204
    phone.clock = scenario.clock.seconds
    assert problem_code((await phone.get("/v1/me")).text) == "key_revoked"
    assert problem_code((await registrar.post(path, {"reason": "手机丢失"})).text) == "conflict"
    replacement = await scenario.bind_phone(student)
    assert (await replacement.get("/v1/me")).json()["cool_down_until"] is not None


async def test_authentication_takes_one_round_trip(
    scenario: IdentityScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = await scenario.bind_phone(scenario.school.students[0])
    statements: list[Any] = []
    execute = psycopg.AsyncCursor.execute

    async def note(cursor: psycopg.AsyncCursor[Any], statement: Any, *rest: Any, **more: Any) -> Any:
        statements.append(statement)
        return await execute(cursor, statement, *rest, **more)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", note)
    await phone.prove("POST", "/v1/token")
    # A connection that is long in use drops its plans once; that is not a part of the request.
    own = [each for each in statements if each != "DISCARD PLANS"]
    assert [b"use_proof" in each for each in own] == [True]


async def test_proofs_are_deleted_only_when_too_old_to_be_accepted(scenario: IdentityScenario) -> None:
    phone = await scenario.bind_phone(scenario.school.students[0])
    context = type("Context", (), {"additional_context": {"app_context": scenario.app_context}})()

    async def count_proofs() -> int:
        query = select(func.count()).select_from(DpopProof).where(DpopProof.jkt == phone.thumbprint)
        async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
            return await session.scalar(query) or 0

    before = await count_proofs()
    scenario.clock.offset = timedelta(minutes=11)
    await purge_expired(context, 0)
    assert await count_proofs() == before > 0
    scenario.clock.offset = timedelta(minutes=13)
    await purge_expired(context, 0)
    assert await count_proofs() == 0

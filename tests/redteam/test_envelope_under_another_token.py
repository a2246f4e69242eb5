"""A classmate sends an own envelope with another student's access token, and another's envelope with the own token."""

from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.roll_call.envelope import TYPE
from tests.support.roll_call.mobile_client import MobileClient, envelope_path, open_mobile_client
from tests.support.roll_call.student_phone import StudentWithPhone, make_envelope_content, render_burst

pytestmark = pytest.mark.clause("HN334-3.4")
EXPECTED = "refused: proof_invalid"


@pytest.fixture
async def api(app_context: AppContext, owner: Database) -> AsyncIterator[MobileClient]:
    async with open_mobile_client(app_context, owner) as api:
        yield api


@pytest.fixture
async def students(api: MobileClient) -> list[StudentWithPhone]:
    return [await api.scenario.activate(api.scenario.school.students[n]) for n in range(2)]


def verdict(answer: httpx.Response) -> str:
    return "accepted" if answer.is_success else f"refused: {answer.json()['code']}"


async def test_attack_with_a_stolen_token(api: MobileClient, students: list[StudentWithPhone]) -> None:
    victim, thief = students
    roll_call_id = (await api.scenario.launch()).roll_call.id
    nonce = (await api.challenge(victim, roll_call_id)).json()["nonce"]
    thief.phone.token, thief.phone.clock = api.issue_token(victim), victim.phone.clock
    content = make_envelope_content(roll_call_id, nonce, render_burst(thief.person))
    forged = thief.phone.sign_with_proof(content, envelope_path(roll_call_id), typ=TYPE)
    assert verdict(await api.envelope_alone(thief, roll_call_id, forged)) == EXPECTED
    relabelled = thief.phone.sign(
        victim.phone.proof_claims("POST", envelope_path(roll_call_id), thief.phone.token) | content,
        typ=TYPE,
        jwk=victim.phone.jwk,
    )
    answer = await api.envelope_alone(thief, roll_call_id, relabelled)
    assert verdict(answer) == "refused: proof_signature_wrong"
    await assert_nothing_happened(api, students)


async def test_attack_with_a_stolen_envelope(api: MobileClient, students: list[StudentWithPhone]) -> None:
    victim, thief = students
    roll_call_id = (await api.scenario.launch()).roll_call.id
    stolen = await api.signed_with_proof(victim, roll_call_id)
    api.issue_token(thief)
    assert verdict(await api.envelope_alone(thief, roll_call_id, stolen)) == EXPECTED
    await assert_nothing_happened(api, students)


async def test_attack_with_an_envelope_in_place_of_a_proof(
    api: MobileClient, students: list[StudentWithPhone]
) -> None:
    """The envelope carries the claims of a proof, but it is none for any other request, and a proof is no envelope."""
    victim, _ = students
    roll_call_id = (await api.scenario.launch()).roll_call.id
    path, token = envelope_path(roll_call_id), api.issue_token(victim)
    envelope = await api.signed_with_proof(victim, roll_call_id)
    headers = {"Authorization": f"DPoP {victim.phone.token}", "DPoP": envelope}
    other = await api.http.post(path, headers=headers, json={"envelope": envelope})
    assert verdict(other) == EXPECTED
    proof = victim.phone.proof("POST", path, token)
    victim.phone.token = token
    assert verdict(await api.envelope_alone(victim, roll_call_id, proof)) == EXPECTED
    await assert_nothing_happened(api, students)


async def assert_nothing_happened(api: MobileClient, students: list[StudentWithPhone]) -> None:
    for student in students:
        assert await api.scenario.count_submissions(student) == 0
        assert await api.scenario.load_refusals(student) == []


async def test_attack_with_changed_content(api: MobileClient, students: list[StudentWithPhone]) -> None:
    victim, _ = students
    first: UUID = (await api.scenario.launch()).roll_call.id
    envelope = await api.signed_with_proof(victim, first)
    head, _, signature = envelope.split(".")
    other = await api.signed_with_proof(victim, first)
    swapped = ".".join((head, other.split(".")[1], signature))
    answer = await api.envelope_alone(victim, first, swapped)
    assert verdict(answer) == "refused: proof_signature_wrong"
    await assert_nothing_happened(api, students)

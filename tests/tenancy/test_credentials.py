"""Revoked credentials, and claims of a request about itself that must have no effect."""

from typing import Any

import pytest

from backend.demo.phone import Phone
from tests.support.identity.staff_user import PASSWORD, create_staff_user
from tests.support.roll_call.student_phone import envelope, render_burst
from tests.tenancy.fixtures import HeaderClient, StaffMember, TenancyScenario
from tests.tenancy.matrix import MOBILE, STAFF
from tests.tenancy.requests import own_ids, send_row
from tests.tenancy.rows import Computed, Row

pytestmark = pytest.mark.xdist_group("tenancy")  # the scenario takes seconds to create: use one process

FORGED_HEADERS = {
    "X-Forwarded-For": "10.0.0.1, 127.0.0.1",
    "X-Real-IP": "127.0.0.1",
    "Forwarded": "for=127.0.0.1;host=elsewhere;proto=https",
    "X-Forwarded-Host": "elsewhere.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Prefix": "/admin",
    "X-Original-URL": "/v1/accounts",
}
UNEXPECTED_FIELDS = {"verdict": "present", "result": "present", "is_admin": True, "liveness": 1}


async def test_disabled_account_is_rejected_at_its_next_request(scenario: TenancyScenario) -> None:
    staff_user = await create_staff_user(scenario.identity, "registrar", scenario.world.sister.id)
    member = StaffMember(staff_user, scenario.staff)
    assert (await member.request("GET", "/v1/me")).status_code == 200
    path = f"/v1/accounts/{staff_user.account_id}/disable"
    assert (await scenario.clients["bureau"].request("POST", path, json={"reason": "离职"})).is_success
    refused = await member.request("GET", "/v1/me")
    assert refused.status_code == 401
    assert (await staff_user.refresh(staff_user.tokens["refresh_token"])).status_code == 401
    assert (await staff_user.sign_in()).status_code == 401


async def test_revoked_phone_is_rejected_at_its_next_request(scenario: TenancyScenario) -> None:
    pupil = scenario.world.sister.students[0]
    phone = await scenario.identity.bind_phone(pupil)
    assert (await phone.get("/v1/me")).status_code == 200
    path = f"/v1/students/{pupil.id}/device/revocation"
    revoked = await scenario.clients["other_registrar"].request("POST", path, json={"reason": "手机丢失"})
    assert revoked.status_code == 204
    assert (await phone.get("/v1/me")).status_code == 401
    assert (await phone.prove("POST", "/v1/token")).status_code == 401


async def test_forged_addresses_have_no_effect(scenario: TenancyScenario) -> None:
    plain = await scenario.clients["registrar"].request("GET", "/v1/accounts")
    forged = await scenario.clients["registrar"].request("GET", "/v1/accounts", headers=FORGED_HEADERS)
    assert (plain.status_code, plain.content) == (forged.status_code, forged.content)
    plain = await scenario.phone.get("/v1/me")
    forged = await scenario.phone.get("/v1/me", headers=FORGED_HEADERS)
    assert (plain.status_code, plain.content) == (forged.status_code, forged.content)


async def test_proof_for_another_host_fails_despite_forged_headers(scenario: TenancyScenario) -> None:
    phone = scenario.phone
    misdirected = Phone(scenario.mobile, public_url="https://elsewhere.example/mobile", clock=phone.clock)
    misdirected.key, misdirected.token = phone.key, phone.token
    assert (
        await misdirected._send_authorized("GET", "/v1/me", {"headers": FORGED_HEADERS})
    ).status_code == 401


async def test_guesses_from_changing_addresses_are_counted_together(scenario: TenancyScenario) -> None:
    victim = await create_staff_user(scenario.identity, "counselor", scenario.world.sister.id)
    statuses = []
    for guess in range(20):
        forged = HeaderClient(scenario.staff, {"X-Forwarded-For": f"10.0.0.{guess}"})
        body = {"login": victim.login, "password": "猜" * 12, "totp": "000000"}
        statuses.append((await forged.request("POST", "/v1/sessions", json=body)).status_code)
    assert statuses[0] == 401
    assert statuses[-1] == 429
    right = {"login": victim.login, "password": PASSWORD, "totp": victim.totp()}
    fresh = HeaderClient(scenario.staff, {"X-Forwarded-For": "192.0.2.1"})
    assert (await fresh.request("POST", "/v1/sessions", json=right)).status_code == 429


def find_allowed_role(row: Row) -> str:
    """Return a role that the row allows."""
    roles: tuple[str, ...] = (
        (row.client_of_phone(),) if row in MOBILE else ("province", "bureau", "registrar", "counselor")
    )
    return next((role for role in roles if row.expected(role)[0] in "o2"), roles[0])


WITH_BODY = [row for row in (*STAFF, *MOBILE) if isinstance(row.body, dict | Computed)]


@pytest.mark.parametrize("row", WITH_BODY, ids=lambda row: row.name)
@pytest.mark.parametrize("unexpected_field", UNEXPECTED_FIELDS)
async def test_unexpected_field_is_rejected_by_name(
    scenario: TenancyScenario, row: Row, unexpected_field: str
) -> None:
    class ClientWithExtraField:
        async def request(self, method: str, path: str, **options: Any) -> Any:
            options["json"] = {**options["json"], unexpected_field: UNEXPECTED_FIELDS[unexpected_field]}
            return await scenario.clients[role].request(method, path, **options)

    role = find_allowed_role(row)
    answer = await send_row(scenario, ClientWithExtraField(), row, own_ids(scenario, role))
    assert answer.status_code == 422, answer.text
    assert [f"body.{unexpected_field}"] == [each["field"] for each in answer.json()["errors"]]


async def test_claims_inside_a_signed_envelope_have_no_effect(scenario: TenancyScenario) -> None:
    phone, roll_call = scenario.phone, scenario.records["school"]["roll_call"]
    path = f"/v1/roll-calls/{roll_call}"
    nonce = (await phone.post(f"{path}/challenges")).json()["nonce"]
    claimed = {"claims": {**UNEXPECTED_FIELDS, "inside": True}}
    signed = envelope(
        scenario.enrolled_student,
        roll_call,
        nonce,
        render_burst(scenario.enrolled_student.person, 10),
        **claimed,
    )
    assert (await phone.post(f"{path}/envelopes", json={"envelope": signed})).status_code == 201
    assert (await phone.get(path)).json()["outcome"] is None
    attempts = (await phone.get(f"{path}/attempts")).json()
    assert {each["finding"] for each in attempts["submissions"]} == {None}

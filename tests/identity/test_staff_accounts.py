"""Staff accounts: created by the direct superior, disabled with immediate effect (HN334-2.3, 3.2)."""

import asyncio
from uuid import UUID

import pytest

from backend.core.errors import Conflict
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.identity.accounts.staff_accounts import Invitation, InviteAccount, invite_first_account
from backend.identity.policy import province_policy
from backend.org.tables import OrgUnit
from tests.support.identity.scenario import IdentityScenario, problem_code
from tests.support.identity.staff_user import StaffUser, create_staff_user, new_login

pytestmark = [pytest.mark.clause("HN334-2.3"), pytest.mark.clause("HN334-3.2")]


async def create_user_per_role(scenario: IdentityScenario) -> dict[str, StaffUser]:
    world = scenario.world
    registrar = await create_staff_user(scenario, "registrar", world.school.id)
    return {
        "province": await create_staff_user(scenario, "province", world.province.id),
        "bureau": await create_staff_user(scenario, "bureau", world.city.id),
        "registrar": registrar,
        "counselor": await registrar.create_subordinate("counselor", world.school.id),
    }


async def test_only_the_direct_superior_can_create_an_account(scenario: IdentityScenario) -> None:
    world, roles = scenario.world, await create_user_per_role(scenario)
    targets: dict[tuple[str, UUID], str] = {
        ("bureau", world.city.id): "province",
        ("bureau", world.other_city.id): "province",
        ("registrar", world.direct.id): "province",
        ("registrar", world.school.id): "bureau",
        ("counselor", world.school.id): "registrar",
        ("registrar", world.province.id): "",
        ("bureau", world.school.id): "",
        ("counselor", world.sister.id): "",
        ("counselor", world.city.id): "",
    }
    city = {world.city.id, world.school.id, world.sister.id}
    own_tree = {
        "province": {org_id for _, org_id in targets},
        "bureau": city,
        "registrar": {world.school.id},
        "counselor": {world.school.id},
    }
    for (kind, org_id), creator in targets.items():
        for role, person in roles.items():
            answer = await person.invite(kind, org_id)  # type: ignore[arg-type]  # a kind by its name
            elsewhere = (
                403 if org_id in own_tree[role] else 404
            )  # a unit outside the own subtree is not found
            assert answer.status_code == (201 if role == creator else elsewhere), (role, kind, answer.text)


async def test_a_bureau_of_another_city_manages_no_account_of_this_one(scenario: IdentityScenario) -> None:
    other = await create_staff_user(scenario, "bureau", scenario.world.other_city.id)
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    assert (await other.invite("registrar", scenario.school.id)).status_code == 404
    answer = await other.post(f"/v1/accounts/{registrar.account_id}/disable", {"reason": "越权"})
    absent = await other.post(f"/v1/accounts/{new_id()}/disable", {"reason": "不存在"})
    assert (answer.status_code, problem_code(answer.text)) == (404, "not_found")
    assert answer.json() | {"instance": ""} == absent.json() | {"instance": ""}
    listed = (await other.get("/v1/accounts")).json()["items"]
    assert str(registrar.account_id) not in {item["id"] for item in listed}


async def test_a_disabled_account_is_refused_at_its_next_request_and_at_sign_in(
    scenario: IdentityScenario,
) -> None:
    bureau = await create_staff_user(scenario, "bureau", scenario.world.city.id)
    registrar = await bureau.create_subordinate("registrar", scenario.school.id)
    path = f"/v1/accounts/{registrar.account_id}/disable"
    disabled = await bureau.post(path, {"reason": "离职"})
    assert (disabled.status_code, disabled.json()["status"]) == (200, "disabled")
    assert problem_code((await registrar.get("/v1/me")).text) == "session_revoked"
    assert (
        problem_code((await registrar.refresh(registrar.tokens["refresh_token"])).text) == "session_revoked"
    )
    assert problem_code((await registrar.sign_in()).text) == "sign_in_refused"
    assert (await bureau.post(path, {"reason": "离职"})).status_code == 200


async def test_a_registrar_disables_a_students_account_and_the_phone_is_refused(
    scenario: IdentityScenario,
) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    phone = await scenario.bind_phone(scenario.school.students[0])
    students = (await registrar.get("/v1/accounts", kind="student")).json()["items"]
    (account,) = [item for item in students if item["display_name"] == scenario.school.students[0].name]
    await registrar.post(f"/v1/accounts/{account['id']}/disable", {"reason": "退学"})
    assert problem_code((await phone.get("/v1/me")).text) == "account_disabled"
    assert problem_code((await phone.prove("POST", "/v1/token")).text) == "account_disabled"


async def test_a_login_is_unique_in_the_whole_province(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    sister = await create_staff_user(scenario, "registrar", scenario.world.sister.id)
    body = {
        "kind": "counselor",
        "org_id": str(scenario.school.id),
        "login": registrar.login,
        "display_name": "同名",
    }
    taken = await registrar.post("/v1/accounts", body)
    elsewhere = await sister.post("/v1/accounts", body | {"org_id": str(scenario.world.sister.id)})
    assert [problem_code(answer.text) for answer in (taken, elsewhere)] == ["login_taken", "login_taken"]


async def test_a_renewed_code_replaces_the_old_one(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    body = (await registrar.invite("counselor", scenario.school.id)).json()
    listed = (await registrar.get("/v1/accounts", status="invited")).json()["items"]
    (login,) = [item["login"] for item in listed if item["id"] == body["account_id"]]
    renewed = (await registrar.post(f"/v1/accounts/{body['account_id']}/invitation")).json()
    old = StaffUser(scenario, login, body["activation_code"], UUID(body["account_id"]))
    new = StaffUser(scenario, login, renewed["activation_code"], UUID(body["account_id"]))
    assert problem_code((await old.begin()).text) == "activation_refused"
    assert (await new.begin()).status_code == 201
    assert (await new.confirm()).status_code == 204
    assert (
        problem_code((await registrar.post(f"/v1/accounts/{body['account_id']}/invitation")).text)
        == "conflict"
    )


async def test_accounts_are_listed_page_by_page_without_gaps(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    created = {
        (await registrar.invite("counselor", scenario.school.id)).json()["account_id"] for _ in range(5)
    }
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await registrar.get("/v1/accounts", kind="counselor", limit=2, **cursor)).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert sorted(seen) == sorted(created)


async def test_staff_are_found_by_name_login_and_unit(scenario: IdentityScenario) -> None:
    world = scenario.world
    province = await create_staff_user(scenario, "province", world.province.id)
    bureau = await create_staff_user(scenario, "bureau", world.city.id)
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    await scenario.bind_phone(scenario.school.students[0])
    part = registrar.login[3:].upper()
    found = (await province.get("/v1/accounts", q=part)).json()["items"]
    assert [item["id"] for item in found] == [str(registrar.account_id)]
    assert (await province.get("/v1/accounts", q="100%")).json()["items"] == []
    at_city = (await province.get("/v1/accounts", org_id=world.city.id, limit=200)).json()["items"]
    assert str(bureau.account_id) in {item["id"] for item in at_city}
    assert {item["org_id"] for item in at_city} == {str(world.city.id)}
    school = {"org_id": scenario.school.id, "limit": 200}
    everyone = (await registrar.get("/v1/accounts", **school)).json()["items"]
    staff = (await registrar.get("/v1/accounts", staff_only=True, **school)).json()["items"]
    assert {item["kind"] for item in everyone} >= {"student", "registrar"}
    assert "student" not in {item["kind"] for item in staff}


async def test_an_account_says_what_its_reader_may_do(scenario: IdentityScenario) -> None:
    world = scenario.world
    bureau = await create_staff_user(scenario, "bureau", world.city.id)
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    counselor = await registrar.create_subordinate("counselor", scenario.school.id)

    async def rights(reader: StaffUser, account: StaffUser) -> tuple[bool, bool]:
        found = (await reader.get(f"/v1/accounts/{account.account_id}")).json()
        return found["may_manage"], found["may_reset"]

    assert await rights(bureau, registrar) == (True, True)
    assert await rights(bureau, counselor) == (False, True)
    assert await rights(registrar, counselor) == (True, True)
    assert await rights(registrar, registrar) == (False, False)
    assert (await registrar.get(f"/v1/accounts/{bureau.account_id}")).status_code == 404
    assert (await counselor.get(f"/v1/accounts/{counselor.account_id}")).status_code == 404


async def test_an_invitation_cannot_set_its_own_status(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    body = {
        "kind": "counselor",
        "org_id": str(scenario.school.id),
        "login": "x.y.z",
        "display_name": "某",
        "status": "active",
    }
    assert (await registrar.post("/v1/accounts", body)).status_code == 422


async def test_the_first_account_of_a_province_is_created_once(scenario: IdentityScenario) -> None:
    code = f"{new_id().int % 10**6:06d}"
    province = OrgUnit(
        id=new_id(), kind="province", code=code, name="某省", path=f"p{code}", created_at=scenario.clock()
    )
    async with scenario.owner.transaction(Scope.wide(province.path)) as session:
        session.add(province)
    scope, law = Scope.wide(province.path), province_policy(scenario.app_context, scenario.clock())

    async def make() -> Invitation:
        command = InviteAccount("province", province.id, new_login(), "省厅管理员", None)
        async with scenario.app_context.database.transaction(scope) as session:
            return await invite_first_account(session, command, law, scenario.clock())

    made = await asyncio.gather(*(make() for _ in range(4)), return_exceptions=True)
    invitations = [each for each in made if isinstance(each, Invitation)]
    assert len(invitations) == 1
    assert [type(each) for each in made if not isinstance(each, Invitation)] == [Conflict] * 3
    first = invitations[0]
    assert first.account.login is not None
    admin = StaffUser(scenario, first.account.login, first.activation_code, first.account.id)
    assert (await admin.begin()).status_code == 201
    assert (await admin.confirm()).status_code == 204
    assert (await admin.sign_in()).status_code == 201

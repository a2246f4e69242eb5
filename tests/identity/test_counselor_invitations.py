"""Counselors invited from a list: a check that keeps nothing, one result a row, classes assigned, each audited."""

from typing import Any

import pytest
from sqlalchemy import func, select

from backend.core.ids import new_id
from backend.core.tables import AuditEntry
from backend.core.tenancy import Scope
from backend.identity.tables import Account
from backend.people.tables import ClassCounselor, Counselor, SchoolClass
from tests.support.identity.scenario import IdentityScenario
from tests.support.identity.staff_user import StaffUser, create_staff_user, new_login

pytestmark = pytest.mark.clause("HN334-3.2")


def new_phone() -> str:
    return f"13{new_id().int % 10**9:09d}"


async def send(user: StaffUser, rows: list[dict[str, Any]], path: str = "") -> dict[str, Any]:
    answer = await user.post(f"/v1/counselor-invitations{path}", {"rows": rows})
    assert answer.status_code in {200, 201}, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def add_class(scenario: IdentityScenario, name: str) -> None:
    """A class without a counselor."""
    async with scenario.owner.transaction(Scope.none()) as session:
        session.add(
            SchoolClass(id=new_id(), school_id=scenario.school.id, name=name, created_at=scenario.clock())
        )


async def count_accounts(scenario: IdentityScenario) -> int:
    async with scenario.owner.transaction(Scope.none()) as session:
        number = select(func.count()).where(
            Account.school_id == scenario.school.id, Account.kind == "counselor"
        )
        return await session.scalar(number) or 0


async def test_each_row_is_invited_or_says_why_not(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    name = f"新班{new_id().hex[:6]}"
    await add_class(scenario, name)
    phone, taken = new_phone(), scenario.school.classes[0].name
    rows: list[dict[str, Any]] = [
        {"name": "李老师", "phone": phone, "class_names": [name]},
        {"name": "王老师", "phone": phone},
        {"name": "张老师", "phone": "无", "login": new_login()},
        {"name": "赵老师", "phone": new_phone(), "class_names": ["没有这个班"]},
        {"name": "孙老师", "phone": new_phone(), "class_names": [taken]},
        {"name": "周老师", "phone": new_phone(), "login": "老周"},
    ]
    result = await send(registrar, rows)
    assert [(each["row"], (each["error"] or {}).get("code")) for each in result["rows"]] == [
        (1, None),
        (2, "login_taken"),
        (3, "bad_input"),
        (4, "class_name_unknown"),
        (5, "class_has_counselor"),
        (6, "bad_input"),
    ]
    assert (result["done"], result["refused"]) == (1, 5)
    invitation = result["rows"][0]["invitation"]
    assert result["rows"][0]["login"] == phone
    assert invitation["activation_code"] in invitation["activation_link"]
    assert all(each["invitation"] is None for each in result["rows"][1:])
    async with scenario.owner.transaction(Scope.none()) as session:
        assigned = select(Counselor.name).join(ClassCounselor, ClassCounselor.counselor_id == Counselor.id)
        assigned = assigned.join(SchoolClass, SchoolClass.id == ClassCounselor.class_id)
        assert await session.scalar(assigned.where(SchoolClass.name == name)) == "李老师"


async def test_a_check_finds_the_same_and_keeps_nothing(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    before = await count_accounts(scenario)
    phone = new_phone()
    rows = [{"name": "李老师", "phone": phone}, {"name": "王老师", "phone": phone}]
    checked = await send(registrar, rows, "/check")
    assert [each["outcome"] for each in checked["rows"]] == ["done", "refused"]
    assert all(each["invitation"] is None for each in checked["rows"])
    assert await count_accounts(scenario) == before
    invited = await send(registrar, rows)
    assert [each["error"] for each in invited["rows"]] == [each["error"] for each in checked["rows"]]
    assert await count_accounts(scenario) == before + 1


async def test_each_invitation_is_audited_and_refused_rows_are_not(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    rows = [{"name": "李老师", "phone": new_phone()}, {"name": "王老师", "phone": "-"}]
    rows.append({"name": "赵老师", "phone": new_phone()})
    result = await send(registrar, rows)
    invited = [each["invitation"]["account_id"] for each in result["rows"] if each["invitation"]]
    async with scenario.owner.transaction(Scope.none()) as session:
        entries = select(AuditEntry.subject_id).where(
            AuditEntry.action == "AccountInvited", AuditEntry.subject_id.in_(invited)
        )
        assert sorted(await session.scalars(entries)) == sorted(invited)
    assert len(invited) == 2


async def test_only_a_registrar_invites_from_a_list(scenario: IdentityScenario) -> None:
    bureau = await create_staff_user(scenario, "bureau", scenario.world.city.id)
    body = {"rows": [{"name": "李老师", "phone": new_phone()}]}
    for path in ("", "/check"):
        assert (await bureau.post(f"/v1/counselor-invitations{path}", body)).status_code == 403

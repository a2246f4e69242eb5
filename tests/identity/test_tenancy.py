"""The database refuses access to accounts, keys and templates across tenants (HN334-2.3, invariant 13)."""

from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.identity.sign_in.tables import StaffSession
from backend.identity.tables import Account, DeviceKey, DpopProof, Registration
from tests.support.identity.scenario import IdentityScenario
from tests.support.identity.staff_user import create_staff_user

pytestmark = pytest.mark.clause("HN334-2.3")


async def count_visible(
    scenario: IdentityScenario, scope: Scope, table: type[Account | DeviceKey | Registration], school_id: UUID
) -> int:
    async with scenario.app_context.database.transaction(scope) as session:
        query = select(func.count()).select_from(table).where(table.school_id == school_id)
        return await session.scalar(query) or 0


async def test_each_scope_sees_its_own_accounts_keys_and_registrations(scenario: IdentityScenario) -> None:
    pupil, world = scenario.school.students[0], scenario.world
    await scenario.bind_phone(pupil)
    for table in (Account, DeviceKey, Registration):
        for insider in (
            Scope.school(world.school.id, world.school.path),
            Scope.student(pupil.school_id, pupil.id),
            Scope.wide(world.city.path),
            Scope.wide(world.province.path),
        ):
            assert await count_visible(scenario, insider, table, world.school.id) == 1
        for stranger in (
            Scope.school(world.sister.id, world.sister.path),
            Scope.student(pupil.school_id, scenario.school.students[1].id),
            Scope.wide(world.other_city.path),
            Scope.none(),
        ):
            assert await count_visible(scenario, stranger, table, world.school.id) == 0


async def test_a_session_is_visible_to_its_own_account_only(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    own = Scope.school(scenario.school.id, scenario.school.path, registrar.account_id)
    for scope, expected in ((own, 1), (Scope.wide(scenario.world.province.path), 0), (Scope.none(), 0)):
        async with scenario.app_context.database.transaction(scope) as session:
            assert await session.scalar(select(func.count()).select_from(StaffSession)) == expected


async def test_a_student_cannot_update_the_own_account(scenario: IdentityScenario) -> None:
    pupil = scenario.school.students[0]
    await scenario.bind_phone(pupil)
    async with scenario.app_context.database.transaction(Scope.student(pupil.school_id, pupil.id)) as session:
        changed = await session.execute(text("UPDATE account SET status = 'disabled' RETURNING id"))
        assert changed.all() == []


@pytest.mark.parametrize("student", [0, 1])
async def test_the_database_refuses_a_second_active_key_and_a_second_owner(
    scenario: IdentityScenario, student: int
) -> None:
    bound, at = scenario.school.students[0], scenario.clock()
    phone = await scenario.bind_phone(bound)
    other = scenario.school.students[student]
    constraint = "uq_device_key_active" if student == 0 else "uq_device_key_jkt"
    key = DeviceKey(
        id=new_id(),
        school_id=other.school_id,
        student_id=other.id,
        jkt="another" if student == 0 else phone.thumbprint,
        public_jwk=phone.jwk,
        status="active",
        bound_at=at,
    )
    with pytest.raises(IntegrityError, match=constraint):
        async with scenario.owner.transaction(Scope.wide(scenario.world.province.path)) as session:
            session.add(key)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM dpop_proof",
        "INSERT INTO dpop_proof VALUES ('a', 'b', now())",
        "DELETE FROM device_key",
        "UPDATE face_template SET sealed = ''",
        "DELETE FROM face_template",
        "UPDATE non_face_route SET reason = ''",
        "DELETE FROM account",
    ],
)
async def test_the_application_cannot_change_append_only_rows(
    scenario: IdentityScenario, statement: str
) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with scenario.app_context.database.transaction(
            Scope.wide(scenario.world.province.path)
        ) as session:
            await session.execute(text(statement))


async def test_a_staff_account_is_never_active_without_two_factors(scenario: IdentityScenario) -> None:
    with pytest.raises(IntegrityError, match="two_factors"):
        async with scenario.owner.transaction(Scope.wide(scenario.world.province.path)) as session:
            session.add(
                Account(
                    id=new_id(),
                    kind="bureau",
                    org_id=scenario.world.city.id,
                    org_path=scenario.world.city.path,
                    login=f"x{new_id().hex}",
                    display_name="某",
                    status="active",
                    password_hash="x",
                    created_at=scenario.clock(),
                )
            )


def test_a_proof_row_has_no_personal_data() -> None:
    assert set(DpopProof.__table__.columns.keys()) == {"jkt", "jti", "seen_at"}

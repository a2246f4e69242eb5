"""Addressing notices: set-based, in the transaction of the cause, seen by the right people only."""

from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import String, Uuid, case, cast, column, func, literal, null, select, text, values
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.sql.selectable import Select

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.notice.messages import Message, StaffRecipient, StudentRecipient
from backend.notice.service import SLICE_SIZE, post_notice, post_notices, send_sms_code
from backend.notice.tables import Notice, NoticeDelivery, NoticeMessage
from tests.notice.conftest import Clock, School


def students_of(school: School, count: int) -> Select[tuple[object, ...]]:
    """A set of students as another room would select them; every tenth has no phone."""
    number = func.generate_series(1, count).column_valued("number")
    phone = func.concat("137", func.lpad(cast(number, String), 8, "0"))
    return select(
        func.gen_random_uuid().label("student_id"),
        literal(school.id, Uuid()).label("school_id"),
        select(cast(null(), Uuid())).scalar_subquery().label("account_id"),
        case((number % 10 == 0, null()), else_=phone).label("phone"),
    )


async def load_jobs(database: Database, message_id: UUID) -> list[dict[str, object]]:
    async with database.transaction(Scope.none()) as session:
        rows = await session.scalars(
            text(
                "SELECT args FROM procrastinate_jobs WHERE task_name = 'deliver_sms'"
                " AND args->>'message_id' = :id ORDER BY id"
            ),
            {"id": str(message_id)},
        )
        return list(rows)


async def message_id_of(database: Database, scope: Scope, message: Message) -> UUID:
    async with database.transaction(scope) as session:
        query = select(NoticeMessage.id).where(NoticeMessage.group_id == message.group_id)
        return (await session.scalars(query)).one()


async def test_5001_students_take_one_statement_and_two_jobs(
    database: Database, school: School, message: Message, clock: Clock
) -> None:
    async with database.transaction(school.city_scope) as session:
        count = await post_notices(session, students_of(school, SLICE_SIZE + 1), message, {"sms"}, clock())
    assert count == SLICE_SIZE + 1
    async with database.transaction(school.city_scope) as session:
        rows = await session.execute(
            select(NoticeDelivery.channel, NoticeDelivery.state, func.count())
            .where(NoticeDelivery.group_id == message.group_id)
            .group_by(NoticeDelivery.channel, NoticeDelivery.state)
        )
        counts = {(channel, state): number for channel, state, number in rows}
        notices = select(func.count()).select_from(Notice).join(NoticeMessage)
        stored = await session.scalar(notices.where(NoticeMessage.group_id == message.group_id))
    assert stored == SLICE_SIZE + 1
    assert counts == {
        ("in_app", "queued"): SLICE_SIZE + 1,
        ("sms", "queued"): SLICE_SIZE + 1 - 500,
        ("sms", "failed"): 500,
    }
    jobs = await load_jobs(database, await message_id_of(database, school.city_scope, message))
    assert [job["number"] for job in jobs] == [0, 1]
    assert all(isinstance(job["number"], int) for job in jobs)


async def test_rollback_of_the_cause_sends_no_notice(
    database: Database, school: School, message: Message, clock: Clock
) -> None:
    with pytest.raises(ZeroDivisionError):
        await _post_and_break(database, school, message, clock)
    async with database.transaction(school.city_scope) as session:
        assert (
            await session.scalar(select(func.count()).where(NoticeDelivery.group_id == message.group_id)) == 0
        )


async def _post_and_break(database: Database, school: School, message: Message, clock: Clock) -> None:
    async with database.transaction(school.city_scope) as session:
        await post_notices(session, students_of(school, 3), message, {"sms"}, clock())
        raise ZeroDivisionError


async def test_without_sms_no_job_is_enqueued(
    database: Database, school: School, message: Message, clock: Clock
) -> None:
    async with database.transaction(school.city_scope) as session:
        await post_notices(session, students_of(school, 3), message, {"in_app"}, clock())
    assert await load_jobs(database, await message_id_of(database, school.city_scope, message)) == []


async def test_staff_are_addressed_by_account_and_path(
    database: Database, school: School, message: Message, clock: Clock
) -> None:
    accounts = [school.registrar(), school.registrar()]
    staff = values(column("account_id", Uuid()), column("org_path", String()), name="staff").data(
        [(actor.account_id, actor.org_path) for actor in accounts]
    )
    async with database.transaction(school.city_scope) as session:
        posted = await post_notices(session, select(staff), message, (), clock())
    assert posted == 2
    for actor in accounts:
        async with database.transaction(actor.scope) as session:
            assert await session.scalar(select(NoticeMessage.title_zh)) == message.title_zh


@pytest.mark.clause("HN334-2.3")
async def test_student_notice_is_visible_to_student_school_and_superiors(
    database: Database, school: School, message: Message, clock: Clock
) -> None:
    student, classmate = school.student(), school.student()
    assert student.student_id is not None
    async with database.transaction(school.scope) as session:
        await post_notice(session, StudentRecipient(student.student_id, school.id), message, (), clock())
    seen = {}
    for name, scope in {
        "student": student.scope,
        "classmate": classmate.scope,
        "school": school.registrar().scope,
        "city": school.bureau().scope,
        "other city": Scope.wide(school.other_city_path, new_id()),
        "other school": Scope.school(school.other_school_id, f"{school.other_city_path}.s", new_id()),
        "nobody": Scope.none(),
    }.items():
        async with database.transaction(scope) as session:
            texts = select(NoticeMessage.body_zh).where(NoticeMessage.group_id == message.group_id)
            rows = select(NoticeDelivery.notice_id).where(NoticeDelivery.group_id == message.group_id)
            seen[name] = (len((await session.scalars(texts)).all()), len((await session.scalars(rows)).all()))
    assert seen == {
        "student": (1, 1),
        "classmate": (0, 0),
        "school": (1, 1),
        "city": (1, 1),
        "other city": (0, 0),
        "other school": (0, 0),
        "nobody": (0, 0),
    }


@pytest.mark.clause("HN334-2.3")
async def test_staff_notice_is_readable_by_its_account_only(
    database: Database, school: School, message: Message, clock: Clock
) -> None:
    registrar, colleague = school.registrar(), school.registrar()
    async with database.transaction(school.city_scope) as session:
        recipient = StaffRecipient(registrar.account_id, school.path, school.id)
        await post_notice(session, recipient, message, (), clock())
    for scope, expected in (
        (registrar.scope, 1),
        (colleague.scope, 0),
        (school.bureau().scope, 0),
        (school.student().scope, 0),
    ):
        async with database.transaction(scope) as session:
            texts = select(NoticeMessage).where(NoticeMessage.group_id == message.group_id)
            assert len((await session.scalars(texts)).all()) == expected


@pytest.mark.clause("HN334-2.3")
async def test_student_of_another_school_cannot_be_addressed(
    database: Database, school: School, message: Message, clock: Clock
) -> None:
    foreign = StudentRecipient(new_id(), school.other_school_id)
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with database.transaction(school.scope) as session:
            await post_notice(session, foreign, message, (), clock())


async def test_sms_channel_requires_an_sms_text(
    database: Database, school: School, message: Message, clock: Clock
) -> None:
    silent = Message("x", new_id(), "题", "t", "文", "b")
    with pytest.raises(ValueError, match="no SMS text"):
        async with database.transaction(school.scope) as session:
            await post_notices(session, students_of(school, 1), silent, {"sms"}, clock())


async def test_one_time_code_is_in_no_text_job_or_readable_column(
    database: Database,
    app_context: AppContext,
    school: School,
    clock: Clock,
    owner: Database,
    phone_numbers: Callable[[int], list[str]],
) -> None:
    student, code = school.student(), "918273"
    assert student.student_id is not None
    async with database.transaction(student.scope) as session:
        notice_id = await send_sms_code(
            session,
            school_id=school.id,
            student_id=student.student_id,
            phone=phone_numbers(1)[0],
            code=code,
            keys=app_context.keys,
            at=clock(),
        )
    async with owner.transaction(Scope.none()) as session:
        message_id = await session.scalar(select(Notice.message_id).where(Notice.id == notice_id))
        kept = [
            await session.scalar(
                text(f"SELECT CAST(row_to_json(t) AS text) FROM {table} t WHERE {column} = :id"), {"id": key}
            )
            for table, column, key in (
                ("notice_message", "id", message_id),
                ("notice", "id", notice_id),
                ("notice_delivery", "notice_id", notice_id),
                ("procrastinate_jobs", "args->>'message_id'", str(message_id)),
            )
        ]
    assert all(row is not None and code not in row and code.encode().hex() not in row for row in kept)

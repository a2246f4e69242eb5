"""Applying once a term and in time, answered by somebody else; the award follows from the law of the term."""

from datetime import date, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from backend.aid.applications import ApplyForClass
from backend.aid.eligibility import FindDuplicate, record_duplicate
from backend.aid.errors import (
    AidAlreadyApplied,
    AidApplicationDecided,
    AidDeadlinePassed,
    AidIneligible,
    AidReasonsMissing,
)
from backend.aid.policy import AidPolicy
from backend.aid.rules import AidKind
from backend.aid.tables import AidApplication, AidDecision
from backend.core.clock import LEGAL_ZONE
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.notice.tables import NoticeMessage
from backend.org.paths import division_of
from backend.org.terms import NewTerm, TermView, open_term
from backend.policy.installed import policy_at
from tests.support.aid import AidDesk
from tests.support.province import Pupil, counselor_account, registrar_account, student_account

pytestmark = pytest.mark.clause("HRSS28-3.3")

SPRING = TermView(new_id(), new_id(), "2026-spring", date(2026, 2, 1), date(2026, 7, 10), ())


async def test_an_approved_application_is_an_award_whose_instalments_sum_to_the_terms_aid(
    desk: AidDesk,
) -> None:
    parts = await desk.award()
    [award] = await desk.awards()
    law = policy_at(award.term_starts_on, division_of(desk.registry.school.path))
    assert sum(part.fen for part in parts) == law.integer("aid.grant.average_per_year") // 2
    assert max(part.fen for part in parts) - min(part.fen for part in parts) <= 1
    assert await desk.balance() == {
        "budget": -sum(part.fen for part in parts),
        "due": sum(part.fen for part in parts),
        "paid": 0,
        "withdrawn": 0,
    }


async def test_a_waiver_is_one_instalment_in_the_first_month(desk: AidDesk) -> None:
    [part] = await desk.award(AidKind.TUITION_WAIVER)
    [award] = await desk.awards()
    assert (part.month, part.fen) == (award.term_starts_on.replace(day=1), 100_000)


async def test_each_term_is_paid_by_the_law_of_its_first_day(desk: AidDesk) -> None:
    await _terms(
        desk,
        NewTerm(desk.registry.school.id, "2024-autumn", date(2024, 9, 1), date(2025, 1, 18)),
        NewTerm(desk.registry.school.id, "2025-spring", date(2025, 2, 17), date(2025, 7, 5)),
    )
    sums = []
    for day in (date(2025, 1, 10), date(2025, 3, 3)):
        desk.registry.stage.clock.at = datetime(day.year, day.month, day.day, 9, tzinfo=LEGAL_ZONE)
        sums.append(sum(part.fen for part in await desk.award()))
    assert sums == [100_000, 115_000]


async def test_a_sum_that_the_months_do_not_divide_loses_no_fen(desk: AidDesk) -> None:
    await _terms(desk, NewTerm(desk.registry.school.id, "2024-autumn", date(2024, 8, 20), date(2025, 1, 31)))
    desk.registry.stage.clock.at = datetime(2024, 10, 8, 9, tzinfo=LEGAL_ZONE)
    assert [part.fen for part in await desk.award()] == [16_667] * 4 + [16_666] * 2


async def _terms(desk: AidDesk, *terms: NewTerm) -> None:
    registrar = desk.registry.registrar
    async with desk.registry.transaction(registrar) as session:
        for term in terms:
            await open_term(session, registrar, term, desk.registry.at)


async def test_aid_is_applied_for_once_a_term_and_kind(desk: AidDesk) -> None:
    await desk.apply()
    with pytest.raises(AidAlreadyApplied):
        await desk.apply()
    await desk.apply(AidKind.TUITION_WAIVER)
    assert len(await desk.registry.rows(AidApplication)) == 2


async def test_after_a_refusal_another_attempt_is_open(desk: AidDesk) -> None:
    first = await desk.apply()
    await desk.decide(first.id, "refused", reasons="材料不全")
    second = await desk.apply()
    await desk.decide(second.id)
    assert [award.id for award in await desk.awards()] == [second.id]


async def test_a_refusal_says_why(desk: AidDesk) -> None:
    application = await desk.apply()
    with pytest.raises(AidReasonsMissing):
        await desk.decide(application.id, "refused")


async def test_an_application_is_decided_once(desk: AidDesk) -> None:
    application = await desk.apply()
    await desk.decide(application.id)
    with pytest.raises(AidApplicationDecided):
        await desk.decide(application.id, "refused", reasons="重复")


@pytest.mark.parametrize("kind", ["registrar", "bureau", "province"])
async def test_another_registrar_or_the_superior_approves(desk: AidDesk, kind: str) -> None:
    application = await desk.apply()
    await desk.decide(application.id, actor=getattr(desk.registry, kind))
    assert len(await desk.awards()) == 1


async def test_who_files_never_approves(desk: AidDesk) -> None:
    registrar = desk.registry.registrar
    done = await desk.apply_for_many(ApplyForClass(AidKind.GRANT, desk.pupil.class_id), registrar)
    with pytest.raises(NotPermitted):
        await desk.decide(done.filed[0], actor=registrar)


async def test_the_database_itself_refuses_an_approval_of_ones_own(desk: AidDesk) -> None:
    application = await desk.apply()
    with pytest.raises(IntegrityError, match="not_their_own"):
        async with desk.registry.stage.arrange() as session:
            session.add(
                AidDecision(
                    application_id=application.id,
                    school_id=application.school_id,
                    student_id=application.student_id,
                    outcome="approved",
                    reasons=None,
                    filed_by=application.filed_by,
                    decided_by=application.filed_by,
                    decided_at=desk.registry.at,
                )
            )


async def test_a_counselor_approves_nothing(desk: AidDesk) -> None:
    application = await desk.apply()
    counselor = counselor_account(desk.registry.school, desk.registry.school.classes[0])
    with pytest.raises(NotPermitted):
        await desk.decide(application.id, actor=counselor)


async def test_another_schools_registrar_finds_nothing(desk: AidDesk) -> None:
    application = await desk.apply()
    with pytest.raises(NotFound):
        await desk.decide(application.id, actor=registrar_account(desk.registry.stage.world.sister))


async def test_the_student_is_told_of_the_answer(desk: AidDesk) -> None:
    await desk.award()
    await desk.registry.run_events("AidDecided")
    assert "aid_decided" in await _told(desk)


async def _told(desk: AidDesk) -> set[str]:
    async with desk.registry.transaction(desk.registry.student()) as session:
        return set(await session.scalars(select(NoticeMessage.kind)))


# --- in time ---


@pytest.mark.parametrize(
    ("programme", "term", "last"),
    [
        ("technician", SPRING, date(2026, 4, 30)),
        (
            "technician",
            TermView(new_id(), new_id(), "2025-autumn", date(2025, 9, 1), date(2026, 1, 18), ()),
            date(2025, 10, 30),
        ),
        ("regular", SPRING, SPRING.ends_on),
    ],
)
def test_technician_schools_close_on_30_april_and_30_october(
    programme: str, term: TermView, last: date
) -> None:
    law = AidPolicy.at(date(2026, 3, 1), "p410000.c410100.s4100000001")
    assert law.last_day(programme, term) == last


@pytest.mark.parametrize(("day", "hour", "late"), [(30, 23, False), (31, 0, True)])
async def test_the_last_day_is_in_time_and_the_next_is_refused(
    desk: AidDesk, day: int, hour: int, late: bool
) -> None:
    await _terms(desk, NewTerm(desk.registry.school.id, "2024-autumn", date(2024, 9, 1), date(2025, 1, 18)))
    await desk.edit_roll(programme="technician")
    desk.registry.stage.clock.at = datetime(2024, 10, day, hour, 59, tzinfo=LEGAL_ZONE)
    if not late:
        await desk.apply()
        return
    with pytest.raises(AidDeadlinePassed):
        await desk.apply()


async def test_1_may_is_refused_for_approving_too(desk: AidDesk) -> None:
    await _terms(desk, NewTerm(desk.registry.school.id, "2025-spring", date(2025, 2, 17), date(2025, 7, 5)))
    await desk.edit_roll(programme="technician")
    desk.registry.stage.clock.at = datetime(2025, 4, 30, 12, tzinfo=LEGAL_ZONE)
    application = await desk.apply()
    desk.registry.stage.clock.at = datetime(2025, 5, 1, 0, 1, tzinfo=LEGAL_ZONE)
    with pytest.raises(AidDeadlinePassed):
        await desk.decide(application.id)
    await desk.decide(application.id, "refused", reasons="已逾期")


# --- for whom ---


@pytest.mark.clause("MOE19-3.5")
@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"study_form": "part_time"}, "学习形式不是全日制"),
        ({"standing": "02"}, "学籍状态不是在读"),
        ({"programme": "short_course"}, "不属于学历教育"),
        ({"student_number_sealed": None, "student_number_index": None}, "尚无正式学籍号"),
    ],
)
async def test_who_is_not_eligible_is_refused_with_the_reason_as_a_sentence(
    desk: AidDesk, values: dict[str, object], sentence: str
) -> None:
    await desk.edit_roll(**values)
    with pytest.raises(AidIneligible) as refused:
        await desk.apply()
    assert sentence in refused.value.sentence("zh")


@pytest.mark.clause("MOE19-3.5")
async def test_who_lost_eligibility_before_the_decision_is_not_approved(desk: AidDesk) -> None:
    application = await desk.apply()
    await desk.edit_roll(study_form="part_time", standing="02")
    with pytest.raises(AidIneligible) as refused:
        await desk.decide(application.id)
    assert "全日制" in refused.value.sentence("zh")
    assert "在读" in refused.value.sentence("zh")


@pytest.mark.clause("MOE19-3.5")
async def test_the_newest_finding_on_double_standing_counts(desk: AidDesk) -> None:
    await _find(desk, duplicate=True)
    with pytest.raises(AidIneligible, match="compulsory education"):
        await desk.apply()
    desk.registry.pass_time(hours=1)
    await _find(desk, duplicate=False)
    await desk.apply()


async def _find(desk: AidDesk, *, duplicate: bool) -> None:
    bureau = desk.registry.bureau
    async with desk.registry.transaction(bureau) as session:
        command = FindDuplicate(desk.pupil.id, duplicate, "查重名单第17行")
        await record_duplicate(session, bureau, command, desk.registry.at)


async def test_the_school_does_not_find_on_its_own_duplicates(desk: AidDesk) -> None:
    registrar = desk.registry.registrar
    with pytest.raises(NotPermitted):
        async with desk.registry.transaction(registrar) as session:
            command = FindDuplicate(desk.pupil.id, False, "无")
            await record_duplicate(session, registrar, command, desk.registry.at)


# --- for many ---


async def test_a_class_is_applied_for_at_once_and_whoever_is_passed_over_is_named_with_why(
    desk: AidDesk,
) -> None:
    first, second, third = desk.registry.school.classes[0].students
    await desk.apply(pupil=first)
    await desk.edit_roll(second, standing="02")
    done = await desk.apply_for_many(ApplyForClass(AidKind.GRANT, first.class_id))
    assert {each.student_id: each.code for each in done.passed} == {
        first.id: "aid_already_applied",
        second.id: "aid_ineligible",
    }
    [filed] = await desk.registry.rows(AidApplication, third)
    assert done.filed == (filed.id,)


async def test_the_whole_school_is_applied_for_if_no_class_is_named(desk: AidDesk) -> None:
    done = await desk.apply_for_many(ApplyForClass(AidKind.GRANT))
    assert len(done.filed) == len(desk.registry.school.students)
    again = await desk.apply_for_many(ApplyForClass(AidKind.GRANT))
    assert (again.filed, len(again.passed)) == ((), len(done.filed))


async def test_another_schools_class_is_nobodys(desk: AidDesk) -> None:
    foreign = desk.registry.stage.world.sister.classes[0].id
    with pytest.raises(NotFound):
        await desk.apply_for_many(ApplyForClass(AidKind.GRANT, foreign))


async def test_a_student_files_for_nobody_else(desk: AidDesk) -> None:
    other: Pupil = desk.registry.school.students[1]
    own = student_account(desk.registry.school, desk.pupil)
    with pytest.raises(Exception, match="row-level security"):
        async with desk.registry.transaction(own) as session:
            session.add(
                AidApplication(
                    id=new_id(),
                    school_id=other.school_id,
                    student_id=other.id,
                    kind="grant",
                    term_code="2026-autumn",
                    attempt=1,
                    filed_by=own.account_id,
                    filed_at=desk.registry.at,
                )
            )

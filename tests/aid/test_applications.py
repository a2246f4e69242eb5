"""Applications, deadlines, eligibility, decisions and the resulting awards."""

from datetime import date, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from backend.aid.applications import ApplyForClass
from backend.aid.eligibility import RecordDuplicate, record_duplicate
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
from tests.support.aid import AidScenario
from tests.support.province import SampleStudent, counselor_account, registrar_account, student_account

pytestmark = pytest.mark.clause("HRSS28-3.3")

SPRING = TermView(new_id(), new_id(), "2026-spring", date(2026, 2, 1), date(2026, 7, 10), ())


async def test_instalments_of_an_award_sum_to_the_aid_of_the_term(
    aid: AidScenario,
) -> None:
    parts = await aid.award()
    [award] = await aid.load_awards()
    law = policy_at(award.term_starts_on, division_of(aid.standing_scenario.school.path))
    assert sum(part.fen for part in parts) == law.integer("aid.grant.average_per_year") // 2
    assert max(part.fen for part in parts) - min(part.fen for part in parts) <= 1
    assert await aid.load_account_balances() == {
        "budget": -sum(part.fen for part in parts),
        "due": sum(part.fen for part in parts),
        "paid": 0,
        "withdrawn": 0,
    }


async def test_waiver_has_one_instalment_in_the_first_month(aid: AidScenario) -> None:
    [part] = await aid.award(AidKind.TUITION_WAIVER)
    [award] = await aid.load_awards()
    assert (part.month, part.fen) == (award.term_starts_on.replace(day=1), 100_000)


async def test_amounts_follow_the_law_of_the_first_day_of_the_term(aid: AidScenario) -> None:
    await _open_terms(
        aid,
        NewTerm(aid.standing_scenario.school.id, "2024-autumn", date(2024, 9, 1), date(2025, 1, 18)),
        NewTerm(aid.standing_scenario.school.id, "2025-spring", date(2025, 2, 17), date(2025, 7, 5)),
    )
    sums = []
    for day in (date(2025, 1, 10), date(2025, 3, 3)):
        aid.standing_scenario.roll_call_scenario.clock.at = datetime(
            day.year, day.month, day.day, 9, tzinfo=LEGAL_ZONE
        )
        sums.append(sum(part.fen for part in await aid.award()))
    assert sums == [100_000, 115_000]


async def test_uneven_division_into_months_loses_no_fen(aid: AidScenario) -> None:
    await _open_terms(
        aid, NewTerm(aid.standing_scenario.school.id, "2024-autumn", date(2024, 8, 20), date(2025, 1, 31))
    )
    aid.standing_scenario.roll_call_scenario.clock.at = datetime(2024, 10, 8, 9, tzinfo=LEGAL_ZONE)
    assert [part.fen for part in await aid.award()] == [16_667] * 4 + [16_666] * 2


async def _open_terms(aid: AidScenario, *terms: NewTerm) -> None:
    registrar = aid.standing_scenario.registrar
    async with aid.standing_scenario.transaction(registrar) as session:
        for term in terms:
            await open_term(session, registrar, term, aid.standing_scenario.at)


async def test_student_applies_once_per_term_and_kind(aid: AidScenario) -> None:
    await aid.apply()
    with pytest.raises(AidAlreadyApplied):
        await aid.apply()
    await aid.apply(AidKind.TUITION_WAIVER)
    assert len(await aid.standing_scenario.rows(AidApplication)) == 2


async def test_student_may_apply_again_after_a_refusal(aid: AidScenario) -> None:
    first = await aid.apply()
    await aid.decide(first.id, "refused", reasons="材料不全")
    second = await aid.apply()
    await aid.decide(second.id)
    assert [award.id for award in await aid.load_awards()] == [second.id]


async def test_refusal_requires_reasons(aid: AidScenario) -> None:
    application = await aid.apply()
    with pytest.raises(AidReasonsMissing):
        await aid.decide(application.id, "refused")


async def test_application_is_decided_once(aid: AidScenario) -> None:
    application = await aid.apply()
    await aid.decide(application.id)
    with pytest.raises(AidApplicationDecided):
        await aid.decide(application.id, "refused", reasons="重复")


@pytest.mark.parametrize("kind", ["registrar", "bureau", "province"])
async def test_another_registrar_or_a_superior_approves(aid: AidScenario, kind: str) -> None:
    application = await aid.apply()
    await aid.decide(application.id, actor=getattr(aid.standing_scenario, kind))
    assert len(await aid.load_awards()) == 1


async def test_account_that_filed_cannot_approve(aid: AidScenario) -> None:
    registrar = aid.standing_scenario.registrar
    result = await aid.apply_for_class(ApplyForClass(AidKind.GRANT, aid.pupil.class_id), registrar)
    with pytest.raises(NotPermitted):
        await aid.decide(result.filed[0], actor=registrar)


async def test_database_rejects_approval_by_the_filing_account(aid: AidScenario) -> None:
    application = await aid.apply()
    with pytest.raises(IntegrityError, match="by_another_account"):
        async with aid.standing_scenario.roll_call_scenario.owner_transaction() as session:
            session.add(
                AidDecision(
                    application_id=application.id,
                    school_id=application.school_id,
                    student_id=application.student_id,
                    outcome="approved",
                    reasons=None,
                    filed_by=application.filed_by,
                    decided_by=application.filed_by,
                    decided_at=aid.standing_scenario.at,
                )
            )


async def test_counselor_cannot_approve(aid: AidScenario) -> None:
    application = await aid.apply()
    counselor = counselor_account(aid.standing_scenario.school, aid.standing_scenario.school.classes[0])
    with pytest.raises(NotPermitted):
        await aid.decide(application.id, actor=counselor)


async def test_registrar_of_another_school_gets_not_found(aid: AidScenario) -> None:
    application = await aid.apply()
    with pytest.raises(NotFound):
        await aid.decide(
            application.id, actor=registrar_account(aid.standing_scenario.roll_call_scenario.world.sister)
        )


async def test_student_is_notified_of_the_decision(aid: AidScenario) -> None:
    await aid.award()
    await aid.standing_scenario.run_events("AidDecided")
    assert "aid_decided" in await _load_notice_kinds(aid)


async def _load_notice_kinds(aid: AidScenario) -> set[str]:
    async with aid.standing_scenario.transaction(aid.standing_scenario.student()) as session:
        return set(await session.scalars(select(NoticeMessage.kind)))


# --- deadlines ---


@pytest.mark.parametrize(
    ("programme", "term", "last_day"),
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
def test_deadlines_of_technician_schools(programme: str, term: TermView, last_day: date) -> None:
    law = AidPolicy.at(date(2026, 3, 1), "p410000.c410100.s4100000001")
    assert law.last_day(programme, term) == last_day


@pytest.mark.parametrize(("day", "hour", "late"), [(30, 23, False), (31, 0, True)])
async def test_last_day_is_accepted_and_the_next_day_is_rejected(
    aid: AidScenario, day: int, hour: int, late: bool
) -> None:
    await _open_terms(
        aid, NewTerm(aid.standing_scenario.school.id, "2024-autumn", date(2024, 9, 1), date(2025, 1, 18))
    )
    await aid.update_student(programme="technician")
    aid.standing_scenario.roll_call_scenario.clock.at = datetime(2024, 10, day, hour, 59, tzinfo=LEGAL_ZONE)
    if not late:
        await aid.apply()
        return
    with pytest.raises(AidDeadlinePassed):
        await aid.apply()


async def test_approval_after_the_deadline_is_rejected(aid: AidScenario) -> None:
    await _open_terms(
        aid, NewTerm(aid.standing_scenario.school.id, "2025-spring", date(2025, 2, 17), date(2025, 7, 5))
    )
    await aid.update_student(programme="technician")
    aid.standing_scenario.roll_call_scenario.clock.at = datetime(2025, 4, 30, 12, tzinfo=LEGAL_ZONE)
    application = await aid.apply()
    aid.standing_scenario.roll_call_scenario.clock.at = datetime(2025, 5, 1, 0, 1, tzinfo=LEGAL_ZONE)
    with pytest.raises(AidDeadlinePassed):
        await aid.decide(application.id)
    await aid.decide(application.id, "refused", reasons="已逾期")


# --- eligibility ---


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
async def test_ineligible_student_is_rejected_with_the_reason(
    aid: AidScenario, values: dict[str, object], sentence: str
) -> None:
    await aid.update_student(**values)
    with pytest.raises(AidIneligible) as refused:
        await aid.apply()
    assert sentence in refused.value.sentence("zh")


@pytest.mark.clause("MOE19-3.5")
async def test_student_who_lost_eligibility_is_not_approved(aid: AidScenario) -> None:
    application = await aid.apply()
    await aid.update_student(study_form="part_time", standing="02")
    with pytest.raises(AidIneligible) as refused:
        await aid.decide(application.id)
    assert "全日制" in refused.value.sentence("zh")
    assert "在读" in refused.value.sentence("zh")


@pytest.mark.clause("MOE19-3.5")
async def test_newest_duplicate_finding_counts(aid: AidScenario) -> None:
    await _record_finding(aid, duplicate=True)
    with pytest.raises(AidIneligible, match="compulsory education"):
        await aid.apply()
    aid.standing_scenario.pass_time(hours=1)
    await _record_finding(aid, duplicate=False)
    await aid.apply()


async def _record_finding(aid: AidScenario, *, duplicate: bool) -> None:
    bureau = aid.standing_scenario.bureau
    async with aid.standing_scenario.transaction(bureau) as session:
        command = RecordDuplicate(aid.pupil.id, duplicate, "查重名单第17行")
        await record_duplicate(session, bureau, command, aid.standing_scenario.at)


async def test_school_cannot_record_duplicate_findings(aid: AidScenario) -> None:
    registrar = aid.standing_scenario.registrar
    with pytest.raises(NotPermitted):
        async with aid.standing_scenario.transaction(registrar) as session:
            command = RecordDuplicate(aid.pupil.id, False, "无")
            await record_duplicate(session, registrar, command, aid.standing_scenario.at)


# --- applications for a class ---


async def test_class_application_names_skipped_students_with_reasons(
    aid: AidScenario,
) -> None:
    first, second, third = aid.standing_scenario.school.classes[0].students
    await aid.apply(pupil=first)
    await aid.update_student(second, standing="02")
    result = await aid.apply_for_class(ApplyForClass(AidKind.GRANT, first.class_id))
    assert {each.student_id: each.code for each in result.skipped} == {
        first.id: "aid_already_applied",
        second.id: "aid_ineligible",
    }
    [filed] = await aid.standing_scenario.rows(AidApplication, third)
    assert result.filed == (filed.id,)


async def test_application_without_class_covers_the_school(aid: AidScenario) -> None:
    result = await aid.apply_for_class(ApplyForClass(AidKind.GRANT))
    assert len(result.filed) == len(aid.standing_scenario.school.students)
    again = await aid.apply_for_class(ApplyForClass(AidKind.GRANT))
    assert (again.filed, len(again.skipped)) == ((), len(result.filed))


async def test_class_of_another_school_is_not_found(aid: AidScenario) -> None:
    foreign = aid.standing_scenario.roll_call_scenario.world.sister.classes[0].id
    with pytest.raises(NotFound):
        await aid.apply_for_class(ApplyForClass(AidKind.GRANT, foreign))


async def test_student_cannot_file_for_another_student(aid: AidScenario) -> None:
    other: SampleStudent = aid.standing_scenario.school.students[1]
    own = student_account(aid.standing_scenario.school, aid.pupil)
    with pytest.raises(Exception, match="row-level security"):
        async with aid.standing_scenario.transaction(own) as session:
            session.add(
                AidApplication(
                    id=new_id(),
                    school_id=other.school_id,
                    student_id=other.id,
                    kind="grant",
                    term_code="2026-autumn",
                    attempt=1,
                    filed_by=own.account_id,
                    filed_at=aid.standing_scenario.at,
                )
            )

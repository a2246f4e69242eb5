"""Thresholds of a deployment: probes of rehearsals, learning, versions, and which students they apply to."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import ProgrammingError

from backend.core.app_context import AppContext, check_production_settings
from backend.core.clock import legal_day
from backend.core.errors import NotPermitted
from backend.core.tables import AuditEntry
from backend.core.tenancy import Scope
from backend.identity.face.calibration import learning, report
from backend.identity.face.calibration.errors import (
    RehearsalAlreadyConfirmed,
    StudentNotInRehearsal,
    ThresholdNotProposed,
)
from backend.identity.face.calibration.learning import learn_all_thresholds
from backend.identity.face.calibration.lookup import (
    StudentThresholds,
    ThresholdQuery,
    load_one_student_thresholds,
)
from backend.identity.face.calibration.policy import fixed_thresholds
from backend.identity.face.calibration.report import load_school_report
from backend.identity.face.calibration.report_schemas import FaceReportOut
from backend.identity.face.calibration.rules import AgeGroup, Limits, find_effect, group_of
from backend.identity.face.calibration.tables import FaceCalibrationProbe, FaceThresholdVersion
from backend.identity.face.calibration.versions import VersionRow, approve_version, load_in_force
from backend.identity.face.match_references import load_reference
from backend.identity.face.templates import shred_face_data
from backend.people.tables import Student
from backend.policy import PolicyAt, load_policies
from biometrics.engines.base import EngineKey
from biometrics.matching.decision import Method, ThresholdsInvalid
from tests.support.identity.rehearsals import Rehearsals, engine_policy, new_school
from tests.support.identity.scenario import IdentityScenario
from tests.support.province import (
    PROVINCE_PATH,
    SampleSchool,
    SampleStudent,
    province_account,
    registrar_account,
)

PROVINCE = Scope.wide(PROVINCE_PATH)
pytestmark = pytest.mark.xdist_group("face_thresholds")


@pytest.fixture
async def rehearsals(scenario: IdentityScenario, monkeypatch: pytest.MonkeyPatch) -> Rehearsals:
    """A version of the engine that no other test uses, in the policy of learning."""
    engine = EngineKey("dlib-onnx", uuid4().hex)

    def policy(_: AppContext, at: datetime) -> PolicyAt:
        return engine_policy(at, engine)

    monkeypatch.setattr(learning, "province_policy", policy)
    return Rehearsals(scenario.app_context, scenario.owner, engine)


async def learn(rehearsals: Rehearsals, *, only_after_growth: bool = False) -> FaceThresholdVersion | None:
    results = await learn_all_thresholds(rehearsals.app_context, only_after_growth=only_after_growth)
    own = [each for each in results if each.engine == rehearsals.engine]
    return own[0].version if own else None


async def approve(scenario: IdentityScenario, version: FaceThresholdVersion) -> VersionRow:
    actor = province_account(scenario.world.province)
    async with scenario.app_context.database.transaction(actor.scope) as session:
        return await approve_version(session, actor, version.id, "已核对报告", scenario.clock())


async def in_force(rehearsals: Rehearsals) -> int | None:
    async with rehearsals.app_context.database.transaction(PROVINCE) as session:
        version = await load_in_force(session, rehearsals.engine)
    return None if version is None else version.version


async def thresholds_of(rehearsals: Rehearsals, student: SampleStudent) -> StudentThresholds:
    app_context = rehearsals.app_context
    at = app_context.clock()
    policy = engine_policy(at, rehearsals.engine)
    async with app_context.database.transaction(Scope.school(student.school_id)) as session:
        reference = await load_reference(
            session, app_context.keys, student.id, policy, school_id=student.school_id
        )
        assert reference is not None
        query = ThresholdQuery(student.id, reference, policy, legal_day(at))
        return await load_one_student_thresholds(session, app_context, student.school_id, query)


async def count_probes(rehearsals: Rehearsals, school: SampleSchool, *conditions: object) -> int:
    query = select(func.count()).where(FaceCalibrationProbe.school_id == school.id, *conditions)  # type: ignore[arg-type]
    async with rehearsals.app_context.database.transaction(Scope.school(school.id)) as session:
        return await session.scalar(query) or 0


# --- probes ---


async def test_only_confirmed_check_ins_are_learned_from(
    scenario: IdentityScenario, rehearsals: Rehearsals
) -> None:
    school = await new_school(scenario, rehearsals, 60)
    await rehearsals.enrol(school.students)
    rehearsal = await rehearsals.check_in(school.students)
    assert await learn(rehearsals) is None
    for klass in school.classes:
        await rehearsals.confirm(school, klass, rehearsal)
    version = await learn(rehearsals)
    assert version is not None
    assert (version.people, version.probes, version.minimum) == (60, 60, 30)
    assert [each["group"] for each in version.groups] == ["female 18 and over"]
    assert 0 < version.reject_below <= version.accept_from < 1


async def test_excluded_students_are_deleted_and_a_class_is_confirmed_once(
    scenario: IdentityScenario, rehearsals: Rehearsals
) -> None:
    school = await new_school(scenario, rehearsals, 8)
    klass = school.classes[0]
    await rehearsals.enrol(klass.students)
    rehearsal = await rehearsals.check_in(klass.students)
    absent = klass.students[0].id
    with pytest.raises(StudentNotInRehearsal):
        await rehearsals.confirm(school, klass, rehearsal, [school.classes[1].students[0].id])
    row = await rehearsals.confirm(school, klass, rehearsal, [absent])
    assert (row.confirmed, row.excluded) == (3, 1)
    assert await count_probes(rehearsals, school, FaceCalibrationProbe.student_id == absent) == 0
    assert await count_probes(rehearsals, school, FaceCalibrationProbe.confirmation_id == row.id) == 3
    with pytest.raises(RehearsalAlreadyConfirmed):
        await rehearsals.confirm(school, klass, rehearsal)


@pytest.mark.clause("HN334-3.1")
async def test_a_consent_to_an_earlier_text_does_not_cover_probes(
    scenario: IdentityScenario, rehearsals: Rehearsals
) -> None:
    school = await new_school(scenario, rehearsals, 4)
    one, *others = school.students
    await rehearsals.enrol([one], consent="face-template-1")
    await rehearsals.enrol(others)
    await rehearsals.check_in(school.students)
    assert await count_probes(rehearsals, school) == 3
    assert await count_probes(rehearsals, school, FaceCalibrationProbe.student_id == one.id) == 0


@pytest.mark.clause("HN334-3.1")
async def test_probes_are_deleted_with_the_key(scenario: IdentityScenario, rehearsals: Rehearsals) -> None:
    school = await new_school(scenario, rehearsals, 4)
    await rehearsals.rehearse(school)
    one = school.students[0]
    async with scenario.app_context.database.transaction(Scope.school(school.id)) as session:
        await shred_face_data(session, [one.id], scenario.clock())
    assert await count_probes(rehearsals, school, FaceCalibrationProbe.student_id == one.id) == 0
    assert await count_probes(rehearsals, school) == 3


async def test_probes_of_the_day_of_enrolment_do_not_count(
    scenario: IdentityScenario, rehearsals: Rehearsals
) -> None:
    school = await new_school(scenario, rehearsals, 60)
    await rehearsals.enrol(school.students)
    same_day = legal_day(scenario.clock() - timedelta(days=1))
    rehearsal = await rehearsals.check_in(school.students, day=same_day)
    for klass in school.classes:
        await rehearsals.confirm(school, klass, rehearsal)
    assert await learn(rehearsals) is None


async def test_only_the_newest_probes_are_kept(scenario: IdentityScenario, rehearsals: Rehearsals) -> None:
    school = await new_school(scenario, rehearsals, 4)
    klass = school.classes[0]
    await rehearsals.enrol(klass.students)
    for _ in range(5):
        rehearsal = await rehearsals.check_in(klass.students)
        await rehearsals.confirm(school, klass, rehearsal)
    assert await count_probes(rehearsals, school) == 2 * 3


async def test_probes_that_wait_do_not_replace_confirmed_ones(
    scenario: IdentityScenario, rehearsals: Rehearsals
) -> None:
    school = await new_school(scenario, rehearsals, 4)
    klass = school.classes[0]
    await rehearsals.enrol(klass.students)
    first = await rehearsals.check_in(klass.students)
    for _ in range(3):  # later rehearsals that no counselor has confirmed yet
        await rehearsals.check_in(klass.students)
    await rehearsals.confirm(school, klass, first)
    confirmed = FaceCalibrationProbe.confirmation_id.is_not(None)
    assert await count_probes(rehearsals, school, confirmed) == 2
    assert await count_probes(rehearsals, school) == 2 + 2 * 3


# --- versions ---


async def test_the_first_version_waits_for_the_province_and_a_looser_one_too(
    scenario: IdentityScenario, rehearsals: Rehearsals
) -> None:
    alike = await new_school(scenario, rehearsals, 60)
    await rehearsals.rehearse(alike, likeness=0.6)
    first = await learn(rehearsals)
    assert first is not None
    assert (first.version, first.effect, first.reason) == (1, "approval", "first")
    assert await in_force(rehearsals) is None
    await approve(scenario, first)
    assert await in_force(rehearsals) == 1
    different = await new_school(scenario, rehearsals, 240)
    await rehearsals.rehearse(different)
    second = await learn(rehearsals, only_after_growth=True)
    assert second is not None
    assert (second.reason, second.accept_from < first.accept_from) == ("loosened", True)
    assert await in_force(rehearsals) == 1
    await approve(scenario, second)
    assert await in_force(rehearsals) == 2


async def test_a_stricter_version_takes_effect_at_once(
    scenario: IdentityScenario, rehearsals: Rehearsals
) -> None:
    school = await new_school(scenario, rehearsals, 60)
    await rehearsals.rehearse(school)
    first = await learn(rehearsals)
    assert first is not None
    await approve(scenario, first)
    assert await learn(rehearsals, only_after_growth=True) is None
    alike = await new_school(scenario, rehearsals, 60)
    await rehearsals.rehearse(alike, likeness=0.8)
    second = await learn(rehearsals, only_after_growth=True)
    assert second is not None
    assert (second.effect, second.reason) == ("at_once", "tightened")
    assert await in_force(rehearsals) == 2
    async with scenario.app_context.database.transaction(PROVINCE) as session:
        acts = await session.scalars(
            select(AuditEntry.action).where(AuditEntry.subject_id.in_([str(first.id), str(second.id)]))
        )
        assert sorted(acts) == ["FaceThresholdApproved", "FaceThresholdLearned", "FaceThresholdLearned"]


async def test_only_the_province_approves_and_only_the_newest(
    scenario: IdentityScenario, rehearsals: Rehearsals
) -> None:
    school = await new_school(scenario, rehearsals, 60)
    await rehearsals.rehearse(school)
    first, second = await learn(rehearsals), await learn(rehearsals)
    assert first is not None
    assert second is not None
    registrar = registrar_account(school)
    async with scenario.app_context.database.transaction(registrar.scope) as session:
        with pytest.raises(NotPermitted):
            await approve_version(session, registrar, second.id, "同意", scenario.clock())
    with pytest.raises(ThresholdNotProposed):
        await approve(scenario, first)
    await approve(scenario, second)
    with pytest.raises(ThresholdNotProposed):
        await approve(scenario, second)


async def test_versions_cannot_be_changed_or_written_by_a_school(
    scenario: IdentityScenario, rehearsals: Rehearsals
) -> None:
    school = await new_school(scenario, rehearsals, 60)
    await rehearsals.rehearse(school)
    version = await learn(rehearsals)
    assert version is not None
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with scenario.app_context.database.transaction(PROVINCE) as session:
            (await session.get_one(FaceThresholdVersion, version.id)).accept_from = 0.0
            await session.flush()
    values = {column.name: getattr(version, column.name) for column in FaceThresholdVersion.__table__.columns}
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with scenario.app_context.database.transaction(Scope.school(school.id)) as session:
            session.add(FaceThresholdVersion(**values | {"id": uuid4(), "version": 99}))
            await session.flush()


# --- which students they apply to ---


async def test_thresholds_apply_to_large_groups_of_rehearsed_schools_only(
    scenario: IdentityScenario, rehearsals: Rehearsals
) -> None:
    school = await new_school(scenario, rehearsals, 60)
    await rehearsals.rehearse(school)
    one = school.students[0]
    assert (await thresholds_of(rehearsals, one)).missing == "no_threshold"
    version = await learn(rehearsals)
    assert version is not None
    assert (await thresholds_of(rehearsals, one)).missing == "no_threshold"
    await approve(scenario, version)
    found = await thresholds_of(rehearsals, one)
    assert found.limits is not None
    assert found.limits.accept_from == version.accept_from
    assert (found.version, found.missing, found.group) == (1, None, "female 18 and over")
    other = await new_school(scenario, rehearsals, 4)
    await rehearsals.enrol(other.students)
    assert (await thresholds_of(rehearsals, other.students[0])).missing == "school_not_rehearsed"
    await rehearsals.make_one_group(school, birth_date=date(2012, 3, 1))
    found = await thresholds_of(rehearsals, one)
    assert (found.missing, found.group, found.limits) == ("group_too_small", "female under 16", None)


async def test_a_school_of_lookalikes_has_a_higher_threshold(
    scenario: IdentityScenario, rehearsals: Rehearsals
) -> None:
    crowd = await new_school(scenario, rehearsals, 240)
    alike = await new_school(scenario, rehearsals, 60)
    await rehearsals.rehearse(crowd)
    await rehearsals.rehearse(alike, likeness=0.8)
    version = await learn(rehearsals)
    assert version is not None
    await approve(scenario, version)
    ordinary = await thresholds_of(rehearsals, crowd.students[0])
    raised = await thresholds_of(rehearsals, alike.students[0])
    assert ordinary.limits is not None
    assert raised.limits is not None
    assert raised.limits.accept_from > ordinary.limits.accept_from == version.accept_from


async def test_thresholds_of_a_demonstration_are_not_used_outside_of_it(
    scenario: IdentityScenario, rehearsals: Rehearsals
) -> None:
    own = scenario.app_context
    settings = own.settings.model_copy(update={"face_demonstration": True})
    demonstration = replace(rehearsals, app_context=replace(own, settings=settings))
    school = await new_school(scenario, rehearsals, 40)
    await rehearsals.rehearse(school)
    version = await learn(demonstration)
    assert version is not None
    assert version.demonstration
    await approve(scenario, version)
    inside = await thresholds_of(demonstration, school.students[0])
    assert inside.limits is not None
    assert inside.trace()["demonstration"]
    assert (await thresholds_of(rehearsals, school.students[0])).missing == "demonstration_only"


def test_production_refuses_the_figures_of_a_demonstration(scenario: IdentityScenario) -> None:
    production = scenario.app_context.settings.model_copy(
        update={"env": "production", "face_demonstration": True, "test_engine": False, "clock_file": None}
    )
    with pytest.raises(RuntimeError, match="DIANMING_FACE_DEMONSTRATION"):
        check_production_settings(production)


# --- the report of a school ---


async def test_report_says_what_is_missing_and_what_to_expect(
    scenario: IdentityScenario, rehearsals: Rehearsals, monkeypatch: pytest.MonkeyPatch
) -> None:
    def policy(_: AppContext, at: datetime) -> PolicyAt:
        return engine_policy(at, rehearsals.engine)

    monkeypatch.setattr(report, "province_policy", policy)
    app_context, at = scenario.app_context, scenario.clock()
    school = await new_school(scenario, rehearsals, 60)
    await rehearsals.enrol(school.students)
    before = await load_school_report(app_context, school.id, at)
    assert before.missing == ("rehearsal_not_confirmed", "threshold_not_learned")
    assert (before.enrolled, before.probed, before.shares) == (60, 0, None)
    assert before.looks is not None
    assert before.looks.value == 60  # people look at everyone
    rehearsal = await rehearsals.check_in(school.students)
    for klass in school.classes:
        await rehearsals.confirm(school, klass, rehearsal)
    version = await learn(rehearsals)
    assert version is not None
    waiting = await load_school_report(app_context, school.id, at)
    assert (waiting.missing, waiting.version) == (("threshold_not_approved",), None)
    await approve(scenario, version)
    found = await load_school_report(app_context, school.id, at)
    assert (found.missing, found.version, found.probed) == ((), 1, 60)
    [group] = found.groups
    assert (group.group, group.enrolled, group.deployment_people, group.proven) == (
        "female 18 and over",
        60,
        60,
        True,
    )
    assert found.shares is not None
    total = found.shares.accepted.value + found.shares.doubtful.value + found.shares.refused.value
    assert total == pytest.approx(1)
    assert found.shares.accepted.low < found.shares.accepted.value
    assert found.looks is not None
    assert found.looks.value == pytest.approx(60 * (1 - found.shares.accepted.value))
    assert found.looks.high > found.looks.value
    assert FaceReportOut.of(found).model_dump(mode="json")["demonstration"] is False


async def test_report_puts_groups_without_thresholds_first(
    scenario: IdentityScenario, rehearsals: Rehearsals, monkeypatch: pytest.MonkeyPatch
) -> None:
    def policy(_: AppContext, at: datetime) -> PolicyAt:
        return engine_policy(at, rehearsals.engine)

    monkeypatch.setattr(report, "province_policy", policy)
    school = await new_school(scenario, rehearsals, 60)
    await rehearsals.rehearse(school)
    version = await learn(rehearsals)
    assert version is not None
    await approve(scenario, version)
    async with scenario.owner.transaction(PROVINCE) as session:
        young = [each.id for each in school.students[:5]]
        await session.execute(
            update(Student).where(Student.id.in_(young)).values(birth_date=date(2012, 3, 1))
        )
    found = await load_school_report(scenario.app_context, school.id, scenario.clock())
    assert [(each.group, each.proven) for each in found.groups] == [
        ("female under 16", False),
        ("female 18 and over", True),
    ]
    assert found.missing == ("group_below_minimum",)
    assert found.looks is not None
    assert found.looks.value >= 5


async def test_report_of_a_school_without_photographs(scenario: IdentityScenario) -> None:
    found = await load_school_report(scenario.app_context, scenario.school.id, scenario.clock())
    assert (found.engine, found.enrolled) == (None, 0)
    assert "rehearsal_not_confirmed" in found.missing


# --- pure rules ---


AGES = (AgeGroup(0, "under 16"), AgeGroup(16, "16-17"), AgeGroup(18, "18 and over"))


@pytest.mark.parametrize(
    ("born", "group"),
    [
        (date(2011, 3, 2), "male under 16"),
        (date(2010, 3, 1), "male 16-17"),
        (date(2008, 3, 2), "male 16-17"),
        (date(2008, 3, 1), "male 18 and over"),
    ],
)
def test_students_are_grouped_by_sex_and_age(born: date, group: str) -> None:
    assert group_of("male", born, date(2026, 3, 1), AGES) == group


def test_effect_of_a_new_version() -> None:
    now = Limits(Method.NEUTRAL, 0, 0.5)
    assert find_effect(None, now) == ("approval", "first")
    assert find_effect(now, replace(now, accept_from=0.6)) == ("at_once", "tightened")
    assert find_effect(now, now) == ("at_once", "unchanged")
    assert find_effect(now, replace(now, accept_from=0.4)) == ("approval", "loosened")
    assert find_effect(now, replace(now, population_version=1, accept_from=0.6)) == (
        "approval",
        "scoring_changed",
    )


def test_only_the_test_engine_has_fixed_thresholds() -> None:
    policy = load_policies().at(date(2026, 3, 1), "410000")
    fixed = fixed_thresholds(policy, EngineKey("test-pattern", "1"), Method.NEUTRAL)
    assert fixed is not None
    assert fixed_thresholds(policy, EngineKey("dlib-onnx", "1"), Method.CENTRED) is None

    @dataclass(frozen=True)
    class Careless(PolicyAt):
        def text(self, parameter: str) -> str:
            return "fixed" if parameter.endswith(".thresholds") else super().text(parameter)

    careless = Careless(policy.policy, policy.day, policy.lineage)
    with pytest.raises(ThresholdsInvalid):
        fixed_thresholds(careless, EngineKey("dlib-onnx", "1"), Method.CENTRED)

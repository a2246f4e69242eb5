"""The search for one face under two names: off by default, few pairs, and nothing happens before a person confirms."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy import select, update

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.tables import OutboxEvent
from backend.core.tenancy import Scope
from backend.identity.events import DuplicateCandidateFound
from backend.identity.face.duplicates import candidates, search
from backend.identity.face.duplicates.errors import SearchWithoutLegalBasis
from backend.identity.face.duplicates.notifications import notify_duplicate_candidate
from backend.identity.face.duplicates.policy import SearchRules, find_search_rules
from backend.identity.face.duplicates.search import search_province, search_school
from backend.identity.face.duplicates.tables import DuplicateAnswer, DuplicateCandidate, DuplicateSearchRun
from backend.identity.face.picture_refs import PortraitRef
from backend.identity.face.templates import store_template
from backend.identity.pictures.tables import PictureView
from backend.identity.policy import province_policy
from backend.identity.tables import FaceEnrolment, Portrait
from backend.people.tables import Consent
from backend.policy import PolicyAt
from backend.staff_api.organisation.duplicates import router
from biometrics.engines.base import EngineKey, Metric
from biometrics.matching.decision import FaceTemplate
from biometrics.matching.duplicates import Singles, to_directions
from tests.support.pictures import seal_and_store
from tests.support.province import (
    SampleSchool,
    SampleStudent,
    counselor_account,
    province_account,
    registrar_account,
)
from tests.support.roll_call.scenario import RollCallScenario, create_scenario
from tests.support.staff_client import StaffClient, staff_client

pytestmark = pytest.mark.clause("HN334-3.1")
PAIRS = "/v1/duplicate-candidates"
RULES = SearchRules("某省教育厅〔2026〕1 号第三条", per_school_week=3, false_pairs=0.1)
DIMENSION = 128


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> SearchRules:
    """Switch the search on."""
    for module in (search, candidates):
        monkeypatch.setattr(module, "find_search_rules", lambda _: RULES)
    return RULES


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> RollCallScenario:
    return await create_scenario(app_context, owner, students=20)


@pytest.fixture
async def api(scenario: RollCallScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(scenario.app_context, router)
    yield client
    await client.http.aclose()


@pytest.fixture
def engine() -> EngineKey:
    """An engine of this test alone: the nightly search covers the whole province."""
    return EngineKey(f"t{new_id().hex[:12]}", "1")


def strangers(people: int, seed: int) -> Singles:
    rng = np.random.default_rng(seed)
    return to_directions(rng.normal(size=(people, DIMENSION)) + 0.3)


async def enrol(
    scenario: RollCallScenario,
    engine: EngineKey,
    students: Sequence[SampleStudent],
    faces: Singles,
    *,
    agreed: bool = True,
) -> None:
    """Store templates and portraits, with the consents."""
    at = scenario.clock()
    kinds = ("face_use", "face_template_storage", *(("face_search",) if agreed else ()))
    portraits = []
    async with scenario.owner_transaction() as session:
        for student, face in zip(students, faces, strict=True):
            ids: dict[str, Any] = {"school_id": student.school_id, "student_id": student.id}
            session.add_all(
                Consent(id=new_id(), kind=kind, text_version=f"{kind}-1", granted=True, at=at, **ids)
                for kind in kinds
            )
            portrait = Portrait(
                id=new_id(),
                evidence_key=f"pictures/{new_id().hex}",
                sha256=b"\0" * 32,
                status="accepted",
                reasons=[],
                submitted_at=at,
                **ids,
            )
            enrolment = FaceEnrolment(
                id=new_id(), status="accepted", shots=3, reasons=[], submitted_at=at, decided_at=at, **ids
            )
            session.add_all([portrait, enrolment])
            await session.flush()
            portraits.append(portrait)
            template = FaceTemplate(engine, Metric.L2, face, 3, 0.1)
            await store_template(session, scenario.app_context.keys, enrolment, template, at)
    for portrait in portraits[-2:]:
        await seal_and_store(scenario.app_context, PortraitRef.of(portrait).picture, b"picture")


async def enrol_school_with_double(scenario: RollCallScenario, engine: EngineKey) -> list[SampleStudent]:
    """Forty students; the last two are one person."""
    faces = strangers(40, seed=new_id().int % 1000)
    faces[39] = to_directions([faces[38] + np.random.default_rng(2).normal(size=DIMENSION) * 0.01])[0]
    students = [student for klass in scenario.school.classes for student in klass.students]
    await enrol(scenario, engine, students, faces)
    return students


async def load_pairs(scenario: RollCallScenario, engine: EngineKey) -> list[DuplicateCandidate]:
    async with scenario.owner_transaction() as session:
        rows = await session.scalars(
            select(DuplicateCandidate).where(DuplicateCandidate.engine == str(engine))
        )
        return list(rows)


async def open_portraits(api: StaffClient, actor: Actor, pair_id: str) -> list[int]:
    paths = [f"{PAIRS}/{pair_id}/portraits/{whose}" for whose in ("student", "other")]
    return [(await api.get(actor, path)).status_code for path in paths]


async def answer(api: StaffClient, actor: Actor, pair_id: str, answered: str) -> Any:
    return await api.post(actor, f"{PAIRS}/{pair_id}/answer", {"answer": answered})


# --- the switch ---


class FakePolicy:
    """A policy with the two parameters of the switch."""

    def __init__(self, *, enabled: bool, basis: str) -> None:
        self._enabled, self._basis = enabled, basis

    def flag(self, _: str) -> bool:
        return self._enabled

    def text(self, _: str) -> str:
        return self._basis

    def integer(self, _: str) -> int:
        return 3

    def ratio(self, _: str) -> float:
        return 0.1


def test_shipped_policy_switches_the_search_off(scenario: RollCallScenario) -> None:
    assert find_search_rules(province_policy(scenario.app_context, scenario.clock())) is None


def test_search_without_a_legal_basis_is_refused() -> None:
    with pytest.raises(SearchWithoutLegalBasis):
        find_search_rules(cast("PolicyAt", FakePolicy(enabled=True, basis="none")))
    found = find_search_rules(cast("PolicyAt", FakePolicy(enabled=True, basis=RULES.legal_basis)))
    assert found == RULES


async def test_nothing_is_compared_while_the_search_is_off(
    scenario: RollCallScenario, engine: EngineKey, api: StaffClient
) -> None:
    students = await enrol_school_with_double(scenario, engine)
    assert await search_school(scenario.app_context, scenario.school.id, students[39].id) == 0
    assert await search_province(scenario.app_context) == 0
    async with scenario.owner_transaction() as session:
        runs = await session.scalars(
            select(DuplicateSearchRun).where(DuplicateSearchRun.engine == str(engine))
        )
        assert runs.all() == []
    assert await api.every(scenario.bureau, PAIRS) == []


# --- the search ---


@pytest.mark.usefixtures("rules")
async def test_one_face_under_two_names_is_found_in_the_school_and_strangers_are_not(
    scenario: RollCallScenario, engine: EngineKey
) -> None:
    students = await enrol_school_with_double(scenario, engine)
    assert await search_school(scenario.app_context, scenario.school.id, students[0].id) == 0
    assert await search_school(scenario.app_context, scenario.school.id, students[39].id) == 1
    assert await search_school(scenario.app_context, scenario.school.id, students[38].id) == 0  # asked about
    (pair,) = await load_pairs(scenario, engine)
    assert (pair.student_id, pair.other_student_id) == (students[39].id, students[38].id)
    assert pair.score > pair.shown_from
    assert pair.compared == 40 * 39


@pytest.mark.usefixtures("rules")
async def test_faces_of_students_who_did_not_agree_are_not_compared(
    scenario: RollCallScenario, engine: EngineKey
) -> None:
    students = await enrol_school_with_double(scenario, engine)
    async with scenario.owner_transaction() as session:
        await session.execute(
            update(Consent)
            .where(Consent.student_id == students[38].id, Consent.kind == "face_search")
            .values(granted=False)
        )
    assert await search_school(scenario.app_context, scenario.school.id, students[39].id) == 0
    assert await search_school(scenario.app_context, scenario.school.id, students[38].id) == 0


@pytest.mark.usefixtures("rules")
async def test_nightly_search_finds_a_double_in_another_school_once(
    scenario: RollCallScenario, engine: EngineKey
) -> None:
    students = [student for klass in scenario.school.classes for student in klass.students]
    sister: SampleSchool = scenario.world.sister
    faces = strangers(40, seed=5)
    await enrol(scenario, engine, students, faces)
    scenario.clock.at += timedelta(hours=1)
    await search_province(scenario.app_context)  # it also searches the faces of other tests
    assert await load_pairs(scenario, engine) == []
    double = to_directions([faces[7] + np.random.default_rng(3).normal(size=DIMENSION) * 0.01])
    newcomers = sister.classes[0].students[:20]
    await enrol(scenario, engine, newcomers, np.concatenate([double, strangers(19, seed=6)]))
    scenario.clock.at += timedelta(hours=1)
    await search_province(scenario.app_context)
    scenario.clock.at += timedelta(hours=1)
    await search_province(scenario.app_context)
    (pair,) = await load_pairs(scenario, engine)
    assert (pair.student_id, pair.other_student_id) == (newcomers[0].id, students[7].id)
    async with scenario.owner_transaction() as session:
        runs = await session.scalars(
            select(DuplicateSearchRun)
            .where(DuplicateSearchRun.engine == str(engine))
            .order_by(DuplicateSearchRun.id)
        )
        assert [(run.queries, run.candidates, run.legal_basis) for run in runs] == [
            (40, 0, RULES.legal_basis),
            (20, 1, RULES.legal_basis),
            (0, 0, RULES.legal_basis),
        ]


@pytest.mark.usefixtures("rules")
async def test_face_that_was_committed_after_a_run_began_is_searched_by_the_next(
    scenario: RollCallScenario, engine: EngineKey
) -> None:
    students = [student for klass in scenario.school.classes for student in klass.students]
    faces = strangers(40, seed=5)
    await enrol(scenario, engine, students, faces)
    scenario.clock.at += timedelta(seconds=30)
    await search_province(scenario.app_context)
    scenario.clock.at -= timedelta(seconds=10)  # decided before the run read, and committed after it
    double = to_directions([faces[7] + np.random.default_rng(3).normal(size=DIMENSION) * 0.01])
    newcomers = scenario.world.sister.classes[0].students[:20]
    await enrol(scenario, engine, newcomers, np.concatenate([double, strangers(19, seed=6)]))
    scenario.clock.at += timedelta(days=1)
    await search_province(scenario.app_context)
    (pair,) = await load_pairs(scenario, engine)
    assert {pair.student_id, pair.other_student_id} == {newcomers[0].id, students[7].id}


@pytest.mark.usefixtures("rules")
async def test_faces_of_one_instant_are_not_divided_between_two_runs(
    scenario: RollCallScenario, engine: EngineKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_MAX_QUERIES", 15)
    await enrol_school_with_double(scenario, engine)  # forty faces of one instant
    scenario.clock.at += timedelta(days=1)
    await search_province(scenario.app_context)
    async with scenario.owner_transaction() as session:
        runs = await session.scalars(
            select(DuplicateSearchRun.queries).where(DuplicateSearchRun.engine == str(engine))
        )
        assert runs.all() == [40]
    assert len(await load_pairs(scenario, engine)) == 1


async def test_only_a_few_pairs_of_a_school_and_week_go_to_a_person(
    scenario: RollCallScenario, engine: EngineKey, api: StaffClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = replace(RULES, per_school_week=1, false_pairs=1.0)
    for module in (search, candidates):
        monkeypatch.setattr(module, "find_search_rules", lambda _: one)
    faces = strangers(40, seed=11)
    for nearly, exact in ((36, 37), (38, 39)):
        noise = np.random.default_rng(nearly).normal(size=DIMENSION) * (0.02 if nearly == 36 else 0.001)
        faces[exact] = to_directions([faces[nearly] + noise])[0]
    students = [student for klass in scenario.school.classes for student in klass.students]
    await enrol(scenario, engine, students, faces)
    for student in (students[37], students[39]):
        await search_school(scenario.app_context, scenario.school.id, student.id)
    listed = await api.every(scenario.bureau, PAIRS)
    own = [each for each in listed if each["student"]["school_id"] == str(scenario.school.id)]
    assert [each["student"]["student_id"] for each in own] == [str(students[39].id)]


# --- the person ---


@pytest.fixture
async def pair_id(scenario: RollCallScenario, engine: EngineKey, api: StaffClient, rules: SearchRules) -> str:
    students = await enrol_school_with_double(scenario, engine)
    await search_school(scenario.app_context, scenario.school.id, students[39].id)
    (pair,) = await load_pairs(scenario, engine)
    return str(pair.id)


async def load_reports(scenario: RollCallScenario) -> list[dict[str, Any]]:
    async with scenario.owner_transaction() as session:
        rows = await session.scalars(
            select(OutboxEvent.payload).where(
                OutboxEvent.name == "SharedPictureFound",
                OutboxEvent.payload["school_id"].astext == str(scenario.school.id),
            )
        )
        return [dict(each) for each in rows]


async def test_confirmed_pair_is_reported_to_the_school_and_asked_about_once(
    api: StaffClient, scenario: RollCallScenario, pair_id: str
) -> None:
    bureau = scenario.bureau
    assert (await answer(api, bureau, pair_id, "same_person")).json()["code"] == (
        "duplicate_candidate_pictures_not_seen"
    )
    assert await load_reports(scenario) == []
    assert await open_portraits(api, bureau, pair_id) == [200, 200]
    assert (await answer(api, bureau, pair_id, "same_person")).status_code == 201
    (report,) = await load_reports(scenario)
    assert (report["kind"], report["other_school_id"]) == ("same_person", str(scenario.school.id))
    assert (await answer(api, bureau, pair_id, "different")).json()["code"] == "duplicate_candidate_answered"
    async with scenario.owner_transaction() as session:
        views = await session.scalars(
            select(PictureView.purpose).where(PictureView.account_id == bureau.account_id)
        )
        assert views.all() == ["duplicate_search"] * 2


@pytest.mark.parametrize("answered", ["different", "unsure"])
async def test_pair_that_is_not_confirmed_has_no_effect_and_never_comes_again(
    api: StaffClient, scenario: RollCallScenario, pair_id: str, engine: EngineKey, answered: str
) -> None:
    await open_portraits(api, scenario.bureau, pair_id)
    bureau = scenario.bureau
    await open_portraits(api, bureau, pair_id)
    assert (await answer(api, bureau, pair_id, answered)).status_code == 201
    assert await load_reports(scenario) == []
    (pair,) = await load_pairs(scenario, engine)
    for student_id in (pair.student_id, pair.other_student_id):
        assert await search_school(scenario.app_context, scenario.school.id, student_id) == 0
    assert pair_id not in {each["id"] for each in await api.every(bureau, PAIRS)}


async def test_only_superiors_of_both_schools_see_a_pair(
    api: StaffClient, scenario: RollCallScenario, pair_id: str
) -> None:
    assert pair_id in {each["id"] for each in await api.every(scenario.bureau, PAIRS)}
    province = province_account(scenario.world.province)
    assert pair_id in {each["id"] for each in await api.every(province, PAIRS)}
    counselor = counselor_account(scenario.school, scenario.school.classes[0])
    for actor in (registrar_account(scenario.school), counselor):
        assert (await api.get(actor, PAIRS)).status_code == 403
        assert await open_portraits(api, actor, pair_id) == [403, 403]


@pytest.mark.usefixtures("rules")
async def test_answered_pair_looks_unknown_to_the_superior_of_one_school_only(
    api: StaffClient, scenario: RollCallScenario, engine: EngineKey
) -> None:
    students = [student for klass in scenario.school.classes for student in klass.students]
    faces = strangers(40, seed=5)
    double = to_directions([faces[7] + np.random.default_rng(3).normal(size=DIMENSION) * 0.01])
    await enrol(scenario, engine, students, faces)
    others = scenario.world.direct.classes[0].students[:2]
    await enrol(scenario, engine, others, np.concatenate([double, strangers(1, seed=6)]))
    scenario.clock.at += timedelta(hours=1)
    await search_province(scenario.app_context)
    (pair,) = await load_pairs(scenario, engine)
    assert pair.other_school_id != pair.school_id
    async with scenario.owner_transaction() as session:
        session.add(
            DuplicateAnswer(
                candidate_id=pair.id,
                school_id=pair.school_id,
                other_school_id=pair.other_school_id,
                answer="different",
                note="",
                answered_by=new_id(),
                at=scenario.clock(),
            )
        )
    province = province_account(scenario.world.province)
    assert (await answer(api, province, str(pair.id), "different")).json()["code"] == (
        "duplicate_candidate_answered"
    )
    refused = await answer(api, scenario.bureau, str(pair.id), "different")
    unknown = await answer(api, scenario.bureau, str(new_id()), "different")
    assert (refused.status_code, refused.json()["code"]) == (404, unknown.json()["code"])


async def test_withdrawn_consent_hides_the_pair(
    api: StaffClient, scenario: RollCallScenario, pair_id: str, engine: EngineKey
) -> None:
    (pair,) = await load_pairs(scenario, engine)
    async with scenario.owner_transaction() as session:
        await session.execute(
            update(Consent)
            .where(Consent.student_id == pair.other_student_id, Consent.kind == "face_search")
            .values(granted=False)
        )
    assert pair_id not in {each["id"] for each in await api.every(scenario.bureau, PAIRS)}
    assert await open_portraits(api, scenario.bureau, pair_id) == [404, 404]


async def test_superior_gets_a_notice_without_names(scenario: RollCallScenario, pair_id: str) -> None:
    async with scenario.owner_transaction() as session:
        payload = await session.scalar(
            select(OutboxEvent.payload).where(
                OutboxEvent.name == "DuplicateCandidateFound",
                OutboxEvent.payload["candidate_id"].astext == pair_id,
            )
        )
    event = DuplicateCandidateFound.parse(payload)
    assert event == DuplicateCandidateFound(path=scenario.bureau.org_path, candidate_id=UUID(pair_id))
    async with scenario.app_context.database.transaction(Scope.wide(event.path)) as session:
        await notify_duplicate_candidate(session, event, scenario.clock())

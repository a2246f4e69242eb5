"""The registrar's notice after a rehearsal: what was confirmed, what the school may expect, and where the report is."""

from datetime import datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from backend.core.app_context import AppContext
from backend.core.ids import new_id
from backend.core.jobs import job_app
from backend.core.tables import OutboxEvent
from backend.core.tenancy import Scope
from backend.events import deliver
from backend.identity.face.calibration import report, tasks
from backend.identity.face.calibration.report import SchoolReport
from backend.identity.face.calibration.texts import rehearsal_confirmed_to_staff
from backend.identity.tables import Account
from backend.notice.tables import Notice, NoticeMessage
from backend.policy import PolicyAt
from biometrics.engines.base import EngineKey
from biometrics.matching.learned_thresholds import GenuineShares, Share
from tests.support.identity.rehearsals import Rehearsals, engine_policy, new_school
from tests.support.identity.scenario import IdentityScenario
from tests.support.province import PROVINCE_PATH, SampleSchool
from tests.support.roll_call.scenario import make_job_context


def make_report(
    *,
    shares: GenuineShares | None,
    looks: Share | None,
    missing: tuple[str, ...] = (),
    demonstration: bool = False,
) -> SchoolReport:
    return SchoolReport(
        school_id=new_id(),
        engine=EngineKey("sface", "1"),
        enrolled=500,
        probed=480,
        minimum=50,
        demonstration=demonstration,
        version=1,
        accept_from=0.4,
        reject_below=0.2,
        groups=(),
        shares=shares,
        looks=looks,
        missing=missing,
    )


def test_text_says_what_share_passes_and_how_many_students_people_look_at() -> None:
    shares = GenuineShares(
        480, Share(0.9512, 0.928, 0.968), Share(0.0423, 0.027, 0.064), Share(0.0065, 0.002, 0.019)
    )
    found = make_report(shares=shares, looks=Share(24.4, 16.2, 36.0))
    text = rehearsal_confirmed_to_staff(41, 2, 480, found)
    assert (
        "通过 95.1 % (92.8–96.8)、存疑 4.2 % (2.7–6.4)、不符 0.7 % (0.2–1.9)（依据本校 480 人）"
        in text.body.zh
    )
    assert "500 名已采集人脸的学生全部签到时，每次预计有 25 (17–36) 人要人工核对" in text.body.zh
    assert text.body.zh.endswith("各组的数字见“人脸报告”。")
    assert "95.1 % (92.8–96.8) of the faces that check in would be accepted" in text.body.en
    assert "people have to look at 25 (17–36) of them each time" in text.body.en
    assert text.body.en.endswith("The figures of each group are in the face report.")
    assert "演示" not in text.body.zh


def test_text_without_thresholds_says_why_people_decide_about_everyone() -> None:
    found = make_report(shares=None, looks=Share(500, 500, 500), missing=("threshold_not_learned",))
    text = rehearsal_confirmed_to_staff(41, 0, 41, found)
    assert "通过" not in text.body.zh
    assert "每次预计有 500 人要人工核对" in text.body.zh
    assert report.MISSING["threshold_not_learned"][0] in text.body.zh
    assert report.MISSING["threshold_not_learned"][1] in text.body.en


def test_text_of_a_demonstration_claims_no_rate() -> None:
    text = rehearsal_confirmed_to_staff(
        41, 0, 41, make_report(shares=None, looks=Share(1, 1, 1), demonstration=True)
    )
    assert "演示参数" in text.body.zh
    assert "claim no error rate" in text.body.en


async def add_registrar(scenario: IdentityScenario, school: SampleSchool) -> UUID:
    account_id = new_id()
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        session.add(
            Account(
                id=account_id,
                kind="registrar",
                org_id=school.id,
                org_path=school.path,
                school_id=school.id,
                login=f"t{account_id.hex}",
                display_name="某某",
                status="active",
                password_hash="-",
                totp_sealed=b"-",
                created_at=scenario.clock(),
            )
        )
    return account_id


async def load_notices(scenario: IdentityScenario, account_id: UUID) -> list[NoticeMessage]:
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        rows = await session.scalars(
            select(NoticeMessage)
            .join(Notice, Notice.message_id == NoticeMessage.id)
            .where(Notice.account_id == account_id)
        )
        return list(rows)


async def test_registrar_is_told_the_school_s_figures_once(
    scenario: IdentityScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = EngineKey("dlib-onnx", uuid4().hex)

    def policy(_: AppContext, at: datetime) -> PolicyAt:
        return engine_policy(at, engine)

    monkeypatch.setattr(report, "province_policy", policy)
    rehearsals = Rehearsals(scenario.app_context, scenario.owner, engine)
    school = await new_school(scenario, rehearsals, 6)
    registrar = await add_registrar(scenario, school)
    await rehearsals.enrol(school.students)
    rehearsal = await rehearsals.check_in(school.classes[0].students)
    confirmation = await rehearsals.confirm(school, school.classes[0], rehearsal)
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        event = (
            await session.scalars(
                select(OutboxEvent).where(
                    OutboxEvent.payload["confirmation_id"].astext == str(confirmation.id)
                )
            )
        ).one()
    await deliver(scenario.app_context, str(event.id))
    assert (
        await load_notices(scenario, registrar) == []
    )  # computed by a job, not while the event is delivered
    for _ in range(2):  # a job may run twice
        await job_app.tasks[tasks.report_rehearsal.name].func(
            make_job_context(scenario.app_context), event=event.payload
        )
    (message,) = await load_notices(scenario, registrar)
    assert "确认了 3 名在场学生（排除 0 名），全校已有 3 名学生" in message.body_zh
    assert "6 名已采集人脸的学生全部签到时，每次预计有 6 人要人工核对" in message.body_zh
    assert message.data["school_id"] == str(school.id)

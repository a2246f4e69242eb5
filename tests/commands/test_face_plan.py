"""`dianming face plan` for the enrolled students of a test school."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from backend.commands.face_command import app
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.identity.face.templates import store_template
from backend.identity.tables import FaceEnrolment
from biometrics.engines.base import EngineKey, Metric
from biometrics.engines.sface import KEY as SHIPPED
from biometrics.matching.decision import FaceTemplate
from tests.support.biometrics.tiny_models import embedder_spec, write_engine_spec
from tests.support.identity.scenario import IdentityScenario, identity_scenario
from tests.support.province import SampleStudent

pytestmark = pytest.mark.usefixtures("_engine_loaded_once")

REMOVED = EngineKey("of-yesterday", "3")


@pytest.fixture
async def stage(app_context: AppContext, owner: Database) -> AsyncIterator[IdentityScenario]:
    async with identity_scenario(app_context, owner) as stage:
        yield stage


async def enrol(
    stage: IdentityScenario, pupil: SampleStudent, engine: EngineKey, *, shots_gone: bool
) -> None:
    at = stage.clock()
    enrolment = FaceEnrolment(
        id=new_id(),
        school_id=pupil.school_id,
        student_id=pupil.id,
        status="accepted",
        shots=3,
        reasons=[],
        submitted_at=at,
        decided_at=at,
        shots_deleted_at=at if shots_gone else None,
    )
    template = FaceTemplate(engine, Metric.L2, np.ones(128, np.float32), 3, 0.2)
    async with stage.app_context.database.transaction(Scope.student(pupil.school_id, pupil.id)) as session:
        session.add(enrolment)
        await session.flush()
        await store_template(session, stage.app_context.keys, enrolment, template, at)


async def run_plan(*arguments: object) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["plan", *map(str, arguments)])


async def run_plan_json(*arguments: object) -> dict[str, Any]:
    result = await run_plan(*arguments, "--json")
    assert result.exit_code == 0, result.output
    plan: dict[str, Any] = json.loads(result.stdout)
    return plan


@pytest.fixture
async def school(stage: IdentityScenario, environment: None) -> IdentityScenario:
    """Two students enrolled by the shipped engine, one with stored shots, and one by an engine that is no longer enabled."""
    first, second, third = stage.school.students[:3]
    await enrol(stage, first, SHIPPED, shots_gone=False)
    await enrol(stage, second, SHIPPED, shots_gone=True)
    await enrol(stage, third, REMOVED, shots_gone=False)
    return stage


def school_rows(plan: dict[str, Any], stage: IdentityScenario) -> list[tuple[str, str, int, int]]:
    return [
        (row["engine"], row["state"], row["templates"], row["shots_kept"])
        for row in plan["schools"]
        if row["school_id"] == str(stage.school.id)
    ]


async def test_plan_shows_who_must_enrol_again(school: IdentityScenario) -> None:
    plan = await run_plan_json("--students")
    assert plan["enrols"] == "sface/1"
    assert school_rows(plan, school) == [
        ("of-yesterday/3", "unjudged", 1, 1),
        ("sface/1", "current", 2, 1),
    ]
    assert str(school.school.students[2].id) in plan["enrol_again"]
    assert str(school.school.students[0].id) not in plan["enrol_again"]


async def test_shipped_engine_still_judges_its_templates(school: IdentityScenario, tmp_path: Path) -> None:
    plan = await run_plan_json("--engine", write_engine_spec(tmp_path, embedder=embedder_spec(tmp_path)))
    assert plan["enrols"].startswith("tiny/1-")
    assert school_rows(plan, school)[1] == ("sface/1", "judged", 2, 1)
    assert plan["totals"]["current"] == 0
    assert "enrol_again" not in plan


async def test_text_output_of_the_plan_is_readable(school: IdentityScenario) -> None:
    result = await run_plan()
    assert result.stdout.startswith("sface/1")
    assert "须重新采集" in result.stdout


async def test_missing_description_is_bad_input(environment: None, tmp_path: Path) -> None:
    result = await run_plan("--engine", tmp_path / "none.yaml", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["code"] == "face_engine_spec_invalid"


# --- reembed ---


async def test_reembed_counts_the_templates_whose_shots_are_kept(school: IdentityScenario) -> None:
    result = await asyncio.to_thread(
        CliRunner().invoke, app, ["reembed", "--school", school.school.unit.code, "--dry-run", "--json"]
    )
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["enrols"] == "sface/1"
    assert summary["by_engine"] == {"of-yesterday/3": 1}
    assert (summary["outcomes"], summary["refused_students"]) == ({}, [])


async def test_reembed_reports_shots_that_are_not_there(school: IdentityScenario) -> None:
    result = await asyncio.to_thread(
        CliRunner().invoke, app, ["reembed", "--school", school.school.unit.code]
    )
    assert result.exit_code == 0, result.output
    assert "sface/1" in result.stdout
    assert "must enrol again" in result.stdout


async def test_reembed_of_an_unknown_school_is_bad_input(environment: None) -> None:
    result = await asyncio.to_thread(CliRunner().invoke, app, ["reembed", "--school", "0000000000", "--json"])
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["code"] == "not_found"

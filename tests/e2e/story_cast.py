"""The people of the whole story: a new class on a roster, phones that the students bound, and granted aid."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from backend.core.clock import legal_day
from backend.demo.clients import run_concurrently
from backend.demo.fixtures import School
from backend.demo.staff import StaffClient
from backend.demo.staff import expect as succeed
from backend.demo.students import DemoStudent, PhotographedFace
from backend.devstack.sample_faces import sample_faces_dir, sample_people
from backend.exchange.roster.generator import generate_students, plan_school
from backend.exchange.roster.writer import write_roster
from backend.identity.rules import age_on
from tests.e2e.student_phone import OTHER, STUDENT
from tests.e2e.system import ROOT, STUDENTS, System

CLASS = "故事班"
SEED = 77
PLANNED = 3 * STUDENTS
"""Enough to leave out as many as the other rosters have: their numbers of phones are counted in the same way."""
FACES = (STUDENT, OTHER)


def write_new_class(system: System, school: School, folder: Path) -> tuple[Path, list[dict[str, str]]]:
    """A roster of four boys of the age for which there are face thresholds, in a class of their own."""
    plan = plan_school(school.plan.code, school.plan.name, students=PLANNED, part_time_classes=0)
    rows = [dict(each) for each in generate_students(SEED, [plan])][STUDENTS:]
    today = legal_day(datetime.fromtimestamp(system.clients.clock(), UTC))
    of_group = (row for row in rows if _is_of_group(row, today) and row["入学年月"] == "202509")
    records = [row | {"班级名称": CLASS} for row in islice(of_group, 4)]
    path = folder / "roster.xlsx"
    write_roster(path, records, variant="national", form="xlsx")
    return path, records


def _is_of_group(row: dict[str, str], today: date) -> bool:
    number = row["身份证件号"]
    born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    ages = {age_on(born, today + timedelta(days=days)) for days in (0, 100)}
    return int(number[16]) % 2 == 1 and ages <= {16, 17}


@dataclass(frozen=True, slots=True)
class Cast:
    """The four students, their class and its counselor. Two show their faces, one has no camera, one stays away."""

    school: School
    superior: StaffClient
    counselor: StaffClient
    class_id: str
    students: Sequence[DemoStudent]

    @property
    def with_faces(self) -> Sequence[DemoStudent]:
        return self.students[:2]

    @property
    def without_camera(self) -> DemoStudent:
        return self.students[2]

    @property
    def absent(self) -> DemoStudent:
        return self.students[3]


async def gather_cast(system: System, school: School, records: list[dict[str, str]]) -> Cast:
    """Assign the imported class to a counselor, bind the phones, and enrol two faces."""
    organisation, registrar = system.organisation, school.registrar
    superior = organisation.bureaus[school.plan.parent]
    school.classes = await registrar.get_all_pages("/v1/classes")
    class_id = next(each["id"] for each in school.classes if each["name"] == CLASS)
    counselor = next(iter(school.counselors.values()))
    counselor_id = succeed(await counselor.get("/v1/me"))["counselor_id"]
    succeed(await registrar.post(f"/v1/counselors/{counselor_id}/classes", {"class_ids": [class_id]}), 204)
    people = sample_people(sample_faces_dir(ROOT))
    students = [
        DemoStudent(
            record,
            school,
            PhotographedFace(person, tuple(people[person])),
            system.clients.new_phone(),
            system.clients.gateway,
        )
        for record, person in zip(records, (*FACES, *FACES), strict=True)
    ]
    cast = Cast(school, superior, counselor, class_id, students)
    await run_concurrently(
        [*(each.activate() for each in cast.with_faces), *(each.register() for each in students[2:])]
    )
    return cast


async def grant_aid(cast: Cast) -> None:
    """The registrar applies for the class, and the superior approves."""
    body: dict[str, Any] = {"kind": "grant", "class_id": cast.class_id}
    filed = succeed(await cast.school.registrar.post("/v1/aid-applications", body), 201)["filed"]
    approved = {"outcome": "approved"}
    answers = await run_concurrently(
        cast.superior.post(f"/v1/aid-applications/{each}/decision", approved) for each in filed
    )
    for answer in answers:
        succeed(answer, 201)

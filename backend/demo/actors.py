"""The students of the demo, and the roles that some of them play."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from backend.core.clock import legal_day
from backend.demo.clients import Clients
from backend.demo.fixtures import Log, Organisation, School
from backend.demo.students import DemoStudent, Face, PhotographedFace, TestPatternFace
from backend.devstack.sample_faces import sample_faces_dir, sample_people
from backend.identity.rules import age_on

SEATS_ELSEWHERE = 4
"""People with photographs in each school but the first."""


@dataclass(slots=True)
class Role:
    """A special case that one student plays, with the outcome that the notice requires."""

    key: str
    zh: str
    expected: str
    student: DemoStudent
    seen: list[str] = field(default_factory=list)
    """What the student saw: responses, findings, attestations."""


class Participants:
    """All students of the three schools and all roles."""

    def __init__(self, organisation: Organisation, clients: Clients, log: Log, root: Path) -> None:
        self.organisation = organisation
        self.clients = clients
        self.log = log
        self.root = root
        self.students: list[DemoStudent] = []
        self.roles: list[Role] = []

    def create_students(self) -> None:
        """Give each student of the rosters a phone and a face. One student has no phone; about forty have photographs."""
        people = {
            name: paths
            for name, paths in sample_people(sample_faces_dir(self.root)).items()
            if PhotographedFace.has_enough(paths)
        }
        faces: list[Face] = [PhotographedFace(name, paths) for name, paths in people.items()]
        person_by_position = self._seat_photographed(len(faces))
        for school in self.organisation.schools:
            for position, record in enumerate(school.roster):
                chosen = person_by_position.get((school.plan.key, position))
                face: Face = faces[chosen] if chosen is not None else TestPatternFace(pattern_seed(record))
                self.students.append(self._new_student(record, school, face))
        without_phone = next(
            each
            for each in self.students
            if each.school is self.organisation.schools[1] and _is_full_time_without_photographs(each)
        )
        without_phone.has_phone = False
        self.roles.append(Role("attested", "没有手机、未装应用，辅导员现场核验", "present", without_phone))
        self.log(
            f"名册 {len(self.students)} 人：{len(faces)} 人配真人照片（sface 引擎），"
            f"其余用测试图案（test-pattern 引擎，明示，不作数于任何真人）；"
            f"照片由软件驱动做出转头、张嘴（声明做不到闭眼），以应答动作挑战：由此可见生成的画面不能被识别"
        )

    def _seat_photographed(self, count: int) -> dict[tuple[str, int], int]:
        """Choose roster positions for people with photographs: full-time boys of one age group, most in one school.

        Thresholds are learned within a school, sex and age group, so the few people must form one group. Every school has
        some, because every school rehearses.
        """
        seats: list[tuple[str, int]] = []
        for school in self.organisation.schools[::-1]:
            wanted = SEATS_ELSEWHERE if school is not self.organisation.schools[0] else count
            of_group = [
                (school.plan.key, position)
                for position, record in enumerate(school.roster)
                if record["学习形式"] == "全日制" and self._is_boy_of_sixteen(record)
            ]
            seats += of_group[:wanted]
        return {seat: number for number, seat in enumerate(seats[:count])}

    def _is_boy_of_sixteen(self, record: dict[str, str]) -> bool:
        """Whether the student is a boy of 16 or 17, also in the days of the rehearsal and the spot check."""
        number = record["身份证件号"]
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
        today = legal_day(datetime.fromtimestamp(self.clients.clock(), UTC))
        ages = {age_on(born, today + timedelta(days=days)) for days in (0, 7)}
        return int(number[16]) % 2 == 1 and ages <= {16, 17}

    def _new_student(self, record: dict[str, str], school: School, face: Face) -> DemoStudent:
        return DemoStudent(record, school, face, self.clients.new_phone(), self.clients.gateway)

    def _pick_student(self, school: School, engine: str, chosen: set[int]) -> DemoStudent:
        for student in self.students:
            matches = student.school is school and student.face.engine == engine and student.enrolled
            if matches and id(student) not in chosen:
                chosen.add(id(student))
                return student
        msg = f"no {engine} student left at {school.plan.name}"
        raise LookupError(msg)

    def assign_roles(self) -> None:
        """Assign the roles. Roles in which the face matters go to students with photographs."""
        a, b, c = self.organisation.schools
        chosen: set[int] = set()
        roles = (
            ("honest", "本人到校，正常核验", "present", a, "sface"),
            ("wrong_face", "拿别人的脸核验", "undetermined", a, "sface"),
            ("outside", "人在 2 公里外", "missed", a, "sface"),
            ("gcj02", "上报 GCJ-02 坐标并如实声明", "present", b, "sface"),
            ("coarse", "定位精度 400 米", "undetermined", b, "sface"),
            ("replayed", "重放同学被截获的信封", "missed", a, "test-pattern"),
            ("late", "截止后一秒提交", "missed", c, "test-pattern"),
            ("twice", "同一时刻提交两次（20 对）", "present", c, "sface"),
            ("absent", "未参加核验", "missed", c, "test-pattern"),
        )
        for key, zh, expected, school, engine in roles:
            self.roles.append(Role(key, zh, expected, self._pick_student(school, engine, chosen)))
        not_enrolled = [
            student for student in self.students if student.face.engine == "sface" and not student.enrolled
        ]
        for student in not_enrolled:
            self.roles.append(Role("non_face", "照片采集未通过，走非人脸核验", "present", student))

    def role(self, key: str) -> Role:
        """Return the first role with this key."""
        return next(role for role in self.roles if role.key == key)


def _is_full_time_without_photographs(student: DemoStudent) -> bool:
    return student.face.engine != "sface" and student.record["学习形式"] == "全日制"


def pattern_seed(record: dict[str, str]) -> int:
    """Return a stable, unique seed for a student's test pattern."""
    return int.from_bytes(hashlib.sha256(record["身份证件号"].encode()).digest()[:8], "big")

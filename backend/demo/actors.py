"""Who plays: everyone of the rosters with a phone and a face, and those who have a part."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from backend.demo.clients import Clients
from backend.demo.fixtures import School, Setting, Tell
from backend.demo.students import DrawnFace, Face, PhotographedFace, Pupil
from backend.devstack.sample_faces import sample_faces_dir, sample_people


@dataclass(slots=True)
class Role:
    """Somebody with a part: what they do, which outcome the notice demands, why."""

    key: str
    zh: str
    expected: str
    pupil: Pupil
    seen: list[str] = field(default_factory=list)


class Cast:
    """All students of the setting; whoever has photographs has a real face."""

    def __init__(self, setting: Setting, clients: Clients, tell: Tell, root: Path) -> None:
        self.setting = setting
        self.clients = clients
        self.tell = tell
        self.root = root
        self.pupils: list[Pupil] = []
        self.roles: list[Role] = []

    def gather(self) -> None:
        """Everyone of the roster gets a phone, but one; whoever has photographs gets a real face."""
        people = {
            name: paths
            for name, paths in sample_people(sample_faces_dir(self.root)).items()
            if PhotographedFace.enough(paths)
        }
        faces: list[Face] = [PhotographedFace(name, paths) for name, paths in people.items()]
        spread = self._one_a_class(len(faces))
        for school in self.setting.schools:
            for position, record in enumerate(school.pupils):
                chosen = spread.get((school.plan.key, position))
                face: Face = faces[chosen] if chosen is not None else DrawnFace(seed_of(record))
                self.pupils.append(self._pupil(record, school, face))
        poor = next(
            each
            for each in self.pupils
            if each.school is self.setting.schools[1] and _drawn_and_full_time(each)
        )
        poor.has_phone = False
        self.roles.append(Role("attested", "没有手机、未装应用，辅导员现场核验", "present", poor))
        self.tell(
            f"名册 {len(self.pupils)} 人：{len(faces)} 人配真人照片（dlib-onnx 引擎），"
            f"其余用测试图案（test-pattern 引擎，明示，不作数于任何真人）；"
            f"照片由软件驱动做出转头、张嘴（声明做不到闭眼），以应答动作挑战：由此可见生成的画面不能被识别"
        )

    def _one_a_class(self, count: int) -> dict[tuple[str, int], int]:
        """Places for the photographed, spread over the classes of full-time students in turn."""
        groups: dict[tuple[str, str], list[int]] = {}
        for school in self.setting.schools:
            for position, record in enumerate(school.pupils):
                if record["学习形式"] == "全日制":
                    groups.setdefault((school.plan.key, record["班级名称"]), []).append(position)
        seats = [
            (key, seats[rank]) for rank in range(3) for (key, _), seats in groups.items() if len(seats) > rank
        ]
        return {seat: number for number, seat in enumerate(seats[:count])}

    def _pupil(self, record: dict[str, str], school: School, face: Face) -> Pupil:
        return Pupil(record, school, face, self.clients.phone(), self.clients.gateway)

    def _take(self, school: School, engine: str, taken: set[int]) -> Pupil:
        for pupil in self.pupils:
            fits = pupil.school is school and pupil.face.engine == engine and pupil.enrolled
            if fits and id(pupil) not in taken:
                taken.add(id(pupil))
                return pupil
        msg = f"no {engine} student left at {school.plan.name}"
        raise LookupError(msg)

    def assign_roles(self) -> None:
        """The students who try something, photographs first where the face matters."""
        a, b, c = self.setting.schools
        taken: set[int] = set()
        parts = (
            ("honest", "本人到校，正常核验", "present", a, "dlib-onnx"),
            ("wrong_face", "拿别人的脸核验", "undetermined", a, "dlib-onnx"),
            ("outside", "人在 2 公里外", "missed", a, "dlib-onnx"),
            ("gcj02", "上报 GCJ-02 坐标并如实声明", "present", b, "dlib-onnx"),
            ("coarse", "定位精度 400 米", "undetermined", b, "dlib-onnx"),
            ("replayed", "重放同学被截获的信封", "missed", a, "test-pattern"),
            ("late", "截止后一秒提交", "missed", c, "test-pattern"),
            ("twice", "同一时刻提交两次（20 对）", "present", c, "dlib-onnx"),
            ("absent", "未参加核验", "missed", c, "test-pattern"),
        )
        for key, zh, expected, school, engine in parts:
            self.roles.append(Role(key, zh, expected, self._take(school, engine, taken)))
        unable = [pupil for pupil in self.pupils if pupil.face.engine == "dlib-onnx" and not pupil.enrolled]
        for pupil in unable:
            self.roles.append(Role("non_face", "照片采集未通过，走非人脸核验", "present", pupil))

    def role(self, key: str) -> Role:
        """The role of a name."""
        return next(role for role in self.roles if role.key == key)


def _drawn_and_full_time(pupil: Pupil) -> bool:
    return pupil.face.engine != "dlib-onnx" and pupil.record["学习形式"] == "全日制"


def seed_of(record: dict[str, str]) -> int:
    """A person's seed for the drawn face: stable, and nobody else's."""
    return int.from_bytes(hashlib.sha256(record["身份证件号"].encode()).digest()[:8], "big")

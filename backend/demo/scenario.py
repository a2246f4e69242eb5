"""The first scenario: one spot check from launch to settlement, including students who try to cheat.

Uses only public interfaces: HTTP, and `dianming clock advance` to skip waiting times.
"""

import asyncio
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from backend.demo.actors import Participants, Role
from backend.demo.clients import Clients, kill_worker, read_first_progress_event, run_concurrently
from backend.demo.fixtures import Log, Organisation, window_times
from backend.demo.report import Report, ReportLine
from backend.demo.staff import expect
from backend.demo.students import CheckInResult, DemoStudent, ReportedPosition

TIMEOUT_SECONDS = 300.0
MINUTES = 60.0


class RollCallScenario:
    """Runs one roll call on the created organisation. `log` prints the progress."""

    def __init__(self, organisation: Organisation, clients: Clients, log: Log, root: Path) -> None:
        self.organisation = organisation
        self.clients = clients
        self.log = log
        self.root = root
        self.report = Report()
        self.participants = Participants(organisation, clients, log, root)

    # --- activation ---

    async def activate_students(self) -> None:
        """Activate the accounts of all students (HN334-3.1)."""
        started, done = time.monotonic(), 0

        async def one(student: DemoStudent) -> None:
            nonlocal done
            await (student.activate() if student.has_phone else self._look_up_student(student))
            done += 1
            if done % 250 == 0:
                self.log(
                    f"  已激活 {done}/{len(self.participants.students)}（{time.monotonic() - started:.0f} 秒）"
                )

        await run_concurrently(one(student) for student in self.participants.students)
        photographed = [student for student in self.participants.students if student.face.engine == "sface"]
        refused = [student for student in photographed if not student.enrolled]
        self.log(
            f"激活完成：真人照片 {len(photographed)} 人中 {len(refused)} 人采集或证件照被拒"
            f"（{', '.join(sorted({code for each in refused for code in each.refusal_reasons})) or '无'}），改走非人脸核验"
        )

    async def _look_up_student(self, student: DemoStudent) -> None:
        """Look up the id of a student without a phone through the registrar."""
        requested = {"q": student.record["身份证件号"]}
        found = expect(await student.school.registrar.get("/v1/students", params=requested))["items"]
        student.student_id = found[0]["id"]

    # --- the roll calls ---

    async def check_authority_limits(self) -> None:
        """Check that units cannot launch outside their authority or read foreign records (HN334-2.3, 3.4)."""
        a, b, c = self.organisation.schools
        opens, closes = window_times(self.clients.clock(), 5, 60)
        times = {"opens_at": opens, "closes_at": closes, "kind": "spot_check", "title": "越权核验"}
        luoyang = self.organisation.bureaus["410300"]
        for who, staff, school in (
            ("洛阳市教育局对郑州学校", luoyang, a),
            ("郑州市教育局对省属学校", self.organisation.bureaus["410100"], c),
            ("辅导员发起", next(iter(a.counselors.values())), a),
            ("学校发起上级核验", a.registrar, a),
        ):
            answer = await staff.post("/v1/roll-calls", {**times, "audience": {"unit_ids": [school.id]}})
            self.report.check(
                f"{who} was not refused: {answer.status_code}", answer.status_code in {403, 404}
            )
            self.log(f"  {who}：拒绝 {answer.status_code} {answer.json()['code']}")
        foreign = next(student for student in self.participants.students if student.school is b)
        seen = await a.registrar.get(f"/v1/students/{foreign.student_id}")
        nonexistent = await a.registrar.get("/v1/students/01890000-0000-7000-8000-000000000000")
        same_answer = {k: v for k, v in seen.json().items() if k != "instance"} == {
            k: v for k, v in nonexistent.json().items() if k != "instance"
        }
        self.report.check(
            "another school's student is not answered as if absent", seen.status_code == 404 and same_answer
        )
        self.log("  A 校管理员查询 B 校学生：与不存在者答复完全相同（404）")

    async def launch_roll_call(self) -> str:
        """Launch a roll call of the province over the three schools (HN334-3.4). Return its id."""
        opens, closes = window_times(self.clients.clock(), 5, 60)
        body = {
            "kind": "spot_check",
            "title": "全省中职学籍常态化核验",
            "opens_at": opens,
            "closes_at": closes,
            "audience": {"unit_ids": [school.id for school in self.organisation.schools]},
        }
        launched = expect(await self.organisation.province.post("/v1/roll-calls", body), 201)
        full_time = sum(student.record["学习形式"] == "全日制" for student in self.participants.students)
        self.report.check("every full-time student owes presence", launched["owed"] == full_time)
        self.report.check(
            "part-time students are exempt", launched["exempt"] == len(self.participants.students) - full_time
        )
        self.log(
            f"省教育厅发起核验：应核验 {launched['owed']} 人，非全日制免核 {launched['exempt']} 人，"
            f"{launched['schools']} 校，窗口 {opens[11:16]}–{closes[11:16]} UTC"
        )
        again = await self.organisation.bureaus["410100"].post(
            "/v1/roll-calls",
            {**body, "title": "同一时段", "audience": {"unit_ids": [self.organisation.schools[0].id]}},
        )
        self.report.check("an overlapping superior check is refused", again.status_code == 409)
        self.log(f"  郑州市教育局同一时段再发起：{again.json()['code']}（后发起者被拒）")
        return str(launched["id"])

    async def open_window(self, roll_call_id: str) -> None:
        """Check that notices arrive and that an early check-in is rejected, then move the clock to the opening."""
        student = self.participants.role("honest").student
        early = await student.phone.post(f"/v1/roll-calls/{roll_call_id}/challenges")
        for _ in range(100):
            if early.status_code != 404:
                break
            await asyncio.sleep(0.2)
            early = await student.phone.post(f"/v1/roll-calls/{roll_call_id}/challenges")
        self.report.check("an early check-in is refused", early.json().get("code") == "window_not_open")
        notices = expect(await student.phone.get("/v1/notices"))
        self.report.check("the notice reached the student", notices["items"])
        self.log(f"  学生收到通知：{notices['items'][0]['body_zh'] if notices['items'] else '—'}")
        self.clients.advance_clock(5 * MINUTES + 1)

    async def check_in_others(self, roll_call_id: str) -> None:
        """Check in all students without a role. Halfway through, kill a worker."""
        role_by_student = {id(role.student) for role in self.participants.roles}
        others = [
            student
            for student in self.participants.students
            if id(student) not in role_by_student and student.enrolled
        ]
        started, done = time.monotonic(), 0

        async def one(student: DemoStudent) -> None:
            nonlocal done
            await student.check_in(roll_call_id, ReportedPosition())
            done += 1
            if done == len(others) // 2:
                self.log(f"  处理到一半，kill -9 一个核验进程（pid {kill_worker()}），由守护进程重启")
            if done % 250 == 0:
                figures = await self.progress(roll_call_id)
                self.log(
                    f"  已提交 {done}/{len(others)}（{time.monotonic() - started:.0f} 秒），"
                    f"实时进度：通过 {figures['present']}，等待 {figures['waiting']}"
                )

        await run_concurrently(one(student) for student in others)
        self.report.figures["crowd"] = {
            "students": len(others),
            "seconds": round(time.monotonic() - started, 1),
        }

    async def progress(self, roll_call_id: str) -> dict[str, Any]:
        """Return the province's live figures."""
        figures: dict[str, Any] = expect(
            await self.organisation.province.get(f"/v1/roll-calls/{roll_call_id}/progress")
        )
        return figures

    async def play_roles(self, roll_call_id: str) -> None:
        """Let each role check in while the window is open."""
        honest, wrong = self.participants.role("honest"), self.participants.role("wrong_face")
        await self._record_attempt(honest, await honest.student.check_in(roll_call_id, ReportedPosition()))
        another_face = self.participants.role("gcj02").student.face
        await self._record_attempt(
            wrong,
            await wrong.student.check_in(roll_call_id, ReportedPosition(), attempt=1, face=another_face),
        )
        outside = self.participants.role("outside")
        await self._record_attempt(
            outside, await outside.student.check_in(roll_call_id, ReportedPosition(east_m=2000))
        )
        gcj02 = self.participants.role("gcj02")
        await self._record_attempt(
            gcj02, await gcj02.student.check_in(roll_call_id, ReportedPosition(datum="gcj02"))
        )
        coarse = self.participants.role("coarse")
        await self._record_attempt(
            coarse, await coarse.student.check_in(roll_call_id, ReportedPosition(accuracy_m=400))
        )
        await self._replay_captured_envelope(roll_call_id)
        await self._send_concurrently(roll_call_id)

    async def _record_attempt(self, role: Role, attempt: CheckInResult) -> None:
        if attempt.submission_id is None:
            role.seen.append(f"{attempt.status} {attempt.code}")
            return
        view = await role.student.wait_for_finding(attempt.submission_id)
        role.seen.append(f"{view['finding']}: {', '.join(reason['code'] for reason in view['reasons'])}")
        self.log(f"  {role.zh}：{role.seen[-1]}")

    async def _replay_captured_envelope(self, roll_call_id: str) -> None:
        """Send the captured envelope of a classmate. It is rejected because it is signed with another key."""
        thief, victim = self.participants.role("replayed"), self.participants.role("honest").student
        requested = await thief.student.fetch_challenge(roll_call_id)
        frames = victim.face.perform(requested.actions, 1)
        captured = victim.sign_envelope(roll_call_id, requested.nonce, ReportedPosition(), frames)
        answer = await thief.student.send_envelope(roll_call_id, captured)
        thief.seen.append(f"{answer.status} {answer.code}")
        self.report.check("a captured envelope is refused", answer.code == "envelope_signature_invalid")
        self.log(f"  {thief.zh}：{answer.status} {answer.code}")

    async def _send_concurrently(self, roll_call_id: str) -> None:
        """Send the same envelope 40 times at once. It is stored once, and all responses have the same receipt."""
        role = self.participants.role("twice")
        requested = await role.student.fetch_challenge(roll_call_id)
        frames = role.student.face.perform(requested.actions, 0)
        envelope = role.student.sign_envelope(roll_call_id, requested.nonce, ReportedPosition(), frames)
        answers = await asyncio.gather(
            *(role.student.send_envelope(roll_call_id, envelope) for _ in range(40))
        )
        receipts = {answer.receipt for answer in answers}
        stored = sum(answer.status == 201 for answer in answers)
        self.report.check(
            "40 simultaneous sends give one receipt", len(receipts) == 1 and None not in receipts
        )
        self.report.check("40 simultaneous sends are stored once", stored == 1)
        role.seen.append(f"40 × 同一信封 → 新存 {stored}，回执 {len(receipts)} 种")
        self.log(f"  {role.zh}：新存 {stored} 次，其余 {40 - stored} 次得到同一回执")
        submission = answers[0].submission_id
        assert submission is not None
        await role.student.upload_frames(submission, frames)
        await self._record_attempt(role, answers[0])

    async def retry_undetermined(self, roll_call_id: str) -> None:
        """Let honest students whose first burst was inconclusive try again; if that fails, the counselor attests."""
        role_by_student = {id(role.student): role for role in self.participants.roles}
        await self._wait_for_verification(roll_call_id)
        for student in self.participants.students:
            role = role_by_student.get(id(student))
            if (
                student.face.engine != "sface"
                or not student.enrolled
                or (role and role.key not in {"honest", "gcj02", "twice"})
            ):
                continue
            view = expect(await student.phone.get(f"/v1/roll-calls/{roll_call_id}"))
            if view["outcome"] == "present":
                continue
            retry = role or Role("retried", "首次照片不足以判定，重试", "present", student)
            if role is None:
                self.participants.roles.append(retry)
            earlier = expect(await student.phone.get(f"/v1/roll-calls/{roll_call_id}/attempts"))[
                "submissions"
            ]
            retry.seen += [
                f"{each['finding']}: {', '.join(r['code'] for r in each['reasons'])}" for each in earlier
            ]
            position = ReportedPosition(datum="gcj02") if retry.key == "gcj02" else ReportedPosition()
            await self._record_attempt(retry, await student.check_in(roll_call_id, position, attempt=1))
            if not retry.seen[-1].startswith("accepted"):
                await self._attest_student(roll_call_id, retry)

    async def _wait_for_verification(self, roll_call_id: str) -> None:
        """Wait until the live figures no longer change."""
        last = None
        for _ in range(round(TIMEOUT_SECONDS)):
            figures = (await self.progress(roll_call_id))["present"]
            if figures == last:
                return
            last = figures
            await asyncio.sleep(2)

    async def attest_students(self, roll_call_id: str) -> None:
        """Attest students without face verification: card code, counselor on site, review if sampled."""
        attested = self.participants.role("attested")
        await self._attest_student(roll_call_id, attested)
        for role in [each for each in self.participants.roles if each.key == "non_face"]:
            await self._attest_student(roll_call_id, role)

    async def _attest_student(self, roll_call_id: str, role: Role) -> None:
        student, school = role.student, role.student.school
        group = next(each for each in school.classes if each["name"] == student.record["班级名称"])
        counselor = school.counselors[group["id"]]
        code = expect(await school.registrar.post(f"/v1/students/{student.student_id}/card-code"), 201)[
            "code"
        ]
        sites = expect(await counselor.get(f"/v1/roll-calls/{roll_call_id}/sites"))
        body = {
            "student_id": student.student_id,
            "code": code,
            "site_version_id": sites[0]["site_version_id"],
            "reason": role.zh,
            "position": student.position_samples(ReportedPosition())[-1],
        }
        done = expect(await counselor.post(f"/v1/roll-calls/{roll_call_id}/attestations", body), 201)
        role.seen.append("辅导员现场核验")
        self.report.check("an attester is not told who is sampled", "sampled" not in done)
        samples = await self.organisation.province.get_all_pages("/v1/attestation-samples", state="open")
        if student.student_id in {each["student_id"] for each in samples}:
            path = f"/v1/roll-calls/{roll_call_id}/attestations/{student.student_id}/review"
            own = await counselor.post(path, {"upheld": True, "note": "自己复核自己"})
            self.report.check("a counselor cannot review their own attestation", own.status_code == 403)
            review = {"upheld": True, "note": "上级视频核对本人在校"}
            expect(await self.organisation.province.post(path, review), 201)
            role.seen[-1] += "（抽中复核）"
        self.log(f"  {student.name}（{role.zh}）：{role.seen[-1]}")

    async def urge_missing_students(self, roll_call_id: str) -> None:
        """Let a counselor list and urge the missing students, and read the progress stream."""
        student = self.participants.role("absent").student
        group = next(each for each in student.school.classes if each["name"] == student.record["班级名称"])
        counselor = student.school.counselors[group["id"]]
        missing = await counselor.get_all_pages(f"/v1/roll-calls/{roll_call_id}/missing")
        self.report.check(
            "the missing list shows the absent", student.student_id in {m["student_id"] for m in missing}
        )
        urged = expect(await counselor.post(f"/v1/roll-calls/{roll_call_id}/urges", {}), 201)
        self.log(f"  {group['name']} 辅导员：未完成 {len(missing)} 人，督促 {urged['students']} 人")
        events = await read_first_progress_event(counselor, roll_call_id)
        self.report.check("progress is streamed", events)
        self.log(f"  SSE 实时进度（辅导员）：{events[0][:110]}…")

    async def submit_one_second_late(self, roll_call_id: str) -> None:
        """Fetch a challenge in time, but submit the envelope one second after the close."""
        role = self.participants.role("late")
        roll_call = expect(await self.organisation.province.get(f"/v1/roll-calls/{roll_call_id}"))
        closes = datetime.fromisoformat(roll_call["closes_at"]).timestamp()
        await self.clients.advance_clock_to(closes - 60)
        requested = await role.student.fetch_challenge(roll_call_id)
        frames = role.student.face.perform(requested.actions, 0)
        envelope = role.student.sign_envelope(roll_call_id, requested.nonce, ReportedPosition(), frames)
        self.clients.advance_clock(closes - self.clients.clock() + 1)
        answer = await role.student.send_envelope(roll_call_id, envelope)
        role.seen.append(f"{answer.status} {answer.code}")
        self.report.check("one second late is late", answer.code == "window_closed")
        self.log(f"  {role.zh}：{answer.status} {answer.code}")
        again = self.participants.role("twice")
        urge = await again.student.school.registrar.post(f"/v1/roll-calls/{roll_call_id}/urges", {})
        self.report.check("urging after the close is refused", urge.json().get("code") == "urging_closed")

    async def wait_for_settlement(self, roll_call_id: str) -> dict[str, Any]:
        """Wait for the settlement and check that the sums balance at each level."""
        roll_call: dict[str, Any] = {}
        for _ in range(round(TIMEOUT_SECONDS)):
            roll_call = expect(await self.organisation.province.get(f"/v1/roll-calls/{roll_call_id}"))
            if roll_call["phase"] == "settled":
                break
            await asyncio.sleep(1)
        self.report.check("the roll call is settled", roll_call["phase"] == "settled")
        figures: dict[str, Any] = roll_call["figures"]
        self.log(f"已结算：{figures}")
        for staff in (
            self.organisation.province,
            *(school.registrar for school in self.organisation.schools),
        ):
            line = expect(await staff.get(f"/v1/roll-calls/{roll_call_id}/progress"))
            total = sum(line[name] for name in ("present", "missed", "excused", "undetermined"))
            self.report.check(
                f"sums balance at {line['name']}", total == line["obligations"] and line["waiting"] == 0
            )
        self.report.figures["settlement"] = figures
        return figures

    async def compare_outcomes(self, roll_call_id: str) -> None:
        """Compare each student's outcome with the one that the notice requires."""
        role_by_student = {role.student.student_id: role for role in self.participants.roles}
        rows = await self.organisation.province.get_all_pages(
            f"/v1/roll-calls/{roll_call_id}/results", limit=200
        )
        by_id = {student.student_id: student for student in self.participants.students}
        unexpected: Counter[str] = Counter()
        outcomes: Counter[str] = Counter()
        for row in rows:
            student, role = by_id[row["student_id"]], role_by_student.get(row["student_id"])
            if row["duty"] == "exempt":
                self.report.check("an exempt student has no outcome", row["outcome"] is None)
                continue
            engine = student.face.engine if row["method"] == "face" else "—"
            outcomes[f"{engine}:{row['outcome']}"] += 1
            if role is None:
                if row["outcome"] != "present":
                    unexpected[f"{student.face.engine}:{row['outcome']}:{row['reason']}"] += 1
                continue
            line = ReportLine(
                role.key,
                role.zh,
                student.name,
                role.expected,
                row["outcome"] or "—",
                row["reason"] or "—",
                row["method"] or "—",
                student.face.engine,
                role.seen,
            )
            self.report.lines.append(line)
            self.report.check(
                f"{role.zh}: {line.outcome} instead of {line.expected} ({line.reason})",
                not line.is_unexpected,
            )
        self.report.check(f"all other students are present, except {dict(unexpected)}", not unexpected)
        self.report.figures["judged"] = dict(outcomes)

    async def decide_undetermined(self, roll_call_id: str) -> None:
        """Decide undetermined outcomes as the launching authority, with reasons."""
        for key, outcome, reason in (
            ("wrong_face", "missed", "人工比对照片，非学生本人"),
            ("coarse", "present", "经与辅导员视频核对，本人在校"),
        ):
            role = self.participants.role(key)
            body = {"student_id": role.student.student_id, "outcome": outcome, "reason": reason}
            path = f"/v1/roll-calls/{roll_call_id}/determinations"
            own = await role.student.school.registrar.post(path, body)
            self.report.check(
                "the school itself may not decide on a superior's check", own.status_code == 403
            )
            decided = expect(await self.organisation.province.post(path, body), 201)
            self.report.check("a decision is the second entry", decided["seq"] == 2)
            self.log(f"  人工认定：{role.zh} → {outcome}（{reason}）")

"""The story: one spot check from launch to settlement, on real input, with everyone who tries something.

Only public interfaces are used: HTTP, and `dianming clock advance` for hours that nobody wants to wait.
"""

import asyncio
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from backend.demo.actors import Cast, Role
from backend.demo.clients import Clients, first_events, gather, kill_a_worker
from backend.demo.fixtures import Setting, Tell, first_window
from backend.demo.report import Line, Report
from backend.demo.staff import expect
from backend.demo.students import Attempt, Pupil, Where

PATIENCE_SECONDS = 300.0
MINUTES = 60.0


class Story:
    """Plays the story on a setting; `tell` prints what happens as it happens."""

    def __init__(self, setting: Setting, clients: Clients, tell: Tell, root: Path) -> None:
        self.setting = setting
        self.clients = clients
        self.tell = tell
        self.root = root
        self.report = Report()
        self.cast = Cast(setting, clients, tell, root)

    # --- activation ---

    async def activate(self) -> None:
        """All students activate their accounts (HN334-3.1)."""
        started, done = time.monotonic(), 0

        async def one(pupil: Pupil) -> None:
            nonlocal done
            await (pupil.activate() if pupil.has_phone else self._without_phone(pupil))
            done += 1
            if done % 250 == 0:
                self.tell(f"  已激活 {done}/{len(self.cast.pupils)}（{time.monotonic() - started:.0f} 秒）")

        await gather(one(pupil) for pupil in self.cast.pupils)
        photographed = [pupil for pupil in self.cast.pupils if pupil.face.engine == "dlib-onnx"]
        refused = [pupil for pupil in photographed if not pupil.enrolled]
        self.tell(
            f"激活完成：真人照片 {len(photographed)} 人中 {len(refused)} 人采集或证件照被拒"
            f"（{', '.join(sorted({code for each in refused for code in each.refused_because})) or '无'}），改走非人脸核验"
        )

    async def _without_phone(self, pupil: Pupil) -> None:
        """Nothing to activate: the registrar finds the student on the roll."""
        asked = {"q": pupil.record["身份证件号"]}
        found = expect(await pupil.school.registrar.get("/v1/students", params=asked))["items"]
        pupil.student_id = found[0]["id"]

    # --- the roll calls ---

    async def refusals_of_authority(self) -> None:
        """Who may not launch, and whose records one may not see (HN334-2.3, 3.4)."""
        a, b, c = self.setting.schools
        opens, closes = first_window(self.clients.clock(), 5, 60)
        times = {"opens_at": opens, "closes_at": closes, "kind": "spot_check", "title": "越权核验"}
        luoyang = self.setting.bureaus["410300"]
        for who, staff, school in (
            ("洛阳市教育局对郑州学校", luoyang, a),
            ("郑州市教育局对省属学校", self.setting.bureaus["410100"], c),
            ("辅导员发起", next(iter(a.counselors.values())), a),
            ("学校发起上级核验", a.registrar, a),
        ):
            answer = await staff.post("/v1/roll-calls", {**times, "audience": {"unit_ids": [school.id]}})
            self.report.check(
                f"{who} was not refused: {answer.status_code}", answer.status_code in {403, 404}
            )
            self.tell(f"  {who}：拒绝 {answer.status_code} {answer.json()['code']}")
        foreign = next(pupil for pupil in self.cast.pupils if pupil.school is b)
        seen = await a.registrar.get(f"/v1/students/{foreign.student_id}")
        ghost = await a.registrar.get("/v1/students/01890000-0000-7000-8000-000000000000")
        same = {k: v for k, v in seen.json().items() if k != "instance"} == {
            k: v for k, v in ghost.json().items() if k != "instance"
        }
        self.report.check(
            "another school's student is not answered as if absent", seen.status_code == 404 and same
        )
        self.tell("  A 校管理员查询 B 校学生：与不存在者答复完全相同（404）")

    async def launch(self) -> str:
        """The province launches over the three schools (HN334-3.4)."""
        opens, closes = first_window(self.clients.clock(), 5, 60)
        body = {
            "kind": "spot_check",
            "title": "全省中职学籍常态化核验",
            "opens_at": opens,
            "closes_at": closes,
            "audience": {"unit_ids": [school.id for school in self.setting.schools]},
        }
        launched = expect(await self.setting.province.post("/v1/roll-calls", body), 201)
        full_time = sum(pupil.record["学习形式"] == "全日制" for pupil in self.cast.pupils)
        self.report.check("every full-time student owes presence", launched["owed"] == full_time)
        self.report.check(
            "part-time students are exempt", launched["exempt"] == len(self.cast.pupils) - full_time
        )
        self.tell(
            f"省教育厅发起核验：应核验 {launched['owed']} 人，非全日制免核 {launched['exempt']} 人，"
            f"{launched['schools']} 校，窗口 {opens[11:16]}–{closes[11:16]} UTC"
        )
        again = await self.setting.bureaus["410100"].post(
            "/v1/roll-calls",
            {**body, "title": "同一时段", "audience": {"unit_ids": [self.setting.schools[0].id]}},
        )
        self.report.check("an overlapping superior check is refused", again.status_code == 409)
        self.tell(f"  郑州市教育局同一时段再发起：{again.json()['code']}（后发起者被拒）")
        return str(launched["id"])

    async def open_window(self, roll_call_id: str) -> None:
        """Notices are out; an early check-in is refused; then the clock reaches the opening."""
        pupil = self.cast.role("honest").pupil
        early = await pupil.phone.post(f"/v1/roll-calls/{roll_call_id}/challenges")
        for _ in range(100):
            if early.status_code != 404:
                break
            await asyncio.sleep(0.2)
            early = await pupil.phone.post(f"/v1/roll-calls/{roll_call_id}/challenges")
        self.report.check("an early check-in is refused", early.json().get("code") == "window_not_open")
        notices = expect(await pupil.phone.get("/v1/notices"))
        self.report.check("the notice reached the student", notices["items"])
        self.tell(f"  学生收到通知：{notices['items'][0]['body_zh'] if notices['items'] else '—'}")
        self.clients.advance(5 * MINUTES + 1)

    async def crowd(self, roll_call_id: str) -> None:
        """Everyone without a part checks in; half-way a worker is killed."""
        parts = {id(role.pupil) for role in self.cast.roles}
        crowd = [pupil for pupil in self.cast.pupils if id(pupil) not in parts and pupil.enrolled]
        started, done = time.monotonic(), 0

        async def one(pupil: Pupil) -> None:
            nonlocal done
            await pupil.check_in(roll_call_id, Where())
            done += 1
            if done == len(crowd) // 2:
                self.tell(f"  处理到一半，kill -9 一个核验进程（pid {kill_a_worker()}），由守护进程重启")
            if done % 250 == 0:
                figures = await self.progress(roll_call_id)
                self.tell(
                    f"  已提交 {done}/{len(crowd)}（{time.monotonic() - started:.0f} 秒），"
                    f"实时进度：通过 {figures['present']}，等待 {figures['waiting']}"
                )

        await gather(one(pupil) for pupil in crowd)
        self.report.figures["crowd"] = {
            "students": len(crowd),
            "seconds": round(time.monotonic() - started, 1),
        }

    async def progress(self, roll_call_id: str) -> dict[str, Any]:
        """The province's live figures."""
        figures: dict[str, Any] = expect(
            await self.setting.province.get(f"/v1/roll-calls/{roll_call_id}/progress")
        )
        return figures

    async def parts(self, roll_call_id: str) -> None:
        """Each role plays its part inside the window."""
        honest, wrong = self.cast.role("honest"), self.cast.role("wrong_face")
        await self._note(honest, await honest.pupil.check_in(roll_call_id, Where()))
        stranger = self.cast.role("gcj02").pupil.face
        await self._note(wrong, await wrong.pupil.check_in(roll_call_id, Where(), attempt=1, face=stranger))
        outside = self.cast.role("outside")
        await self._note(outside, await outside.pupil.check_in(roll_call_id, Where(east_m=2000)))
        gcj02 = self.cast.role("gcj02")
        await self._note(gcj02, await gcj02.pupil.check_in(roll_call_id, Where(datum="gcj02")))
        coarse = self.cast.role("coarse")
        await self._note(coarse, await coarse.pupil.check_in(roll_call_id, Where(accuracy_m=400)))
        await self._replay(roll_call_id)
        await self._twenty_pairs(roll_call_id)

    async def _note(self, role: Role, attempt: Attempt) -> None:
        if attempt.submission_id is None:
            role.seen.append(f"{attempt.status} {attempt.code}")
            return
        view = await role.pupil.finding(attempt.submission_id)
        role.seen.append(f"{view['finding']}: {', '.join(reason['code'] for reason in view['reasons'])}")
        self.tell(f"  {role.zh}：{role.seen[-1]}")

    async def _replay(self, roll_call_id: str) -> None:
        """A captured envelope of a classmate: wrong key. The own one again: the original receipt, nothing new."""
        thief, victim = self.cast.role("replayed"), self.cast.role("honest").pupil
        asked = await thief.pupil.challenge(roll_call_id)
        frames = victim.face.answer(asked.actions, 1)
        captured = victim.envelope(roll_call_id, asked.nonce, Where(), frames)
        answer = await thief.pupil.send(roll_call_id, captured)
        thief.seen.append(f"{answer.status} {answer.code}")
        self.report.check("a captured envelope is refused", answer.code == "envelope_signature_invalid")
        self.tell(f"  {thief.zh}：{answer.status} {answer.code}")

    async def _twenty_pairs(self, roll_call_id: str) -> None:
        """20 simultaneous pairs of the same check-in: stored once, everyone gets the same receipt."""
        role = self.cast.role("twice")
        asked = await role.pupil.challenge(roll_call_id)
        frames = role.pupil.face.answer(asked.actions, 0)
        envelope = role.pupil.envelope(roll_call_id, asked.nonce, Where(), frames)
        answers = await asyncio.gather(*(role.pupil.send(roll_call_id, envelope) for _ in range(40)))
        receipts = {answer.receipt for answer in answers}
        fresh = sum(answer.status == 201 for answer in answers)
        self.report.check(
            "40 simultaneous sends give one receipt", len(receipts) == 1 and None not in receipts
        )
        self.report.check("40 simultaneous sends are stored once", fresh == 1)
        role.seen.append(f"40 × 同一信封 → 新存 {fresh}，回执 {len(receipts)} 种")
        self.tell(f"  {role.zh}：新存 {fresh} 次，其余 {40 - fresh} 次得到同一回执")
        submission = answers[0].submission_id
        assert submission is not None
        await role.pupil.upload(submission, frames)
        await self._note(role, answers[0])

    async def retries(self, roll_call_id: str) -> None:
        """Honest students whose first burst could not be judged try once more; then the counselor attests."""
        parts = {id(role.pupil): role for role in self.cast.roles}
        await self._judged(roll_call_id)
        for pupil in self.cast.pupils:
            role = parts.get(id(pupil))
            if (
                pupil.face.engine != "dlib-onnx"
                or not pupil.enrolled
                or (role and role.key not in {"honest", "gcj02", "twice"})
            ):
                continue
            view = expect(await pupil.phone.get(f"/v1/roll-calls/{roll_call_id}"))
            if view["outcome"] == "present":
                continue
            retry = role or Role("retried", "首次照片不足以判定，重试", "present", pupil)
            if role is None:
                self.cast.roles.append(retry)
            earlier = expect(await pupil.phone.get(f"/v1/roll-calls/{roll_call_id}/attempts"))["submissions"]
            retry.seen += [
                f"{each['finding']}: {', '.join(r['code'] for r in each['reasons'])}" for each in earlier
            ]
            where = Where(datum="gcj02") if retry.key == "gcj02" else Where()
            await self._note(retry, await pupil.check_in(roll_call_id, where, attempt=1))
            if not retry.seen[-1].startswith("accepted"):
                await self._attest(roll_call_id, retry)

    async def _judged(self, roll_call_id: str) -> None:
        """Wait until the figures stand still."""
        last = None
        for _ in range(round(PATIENCE_SECONDS)):
            figures = (await self.progress(roll_call_id))["present"]
            if figures == last:
                return
            last = figures
            await asyncio.sleep(2)

    async def attest(self, roll_call_id: str) -> None:
        """The non-face route: card code, counselor on site, second person for the sample."""
        attested = self.cast.role("attested")
        await self._attest(roll_call_id, attested)
        for role in [each for each in self.cast.roles if each.key == "non_face"]:
            await self._attest(roll_call_id, role)

    async def _attest(self, roll_call_id: str, role: Role) -> None:
        pupil, school = role.pupil, role.pupil.school
        group = next(each for each in school.classes if each["name"] == pupil.record["班级名称"])
        counselor = school.counselors[group["id"]]
        code = expect(await school.registrar.post(f"/v1/students/{pupil.student_id}/card-code"), 201)["code"]
        sites = expect(await counselor.get(f"/v1/roll-calls/{roll_call_id}/sites"))
        body = {
            "student_id": pupil.student_id,
            "code": code,
            "site_version_id": sites[0]["site_version_id"],
            "reason": role.zh,
        }
        done = expect(await counselor.post(f"/v1/roll-calls/{roll_call_id}/attestations", body), 201)
        role.seen.append("辅导员现场核验" + ("（抽中复核）" if done["sampled"] else ""))
        if done["sampled"]:
            path = f"/v1/roll-calls/{roll_call_id}/attestations/{pupil.student_id}/review"
            own = await counselor.post(path, {"upheld": True, "note": "自己复核自己"})
            self.report.check("nobody reviews their own attestation", own.status_code == 403)
            review = {"upheld": True, "note": "上级视频核对本人在校"}
            expect(await self.setting.province.post(path, review), 201)
        self.tell(f"  {pupil.name}（{role.zh}）：{role.seen[-1]}")

    async def urge(self, roll_call_id: str) -> None:
        """A counselor looks who is missing and urges; progress is streamed meanwhile."""
        pupil = self.cast.role("absent").pupil
        group = next(each for each in pupil.school.classes if each["name"] == pupil.record["班级名称"])
        counselor = pupil.school.counselors[group["id"]]
        missing = await counselor.pages(f"/v1/roll-calls/{roll_call_id}/missing")
        self.report.check(
            "the missing list shows the absent", pupil.student_id in {m["student_id"] for m in missing}
        )
        urged = expect(await counselor.post(f"/v1/roll-calls/{roll_call_id}/urges", {}), 201)
        self.tell(f"  {group['name']} 辅导员：未完成 {len(missing)} 人，督促 {urged['students']} 人")
        events = await first_events(counselor, roll_call_id)
        self.report.check("progress is streamed", events)
        self.tell(f"  SSE 实时进度（辅导员）：{events[0][:110]}…")

    async def one_second_late(self, roll_call_id: str) -> None:
        """The challenge is fetched in time; the envelope arrives one second after the close."""
        role = self.cast.role("late")
        roll_call = expect(await self.setting.province.get(f"/v1/roll-calls/{roll_call_id}"))
        closes = datetime.fromisoformat(roll_call["closes_at"]).timestamp()
        await self.clients.reach(closes - 60)
        asked = await role.pupil.challenge(roll_call_id)
        frames = role.pupil.face.answer(asked.actions, 0)
        envelope = role.pupil.envelope(roll_call_id, asked.nonce, Where(), frames)
        self.clients.advance(closes - self.clients.clock() + 1)
        answer = await role.pupil.send(roll_call_id, envelope)
        role.seen.append(f"{answer.status} {answer.code}")
        self.report.check("one second late is late", answer.code == "window_closed")
        self.tell(f"  {role.zh}：{answer.status} {answer.code}")
        again = self.cast.role("twice")
        urge = await again.pupil.school.registrar.post(f"/v1/roll-calls/{roll_call_id}/urges", {})
        self.report.check("urging after the close is refused", urge.json().get("code") == "urging_closed")

    async def settled(self, roll_call_id: str) -> dict[str, Any]:
        """Wait for the settlement; the sums balance at every level."""
        roll_call: dict[str, Any] = {}
        for _ in range(round(PATIENCE_SECONDS)):
            roll_call = expect(await self.setting.province.get(f"/v1/roll-calls/{roll_call_id}"))
            if roll_call["phase"] == "settled":
                break
            await asyncio.sleep(1)
        self.report.check("the roll call is settled", roll_call["phase"] == "settled")
        figures: dict[str, Any] = roll_call["figures"]
        self.tell(f"已结算：{figures}")
        for staff in (self.setting.province, *(school.registrar for school in self.setting.schools)):
            line = expect(await staff.get(f"/v1/roll-calls/{roll_call_id}/progress"))
            total = sum(line[name] for name in ("present", "missed", "excused", "undetermined"))
            self.report.check(
                f"sums balance at {line['name']}", total == line["obligations"] and line["waiting"] == 0
            )
        self.report.figures["settlement"] = figures
        return figures

    async def table(self, roll_call_id: str) -> None:
        """Everyone's outcome against what the notice demands."""
        parts = {role.pupil.student_id: role for role in self.cast.roles}
        rows = await self.setting.province.pages(f"/v1/roll-calls/{roll_call_id}/results", limit=200)
        by_id = {pupil.student_id: pupil for pupil in self.cast.pupils}
        unexpected: Counter[str] = Counter()
        judged: Counter[str] = Counter()
        for row in rows:
            pupil, role = by_id[row["student_id"]], parts.get(row["student_id"])
            if row["duty"] == "exempt":
                self.report.check("an exempt student has no outcome", row["outcome"] is None)
                continue
            engine = pupil.face.engine if row["method"] == "face" else "—"
            judged[f"{engine}:{row['outcome']}"] += 1
            if role is None:
                if row["outcome"] != "present":
                    unexpected[f"{pupil.face.engine}:{row['outcome']}:{row['reason']}"] += 1
                continue
            line = Line(
                role.key,
                role.zh,
                pupil.name,
                role.expected,
                row["outcome"] or "—",
                row["reason"] or "—",
                row["method"] or "—",
                pupil.face.engine,
                role.seen,
            )
            self.report.lines.append(line)
            self.report.check(
                f"{role.zh}: {line.outcome} instead of {line.expected} ({line.reason})", not line.surprise
            )
        self.report.check(f"everyone else is present, but {dict(unexpected)}", not unexpected)
        self.report.figures["judged"] = dict(judged)

    async def human_decision(self, roll_call_id: str) -> None:
        """What the machine left undetermined is decided by a person of the launching authority, with reasons."""
        for key, outcome, reason in (
            ("wrong_face", "missed", "人工比对照片，非学生本人"),
            ("coarse", "present", "经与辅导员视频核对，本人在校"),
        ):
            role = self.cast.role(key)
            body = {"student_id": role.pupil.student_id, "outcome": outcome, "reason": reason}
            path = f"/v1/roll-calls/{roll_call_id}/determinations"
            own = await role.pupil.school.registrar.post(path, body)
            self.report.check(
                "the school itself may not decide on a superior's check", own.status_code == 403
            )
            decided = expect(await self.setting.province.post(path, body), 201)
            self.report.check("a decision is the second entry", decided["seq"] == 2)
            self.tell(f"  人工认定：{role.zh} → {outcome}（{reason}）")

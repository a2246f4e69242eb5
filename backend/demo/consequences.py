"""What follows: misses, a prompt, five working days, decisions, aid withdrawn, an appeal that restores everything.

Days pass by the demonstration's clock; everything else is the house at work: its jobs, its notices, its deadlines.
"""

import asyncio
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from backend.core.clock import LEGAL_ZONE, legal_day
from backend.demo.clients import STRIDE_SECONDS, gather
from backend.demo.fixtures import School, first_window
from backend.demo.scenario import Story
from backend.demo.staff import Staff, expect
from backend.demo.students import Pupil, Where
from backend.demo.timeline import Class, Passage
from backend.org.calendar import FIXED_HOLIDAYS


class Consequences(Passage):
    """Plays on after the first roll call; those whose fate is told are the first of their classes."""

    def __init__(self, story: Story) -> None:
        super().__init__(story)
        self.story, self.setting = story, story.setting
        a, b, _ = self.setting.schools
        bureaus = self.setting.bureaus
        self.city = self._class(a, bureaus["410100"], 0)
        self.other = self._class(a, bureaus["410100"], 1)
        self.county = self._class(b, bureaus["410181"], 0)
        self.automatic, self.suspended, self.dismissed = self.city.pupils[:3]
        self.escalated = self.county.pupils[0]
        self.on_leave, self.absent = self.other.pupils[:2]

    def _class(self, school: School, superior: Staff, number: int) -> Class:
        parts = {id(role.pupil) for role in self.story.cast.roles}
        found = []
        for group in school.classes:
            pupils = [
                pupil
                for pupil in self.story.cast.pupils
                if pupil.school is school
                and pupil.record["班级名称"] == group["name"]
                and pupil.enrolled
                and pupil.face.engine == "test-pattern"
                and id(pupil) not in parts
            ]
            if len(pupils) >= 3:
                found.append(
                    Class(
                        group["id"], group["name"], school, pupils, school.counselors[group["id"]], superior
                    )
                )
        return found[number]

    # --- the play ---

    async def play(self) -> None:
        """From the second day to the fourth month."""
        await self.calendar_years()
        await self.aid_is_granted()
        await self.leave_and_absence_begin()
        await self.two_misses()
        prompts = await self.prompts_are_raised()
        await self.decided_in_time(prompts)
        await self.five_working_days(prompts)
        await self.aid_is_withdrawn()
        await self.appeal_restores()
        await self.sixteen_days_of_leave()
        await self.three_months_of_absence()
        self.replayed(
            [self.automatic, self.suspended, self.dismissed, self.escalated, self.on_leave, self.absent]
        )

    async def calendar_years(self) -> None:
        """A year that is not published yet stops every deadline in it; an administrator loads it (reading 7)."""
        known = expect(await self.setting.province.get("/v1/calendar-years"))["years"]
        for year in range(legal_day(self.now).year, legal_day(self.now).year + 2):
            if year not in known:
                holidays = [f"{year}-{month:02d}-{day:02d}" for month, day in FIXED_HOLIDAYS]
                body = {
                    "year": year,
                    "source": "演示数据，非官方",
                    "holidays": holidays,
                    "makeup_workdays": [],
                }
                expect(await self.setting.province.post("/v1/calendar-years", body), 201)
                self.tell(f"载入 {year} 年工作日历（演示数据，非官方）")

    async def aid_is_granted(self) -> None:
        """Applications of the class by the registrar, approved by somebody else; two months are paid."""
        registrar = self.city.school.registrar
        for kind in ("grant", "tuition_waiver"):
            body = {"kind": kind, "class_id": self.city.id}
            filed = expect(await registrar.post("/v1/aid-applications", body), 201)["filed"]
            own = await registrar.post(f"/v1/aid-applications/{filed[0]}/decision", {"outcome": "approved"})
            self.report.check("nobody approves their own application", own.status_code == 403)
            answers = await gather(
                self.city.superior.post(f"/v1/aid-applications/{each}/decision", {"outcome": "approved"})
                for each in filed
            )
            for answer in answers:
                expect(answer, 201)
            self.tell(f"{self.city.name} 资助申请（{kind}）：{len(filed)} 人，申请人自批被拒，上级批准")
        months = await self._first_instalments(self.automatic, 2)
        payments = [
            {
                "student_id": pupil.student_id,
                "kind": "grant",
                "month": month,
                "fen": fen,
                "paid_on": str(legal_day(self.now)),
            }
            for pupil in (self.automatic, self.suspended)
            for month, fen in months
        ]
        expect(await registrar.post("/v1/aid-payments", {"payments": payments}), 201)
        self.tell(f"  已发放助学金：每人 {sum(fen for _, fen in months) / 100:.2f} 元（{len(months)} 个月）")

    async def _first_instalments(self, pupil: Pupil, months: int) -> list[tuple[str, int]]:
        awards = expect(await self.city.school.registrar.get(f"/v1/students/{pupil.student_id}/aid"))[
            "awards"
        ]
        grant = next(award for award in awards if award["kind"] == "grant")
        return [(part["month"], part["fen"]) for part in grant["instalments"][:months]]

    async def leave_and_absence_begin(self) -> None:
        """One asks for leave of sixteen days; of another the counselor writes down that he does not come."""
        first = legal_day(self.now) + timedelta(days=1)
        asked = {
            "kind": "sick",
            "first_day": str(first),
            "last_day": str(first + timedelta(days=15)),
            "reason": "骨折住院",
        }
        leave = expect(await self.on_leave.phone.post("/v1/leave-requests", json=asked), 201)
        path = f"/v1/leave-requests/{leave['id']}/decision"
        expect(await self.other.counselor.post(path, {"outcome": "approved"}), 201)
        self.tell(
            f"{self.on_leave.name}：请假 16 天（{asked['first_day']} 至 {asked['last_day']}），辅导员批准"
        )
        record = {"at": self.now.isoformat(), "present": False, "note": "全天未到校，电话无人接听"}
        path = f"/v1/students/{self.absent.student_id}/attendance"
        expect(await self.other.counselor.post(path, record), 201)
        self.tell(f"{self.absent.name}：辅导员登记缺勤")

    async def two_misses(self) -> None:
        """Two checks of two classes on two days; four students take part in neither."""
        for attempt, number in enumerate(("第一次", "第二次"), start=5):
            self.days_pass(1)
            opens, closes = first_window(self.clients.clock(), 2, 60)
            launched = {}
            for group in (self.city, self.county):
                body = {
                    "kind": "spot_check",
                    "title": f"{number}抽查",
                    "opens_at": opens,
                    "closes_at": closes,
                    "audience": {"unit_ids": [group.school.id], "class_ids": [group.id]},
                }
                launched[group.id] = expect(await group.superior.post("/v1/roll-calls", body), 201)["id"]
            missing = {
                id(pupil) for pupil in (self.automatic, self.suspended, self.dismissed, self.escalated)
            }
            for group in (self.city, self.county):
                await self._told(launched[group.id], [p for p in group.pupils if id(p) in missing])
            self.clients.advance(datetime.fromisoformat(opens).timestamp() - self.clients.clock() + 1)
            for group in (self.city, self.county):
                present = [pupil for pupil in group.pupils if id(pupil) not in missing]
                await gather(pupil.check_in(launched[group.id], Where(), attempt) for pupil in present)
            await self.window_passes(closes)
            for group in (self.city, self.county):
                await self.until(f"{number}抽查结算", partial(self._settled, group, launched[group.id]))
            self.tell(f"{number}抽查已结算：郑州 {self.city.name} 三人、巩义 {self.county.name} 一人未参加")

    async def _told(self, roll_call_id: str, pupils: list[Pupil]) -> None:
        """The notice reached those who then stay away: without that, nothing could follow."""
        for pupil in pupils:

            async def shown(pupil: Pupil = pupil) -> bool:
                inbox = expect(await pupil.phone.get("/v1/notices"))["items"]
                return any(notice["data"].get("roll_call_id") == roll_call_id for notice in inbox)

            await self.until("核验通知", shown)

    async def _settled(self, group: Class, roll_call_id: str) -> bool:
        found = expect(await group.superior.get(f"/v1/roll-calls/{roll_call_id}"))
        return bool(found["phase"] == "settled")

    # --- prompts and decisions ---

    async def prompts_are_raised(self) -> dict[str, dict[str, Any]]:
        """One prompt for each of the four, by student; the registrars receive them in their inbox."""
        found: dict[str, dict[str, Any]] = {}
        for group, pupils in (
            (self.city, [self.automatic, self.suspended, self.dismissed]),
            (self.county, [self.escalated]),
        ):
            for pupil in pupils:
                prompt = await self.until("提示", partial(self._prompt, group, pupil))
                found[pupil.student_id] = prompt
            await self.until("提示送达", partial(self._received, group))
        await self.explained(self.city.superior, "prompt", found[self.automatic.student_id]["id"])
        own = expect(await self.automatic.phone.get("/v1/me/standing"))
        self.report.check("the student sees the prompt", own["prompts"])
        return found

    async def _prompt(self, group: Class, pupil: Pupil, kind: str = "misses") -> dict[str, Any] | None:
        page = expect(
            await group.superior.get("/v1/prompts", params={"student_id": pupil.student_id, "kind": kind})
        )
        return page["items"][0] if page["items"] else None

    async def _received(self, group: Class) -> bool:
        """The registrar opens the inbox: that is the delivery from which the working days run."""
        expect(await group.school.registrar.get("/v1/notices"))
        page = expect(await group.school.registrar.get("/v1/prompts", params={"state": "undelivered"}))
        return not page["items"]

    async def decided_in_time(self, prompts: dict[str, dict[str, Any]]) -> None:
        """One is suspended by the registrar with reasons; another is dismissed, and the superior acknowledges it."""
        self.days_pass(1)
        registrar, superior = self.city.school.registrar, self.city.superior
        prompt = prompts[self.suspended.student_id]
        path = f"/v1/prompts/{prompt['id']}/decisions"
        bare = await registrar.post(path, {"outcome": "suspension"})
        self.report.check("another outcome needs reasons", bare.status_code == 422)
        reasons = {"outcome": "suspension", "reasons": "家长说明学生外出务工，本人申请保留学籍休学"}
        decided = expect(await registrar.post(path, reasons), 201)
        self.tell(
            f"{self.suspended.name}：学校管理员改选“休学”并说明理由（无理由时被拒：{bare.json()['code']}）"
        )
        await self.explained(registrar, "entry", decided["changes"][-1]["id"])
        prompt = prompts[self.dismissed.student_id]
        said = {"text": "两次核验当天都在医院，附诊断证明"}
        expect(await self.dismissed.phone.post(f"/v1/me/prompts/{prompt['id']}/statements", json=said), 201)
        dismissal = {"outcome": "dismiss", "found_reason": "illness", "reasons": "查验病历属实"}
        path = f"/v1/prompts/{prompt['id']}/decisions"
        pending = expect(await registrar.post(path, dismissal), 201)
        answer = {"accepted": True, "opinion": "病历属实，同意撤销提示"}
        path = f"/v1/prompt-decisions/{pending['decisions'][-1]['id']}/answer"
        self.report.check(
            "the school does not acknowledge its own dismissal",
            (await registrar.post(path, answer)).status_code == 403,
        )
        done = expect(await superior.post(path, answer), 201)
        self.report.check("a dismissed prompt is closed", done["state"]["code"] == "dismissed")
        self.tell(f"{self.dismissed.name}：认定正当理由（疾病），上级确认，提示撤销")
        await self.explained(self.dismissed, "prompt", prompt["id"])

    async def five_working_days(self, prompts: dict[str, dict[str, Any]]) -> None:
        """Nobody decides on two of them: one is executed by the policy, the other goes to the superior."""
        prompt = expect(
            await self.city.superior.get(f"/v1/prompts/{prompts[self.automatic.student_id]['id']}")
        )
        due = datetime.fromisoformat(prompt["due_at"])
        self.tell(
            f"{self.automatic.name}：处理期限至 {due.astimezone(LEGAL_ZONE):%Y-%m-%d %H:%M}（五个工作日）"
        )
        while self.now < due - timedelta(hours=1):
            self.days_pass(1)
            await asyncio.sleep(STRIDE_SECONDS)
        self.clients.advance(max(0.0, due.timestamp() - self.clients.clock() + 1))
        for pupil, group, state in (
            (self.automatic, self.city, "executed"),
            (self.escalated, self.county, "escalated"),
        ):
            path = f"/v1/prompts/{prompts[pupil.student_id]['id']}"
            done = await self.until(state, partial(self._in_state, group, path, state))
            self.tell(f"{pupil.name}：期限届满，{done['state']['zh']}")
            if state == "executed":
                status = done["changes"][-1]["after"]["study_form"]["code"]
                self.report.check("the policy made the student part-time", status == "part_time")
                await self.explained(self.automatic, "entry", done["changes"][-1]["id"])
            else:
                await self.explained(group.superior, "prompt", done["id"])
        path = f"/v1/prompts/{prompts[self.escalated.student_id]['id']}/decisions"
        late = await self.county.school.registrar.post(path, {"outcome": "part_time"})
        self.report.check("after the escalation the school decides no more", late.status_code in {403, 409})
        expect(
            await self.county.superior.post(
                path, {"outcome": "part_time", "reasons": "逾期未报，由县局决定"}
            ),
            201,
        )
        self.tell(f"{self.escalated.name}：巩义市按本地规定报上级，由县教育局决定（学校逾期后再决定被拒）")

    async def _in_state(self, group: Class, path: str, state: str) -> dict[str, Any] | None:
        prompt: dict[str, Any] = expect(await group.superior.get(path))
        return prompt if prompt["state"]["code"] == state else None

    # --- aid and appeal ---

    async def aid_is_withdrawn(self) -> None:
        """Exactly the unpaid part of the term; the file for the aid office has a purpose, an owner and an approval."""
        registrar, superior = self.city.school.registrar, self.city.superior
        filing = await self.until("资助撤回", partial(self._filing, self.automatic, "withdrawal"))
        detail = expect(await registrar.get(f"/v1/aid-withdrawals/{filing['id']}"))
        aid = expect(await registrar.get(f"/v1/students/{self.automatic.student_id}/aid"))
        self.report.check("nothing unpaid is left", aid["balances"]["due"] == 0)
        self.report.check("what was paid is untouched", aid["balances"]["paid"] > 0)
        self.report.check("the ledger balances", sum(aid["balances"].values()) == 0)
        self.tell(
            f"{self.automatic.name}：本学期未发放资助 {aid['balances']['withdrawn'] / 100:.2f} 元已撤回"
            f"（{len(detail['lines'])} 笔在列），已发放 {aid['balances']['paid'] / 100:.2f} 元不变"
        )
        await self.explained(self.automatic, "withdrawal", filing["id"])
        export = expect(
            await registrar.post(
                "/v1/aid-withdrawal-exports", {"purpose": "报送资助中心", "filing_ids": [filing["id"]]}
            ),
            201,
        )
        expect(await superior.post(f"/v1/aid-withdrawal-exports/{export['id']}/approval"), 201)
        file = await registrar.get(f"/v1/aid-withdrawal-exports/{export['id']}/file")
        self.report.check("the aid office gets a workbook", file.is_success and file.content[:2] == b"PK")
        path = f"/v1/aid-withdrawals/{filing['id']}/acknowledgement"
        expect(await superior.post(path, {"reference": "资助〔演示〕001号"}), 201)
        self.tell(f"  报送文件 {len(file.content)} 字节，资助部门签收：资助〔演示〕001号")

    async def _filing(self, pupil: Pupil, kind: str) -> dict[str, Any] | None:
        rows = await self.city.school.registrar.pages("/v1/aid-withdrawals", kind=kind)
        return next((row for row in rows if row["student_id"] == pupil.student_id), None)

    async def appeal_restores(self) -> None:
        """The student appeals against the automatic change; upheld, everything is as if it had never been."""
        self.days_pass(1)
        entries = expect(await self.automatic.phone.get("/v1/me/standing-entries"))
        change = entries["entries"][-1]["id"]
        appeal = {
            "against": {"kind": "change", "change_id": change},
            "grounds": {"text": "两次核验期间在企业实训，学校未登记实训地点，附实训证明"},
        }
        filed = expect(await self.automatic.phone.post("/v1/me/appeals", json=appeal), 201)
        self.tell(f"{self.automatic.name}：申诉，由 {filed['deciding_unit']} 受理")
        path = f"/v1/appeals/{filed['id']}/decision"
        for party in (self.city.school.registrar, self.city.superior):
            own = await party.post(path, {"upheld": True, "reasons": "同意"})
            self.report.check("who had a hand in it does not decide", own.status_code in {403, 404})
        reasons = {"upheld": True, "reasons": "实训证明属实，学校应补报实训地点，恢复原学籍"}
        expect(await self.setting.province.post(path, reasons), 201)
        standing = expect(await self.automatic.phone.get("/v1/me/standing"))
        self.report.check("full-time again", standing["status"]["study_form"]["code"] == "full_time")
        self.report.check("the lock is lifted", not standing["locked"])
        self.report.check("the misses are taken back", standing["misses"]["cumulative"] == 0)

        async def reinstated() -> bool:
            path = f"/v1/students/{self.automatic.student_id}/aid"
            balances = expect(await self.city.school.registrar.get(path))["balances"]
            return bool(balances["withdrawn"] == 0 and balances["due"] > 0)

        await self.until("资助恢复", reinstated)
        self.tell("  申诉成立：学籍恢复全日制，锁定解除，未核验次数重计，资助以对冲分录恢复")
        await self.explained(self.automatic, "appeal", filed["id"])

    # --- leave and absence ---

    async def sixteen_days_of_leave(self) -> None:
        """The sixteenth day opens a prompt for suspension (HN334-3.5b)."""
        for _ in range(40):
            if await self._prompt(self.other, self.on_leave, "leave_over_cap"):
                break
            self.days_pass(1)
            await asyncio.sleep(4 * STRIDE_SECONDS)
        prompt = await self.until(
            "请假超限提示", partial(self._prompt, self.other, self.on_leave, "leave_over_cap")
        )
        days = expect(await self.on_leave.phone.get("/v1/me/leave-days"))
        self.tell(
            f"{self.on_leave.name}：本学期请假已用 {days['used']} 天，提示按{prompt['proposed']['zh']}处理"
        )
        self.report.check("the sixteenth day proposes suspension", prompt["proposed"]["code"] == "suspension")
        self.report.check("not before the sixteenth day", days["used"] >= 16)
        await self.explained(self.on_leave, "prompt", prompt["id"])

    async def three_months_of_absence(self) -> None:
        """Three calendar months and a day after the record, with no proof of presence since (HN334-3.5c)."""
        for _ in range(12):
            if await self._prompt(self.other, self.absent, "absence_without_leave"):
                break
            self.days_pass(10)
            await asyncio.sleep(4 * STRIDE_SECONDS)
        prompt = await self.until(
            "长期缺席提示", partial(self._prompt, self.other, self.absent, "absence_without_leave")
        )
        self.report.check("three months propose withdrawal", prompt["proposed"]["code"] == "withdrawal")
        self.tell(f"{self.absent.name}：无假缺席超过三个月，提示按{prompt['proposed']['zh']}处理")
        await self.explained(self.absent, "prompt", prompt["id"])

"""The second scenario: misses, prompts, deadlines, decisions, withdrawn aid, and an appeal that reverses it.

The demo clock skips the days. Everything else is done by the running system: jobs, notices and deadlines.
"""

import asyncio
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from backend.core.clock import LEGAL_ZONE, legal_day
from backend.demo.clients import CLOCK_POLL_SECONDS, run_concurrently
from backend.demo.fixtures import School, window_times
from backend.demo.scenario import RollCallScenario
from backend.demo.staff import StaffClient, expect
from backend.demo.students import DemoStudent, ReportedPosition
from backend.demo.timeline import DemoClass, Timeline
from backend.org.calendar import FIXED_HOLIDAYS


class ConsequencesScenario(Timeline):
    """Continues after the first roll call, with the first students of three classes."""

    def __init__(self, scenario: RollCallScenario) -> None:
        super().__init__(scenario)
        self.scenario, self.organisation = scenario, scenario.organisation
        a, b, _ = self.organisation.schools
        bureaus = self.organisation.bureaus
        self.city_class = self._select_class(a, bureaus["410100"], 0)
        self.leave_class = self._select_class(a, bureaus["410100"], 1)
        self.county_class = self._select_class(b, bureaus["410181"], 0)
        # Named for what happens to them.
        self.automatic, self.suspended, self.dismissed = self.city_class.students[:3]
        self.escalated = self.county_class.students[0]
        self.on_leave, self.absent = self.leave_class.students[:2]

    def _select_class(self, school: School, superior: StaffClient, number: int) -> DemoClass:
        students_with_roles = {id(role.student) for role in self.scenario.participants.roles}
        classes = []
        for group in school.classes:
            students = [
                student
                for student in self.scenario.participants.students
                if student.school is school
                and student.record["班级名称"] == group["name"]
                and student.enrolled
                and student.face.engine == "test-pattern"
                and id(student) not in students_with_roles
            ]
            if len(students) >= 3:
                classes.append(
                    DemoClass(
                        group["id"], group["name"], school, students, school.counselors[group["id"]], superior
                    )
                )
        return classes[number]

    # --- all steps ---

    async def run(self) -> None:
        """Run all steps, from the second day to the fourth month."""
        await self.load_calendar_years()
        await self.grant_aid()
        await self.start_leave_and_absence()
        await self.miss_two_roll_calls()
        prompts = await self.wait_for_prompts()
        await self.decide_prompts(prompts)
        await self.let_deadline_expire(prompts)
        await self.check_aid_withdrawal()
        await self.appeal_change()
        await self.exceed_leave_cap()
        await self.exceed_absence_limit()
        self.check_replay(
            [self.automatic, self.suspended, self.dismissed, self.escalated, self.on_leave, self.absent]
        )

    async def load_calendar_years(self) -> None:
        """Load missing calendar years. Without a published year, no deadline in it can be calculated (reading 7)."""
        known = expect(await self.organisation.province.get("/v1/calendar-years"))["years"]
        for year in range(legal_day(self.now).year, legal_day(self.now).year + 2):
            if year not in known:
                holidays = [f"{year}-{month:02d}-{day:02d}" for month, day in FIXED_HOLIDAYS]
                body = {
                    "year": year,
                    "source": "演示数据，非官方",
                    "holidays": holidays,
                    "makeup_workdays": [],
                }
                expect(await self.organisation.province.post("/v1/calendar-years", body), 201)
                self.log(f"载入 {year} 年工作日历（演示数据，非官方）")

    async def grant_aid(self) -> None:
        """Apply for aid for a class as the registrar, approve it as the superior, and pay two months."""
        registrar = self.city_class.school.registrar
        for kind in ("grant", "tuition_waiver"):
            body = {"kind": kind, "class_id": self.city_class.id}
            filed = expect(await registrar.post("/v1/aid-applications", body), 201)["filed"]
            own = await registrar.post(f"/v1/aid-applications/{filed[0]}/decision", {"outcome": "approved"})
            self.report.check("an applicant cannot approve their own application", own.status_code == 403)
            answers = await run_concurrently(
                self.city_class.superior.post(
                    f"/v1/aid-applications/{each}/decision", {"outcome": "approved"}
                )
                for each in filed
            )
            for answer in answers:
                expect(answer, 201)
            self.log(f"{self.city_class.name} 资助申请（{kind}）：{len(filed)} 人，申请人自批被拒，上级批准")
        months = await self._first_instalments(self.automatic, 2)
        payments = [
            {
                "student_id": student.student_id,
                "kind": "grant",
                "month": month,
                "fen": fen,
                "paid_on": str(legal_day(self.now)),
            }
            for student in (self.automatic, self.suspended)
            for month, fen in months
        ]
        expect(await registrar.post("/v1/aid-payments", {"payments": payments}), 201)
        self.log(f"  已发放助学金：每人 {sum(fen for _, fen in months) / 100:.2f} 元（{len(months)} 个月）")

    async def _first_instalments(self, student: DemoStudent, months: int) -> list[tuple[str, int]]:
        awards = expect(await self.city_class.school.registrar.get(f"/v1/students/{student.student_id}/aid"))[
            "awards"
        ]
        grant = next(award for award in awards if award["kind"] == "grant")
        return [(part["month"], part["fen"]) for part in grant["instalments"][:months]]

    async def start_leave_and_absence(self) -> None:
        """Grant one student sixteen days of leave, and record another student as absent."""
        first = legal_day(self.now) + timedelta(days=1)
        requested = {
            "kind": "sick",
            "first_day": str(first),
            "last_day": str(first + timedelta(days=15)),
            "reason": "骨折住院",
        }
        leave = expect(await self.on_leave.phone.post("/v1/leave-requests", json=requested), 201)
        path = f"/v1/leave-requests/{leave['id']}/decision"
        expect(await self.leave_class.counselor.post(path, {"outcome": "approved"}), 201)
        self.log(
            f"{self.on_leave.name}：请假 16 天（{requested['first_day']} 至 {requested['last_day']}），辅导员批准"
        )
        record = {"at": self.now.isoformat(), "present": False, "note": "全天未到校，电话无人接听"}
        path = f"/v1/students/{self.absent.student_id}/attendance"
        expect(await self.leave_class.counselor.post(path, record), 201)
        self.log(f"{self.absent.name}：辅导员登记缺勤")

    async def miss_two_roll_calls(self) -> None:
        """Run two spot checks of two classes on two days. Four students miss both."""
        for attempt, number in enumerate(("第一次", "第二次"), start=5):
            self.advance_days(1)
            opens, closes = window_times(self.clients.clock(), 2, 60)
            classes = (self.city_class, self.county_class)
            roll_call_ids = [await self._launch_spot_check(each, number, opens, closes) for each in classes]
            absent = {
                id(student) for student in (self.automatic, self.suspended, self.dismissed, self.escalated)
            }
            for each, roll_call_id in zip(classes, roll_call_ids, strict=True):
                await self._wait_for_notices(
                    roll_call_id, [student for student in each.students if id(student) in absent]
                )
            self.clients.advance_clock(datetime.fromisoformat(opens).timestamp() - self.clients.clock() + 1)
            for each, roll_call_id in zip(classes, roll_call_ids, strict=True):
                present = [student for student in each.students if id(student) not in absent]
                await run_concurrently(
                    student.check_in(roll_call_id, ReportedPosition(), attempt) for student in present
                )
            await self.wait_for_close(closes)
            for each, roll_call_id in zip(classes, roll_call_ids, strict=True):
                await self.poll(f"{number}抽查结算", partial(self._is_settled, each, roll_call_id))
            self.log(
                f"{number}抽查已结算：郑州 {self.city_class.name} 三人、巩义 {self.county_class.name} 一人未参加"
            )

    async def _launch_spot_check(self, school_class: DemoClass, number: str, opens: str, closes: str) -> str:
        body = {
            "kind": "spot_check",
            "title": f"{number}抽查",
            "opens_at": opens,
            "closes_at": closes,
            "audience": {"unit_ids": [school_class.school.id], "class_ids": [school_class.id]},
        }
        roll_call_id: str = expect(await school_class.superior.post("/v1/roll-calls", body), 201)["id"]
        return roll_call_id

    async def _wait_for_notices(self, roll_call_id: str, students: list[DemoStudent]) -> None:
        """Wait until the students have the notice of the roll call. A miss only counts if the notice was delivered."""
        for student in students:

            async def shown(student: DemoStudent = student) -> bool:
                inbox = expect(await student.phone.get("/v1/notices"))["items"]
                return any(notice["data"].get("roll_call_id") == roll_call_id for notice in inbox)

            await self.poll("核验通知", shown)

    async def _is_settled(self, school_class: DemoClass, roll_call_id: str) -> bool:
        roll_call = expect(await school_class.superior.get(f"/v1/roll-calls/{roll_call_id}"))
        return bool(roll_call["phase"] == "settled")

    # --- prompts and decisions ---

    async def wait_for_prompts(self) -> dict[str, dict[str, Any]]:
        """Wait for one prompt per absent student and for its delivery. Return the prompts by student id."""
        prompts: dict[str, dict[str, Any]] = {}
        for school_class, students in (
            (self.city_class, [self.automatic, self.suspended, self.dismissed]),
            (self.county_class, [self.escalated]),
        ):
            for student in students:
                prompt = await self.poll("提示", partial(self._find_prompt, school_class, student))
                prompts[student.student_id] = prompt
            await self.poll("提示送达", partial(self._prompts_delivered, school_class))
        await self.print_explanation(
            self.city_class.superior, "prompt", prompts[self.automatic.student_id]["id"]
        )
        own = expect(await self.automatic.phone.get("/v1/me/standing"))
        self.report.check("the student sees the prompt", own["prompts"])
        return prompts

    async def _find_prompt(
        self, school_class: DemoClass, student: DemoStudent, kind: str = "misses"
    ) -> dict[str, Any] | None:
        page = expect(
            await school_class.superior.get(
                "/v1/prompts", params={"student_id": student.student_id, "kind": kind}
            )
        )
        return page["items"][0] if page["items"] else None

    async def _prompts_delivered(self, school_class: DemoClass) -> bool:
        """Open the registrar's inbox, which counts as delivery and starts the deadline. Return whether all are delivered."""
        expect(await school_class.school.registrar.get("/v1/notices"))
        page = expect(await school_class.school.registrar.get("/v1/prompts", params={"state": "undelivered"}))
        return not page["items"]

    async def decide_prompts(self, prompts: dict[str, dict[str, Any]]) -> None:
        """Decide two prompts: suspend one student with reasons; dismiss the other prompt with the superior's acknowledgement."""
        self.advance_days(1)
        registrar, superior = self.city_class.school.registrar, self.city_class.superior
        prompt = prompts[self.suspended.student_id]
        path = f"/v1/prompts/{prompt['id']}/decisions"
        bare = await registrar.post(path, {"outcome": "suspension"})
        self.report.check("another outcome needs reasons", bare.status_code == 422)
        reasons = {"outcome": "suspension", "reasons": "家长说明学生外出务工，本人申请保留学籍休学"}
        decided = expect(await registrar.post(path, reasons), 201)
        self.log(
            f"{self.suspended.name}：学校管理员改选“休学”并说明理由（无理由时被拒：{bare.json()['code']}）"
        )
        await self.print_explanation(registrar, "entry", decided["changes"][-1]["id"])
        prompt = prompts[self.dismissed.student_id]
        statement = {"text": "两次核验当天都在医院，附诊断证明"}
        expect(
            await self.dismissed.phone.post(f"/v1/me/prompts/{prompt['id']}/statements", json=statement), 201
        )
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
        self.log(f"{self.dismissed.name}：认定正当理由（疾病），上级确认，提示撤销")
        await self.print_explanation(self.dismissed, "prompt", prompt["id"])

    async def let_deadline_expire(self, prompts: dict[str, dict[str, Any]]) -> None:
        """Let two deadlines expire: one prompt is executed automatically, the other escalated to the superior."""
        prompt = expect(
            await self.city_class.superior.get(f"/v1/prompts/{prompts[self.automatic.student_id]['id']}")
        )
        due = datetime.fromisoformat(prompt["due_at"])
        self.log(
            f"{self.automatic.name}：处理期限至 {due.astimezone(LEGAL_ZONE):%Y-%m-%d %H:%M}（五个工作日）"
        )
        while self.now < due - timedelta(hours=1):
            self.advance_days(1)
            await asyncio.sleep(CLOCK_POLL_SECONDS)
        self.clients.advance_clock(max(0.0, due.timestamp() - self.clients.clock() + 1))
        for student, school_class, state in (
            (self.automatic, self.city_class, "executed"),
            (self.escalated, self.county_class, "escalated"),
        ):
            path = f"/v1/prompts/{prompts[student.student_id]['id']}"
            done = await self.poll(state, partial(self._prompt_in_state, school_class, path, state))
            self.log(f"{student.name}：期限届满，{done['state']['zh']}")
            if state == "executed":
                status = done["changes"][-1]["after"]["study_form"]["code"]
                self.report.check("the policy made the student part-time", status == "part_time")
                await self.print_explanation(self.automatic, "entry", done["changes"][-1]["id"])
            else:
                await self.print_explanation(school_class.superior, "prompt", done["id"])
        path = f"/v1/prompts/{prompts[self.escalated.student_id]['id']}/decisions"
        late = await self.county_class.school.registrar.post(path, {"outcome": "part_time"})
        self.report.check(
            "after the escalation the school can no longer decide", late.status_code in {403, 409}
        )
        expect(
            await self.county_class.superior.post(
                path, {"outcome": "part_time", "reasons": "逾期未报，由县局决定"}
            ),
            201,
        )
        self.log(f"{self.escalated.name}：巩义市按本地规定报上级，由县教育局决定（学校逾期后再决定被拒）")

    async def _prompt_in_state(self, school_class: DemoClass, path: str, state: str) -> dict[str, Any] | None:
        prompt: dict[str, Any] = expect(await school_class.superior.get(path))
        return prompt if prompt["state"]["code"] == state else None

    # --- aid and appeal ---

    async def check_aid_withdrawal(self) -> None:
        """Check that exactly the unpaid aid of the term is withdrawn, and export it to the aid office with an approval."""
        registrar, superior = self.city_class.school.registrar, self.city_class.superior
        filing = await self.poll("资助撤回", partial(self._find_aid_filing, self.automatic, "withdrawal"))
        detail = expect(await registrar.get(f"/v1/aid-withdrawals/{filing['id']}"))
        aid = expect(await registrar.get(f"/v1/students/{self.automatic.student_id}/aid"))
        self.report.check("no unpaid aid is left", aid["balances"]["due"] == 0)
        self.report.check("paid aid is unchanged", aid["balances"]["paid"] > 0)
        self.report.check("the ledger balances", sum(aid["balances"].values()) == 0)
        self.log(
            f"{self.automatic.name}：本学期未发放资助 {aid['balances']['withdrawn'] / 100:.2f} 元已撤回"
            f"（{len(detail['lines'])} 笔在列），已发放 {aid['balances']['paid'] / 100:.2f} 元不变"
        )
        await self.print_explanation(self.automatic, "withdrawal", filing["id"])
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
        self.log(f"  报送文件 {len(file.content)} 字节，资助部门签收：资助〔演示〕001号")

    async def _find_aid_filing(self, student: DemoStudent, kind: str) -> dict[str, Any] | None:
        rows = await self.city_class.school.registrar.get_all_pages("/v1/aid-withdrawals", kind=kind)
        return next((row for row in rows if row["student_id"] == student.student_id), None)

    async def appeal_change(self) -> None:
        """Appeal against the automatic change. The upheld appeal restores standing, misses and aid."""
        self.advance_days(1)
        entries = expect(await self.automatic.phone.get("/v1/me/standing-entries"))
        change = entries["entries"][-1]["id"]
        appeal = {
            "against": {"kind": "change", "change_id": change},
            "grounds": {"text": "两次核验期间在企业实训，学校未登记实训地点，附实训证明"},
        }
        filed = expect(await self.automatic.phone.post("/v1/me/appeals", json=appeal), 201)
        self.log(f"{self.automatic.name}：申诉，由 {filed['deciding_unit']} 受理")
        path = f"/v1/appeals/{filed['id']}/decision"
        for party in (self.city_class.school.registrar, self.city_class.superior):
            own = await party.post(path, {"upheld": True, "reasons": "同意"})
            self.report.check(
                "a unit involved in the change cannot decide the appeal", own.status_code in {403, 404}
            )
        reasons = {"upheld": True, "reasons": "实训证明属实，学校应补报实训地点，恢复原学籍"}
        expect(await self.organisation.province.post(path, reasons), 201)
        standing = expect(await self.automatic.phone.get("/v1/me/standing"))
        self.report.check("full-time again", standing["status"]["study_form"]["code"] == "full_time")
        self.report.check("the lock is lifted", not standing["locked"])
        self.report.check("the misses are reset", standing["misses"]["cumulative"] == 0)

        async def reinstated() -> bool:
            path = f"/v1/students/{self.automatic.student_id}/aid"
            balances = expect(await self.city_class.school.registrar.get(path))["balances"]
            return bool(balances["withdrawn"] == 0 and balances["due"] > 0)

        await self.poll("资助恢复", reinstated)
        self.log("  申诉成立：学籍恢复全日制，锁定解除，未核验次数重计，资助以对冲分录恢复")
        await self.print_explanation(self.automatic, "appeal", filed["id"])

    # --- leave and absence ---

    async def exceed_leave_cap(self) -> None:
        """Check that the sixteenth day of leave raises a prompt for suspension (HN334-3.5b)."""
        for _ in range(40):
            if await self._find_prompt(self.leave_class, self.on_leave, "leave_over_cap"):
                break
            self.advance_days(1)
            await asyncio.sleep(4 * CLOCK_POLL_SECONDS)
        prompt = await self.poll(
            "请假超限提示", partial(self._find_prompt, self.leave_class, self.on_leave, "leave_over_cap")
        )
        days = expect(await self.on_leave.phone.get("/v1/me/leave-days"))
        self.log(
            f"{self.on_leave.name}：本学期请假已用 {days['used']} 天，提示按{prompt['proposed']['zh']}处理"
        )
        self.report.check("the sixteenth day proposes suspension", prompt["proposed"]["code"] == "suspension")
        self.report.check("not before the sixteenth day", days["used"] >= 16)
        await self.print_explanation(self.on_leave, "prompt", prompt["id"])

    async def exceed_absence_limit(self) -> None:
        """Check that three months of absence without leave raise a prompt for withdrawal (HN334-3.5c)."""
        for _ in range(12):
            if await self._find_prompt(self.leave_class, self.absent, "absence_without_leave"):
                break
            self.advance_days(10)
            await asyncio.sleep(4 * CLOCK_POLL_SECONDS)
        prompt = await self.poll(
            "长期缺席提示", partial(self._find_prompt, self.leave_class, self.absent, "absence_without_leave")
        )
        self.report.check("three months propose withdrawal", prompt["proposed"]["code"] == "withdrawal")
        self.log(f"{self.absent.name}：无假缺席超过三个月，提示按{prompt['proposed']['zh']}处理")
        await self.print_explanation(self.absent, "prompt", prompt["id"])

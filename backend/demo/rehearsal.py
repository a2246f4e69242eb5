"""The rehearsal of every school on the day after enrolment, from which the face thresholds are learned (HN334-3.3)."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from backend.demo.clients import run_concurrently
from backend.demo.fixtures import School, window_times
from backend.demo.scenario import RollCallScenario
from backend.demo.staff import expect
from backend.demo.students import DemoStudent, ReportedPosition
from backend.demo.timeline import Timeline

ATTEMPTS = (3, 4, 5)
"""Numbers of the attempts at the rehearsal; the spot check uses lower ones, so that it shows other photographs."""
OPENS_AFTER_MINUTES = 5


class RehearsalScenario(Timeline):
    """Rehearses in each school with the students who have photographs, confirms, learns and approves."""

    def __init__(self, scenario: RollCallScenario) -> None:
        super().__init__(scenario)
        self.organisation = scenario.organisation
        self.students = [
            each for each in scenario.participants.students if each.face.engine == "sface" and each.enrolled
        ]

    async def run(self) -> None:
        """Enrolled yesterday, rehearsed today: the pictures that thresholds are learned from are of another day."""
        await self._accept_portraits()
        self.advance_days(1)
        rehearsals = {school.id: await self._launch(school) for school in self.organisation.schools}
        self.clients.advance_clock(OPENS_AFTER_MINUTES * 60 + 1)
        findings = await run_concurrently(
            self._check_in(each, rehearsals[each.school.id]["id"]) for each in self.students
        )
        undecided = sum(finding == "undetermined" for finding in findings)
        self.report.check("no face is accepted before thresholds are learned", "accepted" not in findings)
        self.log(
            f"联调测试：{len(findings)} 名有照片的学生签到，{undecided} 人动作和位置通过、人脸尚无阈值（演练不影响学生）"
        )
        for rehearsal in rehearsals.values():
            await self.wait_for_close(rehearsal["closes_at"])
        confirmed = [
            await self._confirm(school, rehearsals[school.id]["id"]) for school in self.organisation.schools
        ]
        self.report.check("every school confirmed its rehearsal", all(confirmed))
        await self._learn_and_approve()
        await self._print_report()

    async def _accept_portraits(self) -> None:
        """Without thresholds the registrar compares each portrait with the enrolled face."""
        decided = 0
        for school in self.organisation.schools:
            for portrait in await school.registrar.get_all_pages("/v1/portraits"):
                body = {"accepted": True, "reasons": "与本人一致"}
                expect(await school.registrar.post(f"/v1/portraits/{portrait['id']}/decision", body), 201)
                decided += 1
        self.log(f"尚无人脸阈值，学校管理员人工核对了 {decided} 张证件照")

    async def _launch(self, school: School) -> dict[str, Any]:
        names = {each.record["班级名称"] for each in self.students if each.school is school}
        opens, closes = window_times(self.clients.clock(), OPENS_AFTER_MINUTES, 60)
        classes = [group["id"] for group in school.classes if group["name"] in names]
        body = {
            "kind": "rehearsal",
            "title": "联调测试",
            "opens_at": opens,
            "closes_at": closes,
            "audience": {"class_ids": classes},
        }
        return {"closes_at": closes, **expect(await school.registrar.post("/v1/roll-calls", body), 201)}

    async def _check_in(self, student: DemoStudent, roll_call_id: str) -> str:
        """Check in until liveness and position pass, as often as there are attempts; returns the last finding."""
        finding = "none"
        for attempt in ATTEMPTS:
            sent = await student.check_in(roll_call_id, ReportedPosition(), attempt=attempt)
            if sent.submission_id is None:
                return f"{sent.status} {sent.code}"
            finding = str((await student.wait_for_finding(sent.submission_id))["finding"])
            if finding in {"undetermined", "accepted"}:
                return finding
        return finding

    async def _confirm(self, school: School, roll_call_id: str) -> int:
        """Let each counselor confirm the check-ins of the class: these students were in front of me."""
        confirmed = 0
        for class_id, counselor in school.counselors.items():
            listed = expect(await counselor.get(f"/v1/roll-calls/{roll_call_id}/rehearsal"))
            if not any(each["check_ins"] for each in listed):
                continue
            path = f"/v1/roll-calls/{roll_call_id}/rehearsal-confirmations"
            done = expect(await counselor.post(path, {"class_id": class_id, "excluded": []}), 201)
            confirmed += done["confirmed"]
        self.log(f"  {school.plan.name}：辅导员确认 {confirmed} 名学生当时在场")
        return confirmed

    async def _learn_and_approve(self) -> None:
        """Learn, show that nothing takes effect by itself, and approve as the province."""
        learned = await self._run_command("learn")
        if learned is None:
            return
        [engine] = learned["engines"]
        self.report.check("the first thresholds are only proposed", engine["state"] == "proposed")
        newest = expect(await self.organisation.province.get("/v1/face-thresholds"))["items"][0]
        school = self.organisation.schools[0].registrar
        path, body = f"/v1/face-thresholds/{newest['id']}/approval", {"reasons": "演示：各校报告已核对"}
        refused = await school.post(path, body)
        self.report.check("a school cannot approve thresholds", refused.status_code == 403)
        approved = expect(await self.organisation.province.post(path, body), 201)
        self.report.check("the approved thresholds are in force", approved["state"] == "in_force")
        self.report.figures["thresholds"] = {
            name: approved[name]
            for name in (
                "engine",
                "version",
                "accept_from",
                "reject_below",
                "people",
                "minimum",
                "demonstration",
            )
        }
        self.log(
            f"由 {approved['people']} 人的联调测试得出阈值（{approved['engine']} 第 {approved['version']} 版）："
            f"{approved['accept_from']:.3f} 起接受，低于 {approved['reject_below']:.3f} 不符；省级管理员批准生效"
        )
        if approved["demonstration"]:
            self.log(
                f"  演示参数：每组至少 {approved['minimum']} 人，只演示流程，不代表任何误认率；正式环境拒绝使用"
            )

    async def _print_report(self) -> None:
        """Print what the first school may expect."""
        school = self.organisation.schools[0]
        report = await self._run_command("report", school.id)
        if report is not None:
            self.report.check("the report says that it is a demonstration", report["demonstration"])
            self.report.figures["face_report"] = report
            shares = report["shares"] or {}
            self.log(
                f"  {school.plan.name}人脸报告：预计通过 {shares.get('accepted', {}).get('value')}，"
                f"存疑 {shares.get('doubtful', {}).get('value')}，不符 {shares.get('refused', {}).get('value')}"
            )

    async def _run_command(self, *arguments: str) -> dict[str, Any] | None:
        program = str(Path(sys.executable).with_name("dianming"))
        process = await asyncio.create_subprocess_exec(
            program,
            "face",
            *arguments,
            "--json",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        self.report.check(
            f"face {arguments[0]}: {output.decode()[-300:]} {errors.decode()[-300:]}", process.returncode == 0
        )
        return None if process.returncode else dict(json.loads(output))

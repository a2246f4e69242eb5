"""Shared steps of the demo: move the clock, wait for background jobs, print explanations."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from backend.core.clock import LEGAL_ZONE, legal_day
from backend.demo.fixtures import School
from backend.demo.scenario import TIMEOUT_SECONDS, RollCallScenario
from backend.demo.staff import StaffClient, expect
from backend.demo.students import DemoStudent


@dataclass(frozen=True, slots=True)
class DemoClass:
    """A class of the demo: its students, its counselor, and the authority above its school."""

    id: str
    name: str
    school: School
    students: list[DemoStudent]
    counselor: StaffClient
    superior: StaffClient


class Timeline:
    """Base of a scenario over several days."""

    def __init__(self, scenario: RollCallScenario) -> None:
        self.clients, self.log, self.report = scenario.clients, scenario.log, scenario.report

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clients.clock(), UTC)

    def advance_days(self, days: int, hour: int = 9) -> None:
        """Move the clock to `hour` on the legal day `days` from now."""
        day = legal_day(self.now) + timedelta(days=days)
        target = datetime(day.year, day.month, day.day, hour, tzinfo=LEGAL_ZONE)
        self.clients.advance_clock(target.timestamp() - self.clients.clock())
        self.log(f"—— 时间来到 {target:%Y-%m-%d %H:%M} ——")

    async def wait_for_close(self, closes_at: str) -> None:
        """Move the clock to one second after the close, in small steps (see `Clients.advance_clock_to`)."""
        await self.clients.advance_clock_to(datetime.fromisoformat(closes_at).timestamp() + 1)

    async def poll(self, what: str, probe: Callable[[], Awaitable[Any]]) -> Any:
        """Call `probe` once a second until it returns a true value, and return it."""
        for _ in range(round(TIMEOUT_SECONDS)):
            result = await probe()
            if result:
                return result
            await asyncio.sleep(1)
        msg = f"timed out waiting for: {what}"
        raise TimeoutError(msg)

    async def print_explanation(self, reader: StaffClient | DemoStudent, kind: str, case_id: str) -> None:
        """Print an explanation as `reader` receives it."""
        if isinstance(reader, DemoStudent):
            answer = await reader.phone.get(f"/v1/me/explanations/{kind}/{case_id}")
        else:
            answer = await reader.get(f"/v1/explanations/{kind}/{case_id}")
        explanation = expect(answer)
        self.log(f"  〔说明〕{explanation['title']['zh']}")
        for part in ("paragraphs", "facts", "next_steps"):
            for line in explanation[part]:
                self.log(f"    {line.get('words', line)['zh']}")
        citations = "；".join(
            f"{each['instrument']['zh']} {each['clause']}" for each in explanation["references"]
        )
        self.log(f"    依据：{citations}")
        self.report.check(f"the {kind} is explained", explanation["paragraphs"] and explanation["references"])

    def check_replay(self, students: list[DemoStudent]) -> None:
        """Check that `dianming replay` finds no difference for these students."""
        dianming = Path(sys.executable).parent / "dianming"
        for student in students:
            result = subprocess.run(  # noqa: S603 - the project's own command
                [dianming, "replay", student.student_id], check=False, capture_output=True, text=True
            )
            self.report.check(
                f"replay of {student.name}: {result.stdout[-300:]}{result.stderr[-300:]}",
                result.returncode == 0,
            )
        self.log(f"重放 {len(students)} 名学生的全部事实：与所存结果一致（dianming replay）")

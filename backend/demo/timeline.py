"""Time passing in the demonstration, waiting for the house to do its work, and showing what it says."""

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
from backend.demo.scenario import PATIENCE_SECONDS, Story
from backend.demo.staff import Staff, expect
from backend.demo.students import Pupil


@dataclass(frozen=True, slots=True)
class Class:
    """A class with a part: its students in order, the counselor, and the authority above the school."""

    id: str
    name: str
    school: School
    pupils: list[Pupil]
    counselor: Staff
    superior: Staff


class Passage:
    """The clock of the story, and a patient eye on the house."""

    def __init__(self, story: Story) -> None:
        self.clients, self.tell, self.report = story.clients, story.tell, story.report

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clients.clock(), UTC)

    def days_pass(self, days: int, hour: int = 9) -> None:
        """Move to an hour of the legal day that lies so many days ahead."""
        day = legal_day(self.now) + timedelta(days=days)
        then = datetime(day.year, day.month, day.day, hour, tzinfo=LEGAL_ZONE)
        self.clients.advance(then.timestamp() - self.clients.clock())
        self.tell(f"—— 时间来到 {then:%Y-%m-%d %H:%M} ——")

    async def window_passes(self, closes_at: str) -> None:
        """To a moment after the close, in strides that leave no gap in the marks of the service."""
        await self.clients.reach(datetime.fromisoformat(closes_at).timestamp() + 1)

    async def until(self, what: str, look: Callable[[], Awaitable[Any]]) -> Any:
        """What `look` finds, as soon as it finds something; jobs of the house need a moment."""
        for _ in range(round(PATIENCE_SECONDS)):
            found = await look()
            if found:
                return found
            await asyncio.sleep(1)
        msg = f"waited in vain: {what}"
        raise TimeoutError(msg)

    async def explained(self, reader: Staff | Pupil, kind: str, case_id: str) -> None:
        """Print an explanation as its reader gets it."""
        if isinstance(reader, Pupil):
            answer = await reader.phone.get(f"/v1/me/explanations/{kind}/{case_id}")
        else:
            answer = await reader.get(f"/v1/explanations/{kind}/{case_id}")
        told = expect(answer)
        self.tell(f"  〔说明〕{told['title']['zh']}")
        for part in ("paragraphs", "facts", "next_steps"):
            for line in told[part]:
                self.tell(f"    {line.get('words', line)['zh']}")
        cited = "；".join(f"{each['instrument']['zh']} {each['clause']}" for each in told["references"])
        self.tell(f"    依据：{cited}")
        self.report.check(f"the {kind} is explained", told["paragraphs"] and told["references"])

    def replayed(self, pupils: list[Pupil]) -> None:
        """`dianming replay` finds no difference for any of them."""
        dianming = Path(sys.executable).parent / "dianming"
        for pupil in pupils:
            done = subprocess.run(  # noqa: S603 - our own command
                [dianming, "replay", pupil.student_id], check=False, capture_output=True, text=True
            )
            self.report.check(
                f"replay of {pupil.name}: {done.stdout[-300:]}{done.stderr[-300:]}", done.returncode == 0
            )
        self.tell(f"重放 {len(pupils)} 名学生的全部事实：与所存结果一致（dianming replay）")

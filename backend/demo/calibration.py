"""The house measures its own faces, as an administrator would: by the command, on what the roll call brought in."""

import asyncio
import json
import sys
from pathlib import Path

from backend.demo.report import Report

MEASURED = ("report.md", "faces.yaml", "scores.png", "det.png")
"""What an administrator reads before accepting anything."""


async def calibrate(report: Report, out: Path) -> None:
    """`dianming face calibrate` on the running deployment; its summary joins the figures of the demonstration."""
    program = Path(sys.executable).with_name("dianming")
    asked = (str(program), "face", "calibrate", str(out), "--json")
    process = await asyncio.create_subprocess_exec(
        *asked, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    answered, complained = await process.communicate()
    report.check(f"face calibrate: {complained.decode()[-400:]}", process.returncode == 0)
    if process.returncode == 0:
        report.figures["calibration"] = json.loads(answered)
        report.check("face calibrate wrote its page", all((out / name).is_file() for name in MEASURED))

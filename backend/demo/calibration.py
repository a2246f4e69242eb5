"""The demonstration's calibration: runs `dianming face calibrate` on the data of the demo roll call."""

import asyncio
import json
import sys
from pathlib import Path

from backend.demo.report import Report

MEASURED = ("report.md", "faces.yaml", "scores.png", "det.png")
"""The files that an administrator reviews."""


async def calibrate(report: Report, out: Path) -> None:
    """Run `dianming face calibrate` on the running deployment and add its summary to the demo report."""
    program = Path(sys.executable).with_name("dianming")
    arguments = (str(program), "face", "calibrate", str(out), "--json")
    process = await asyncio.create_subprocess_exec(
        *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    report.check(f"face calibrate: {errors.decode()[-400:]}", process.returncode == 0)
    if process.returncode == 0:
        report.figures["calibration"] = json.loads(output)
        report.check("face calibrate wrote its page", all((out / name).is_file() for name in MEASURED))

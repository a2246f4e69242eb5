"""`dianming demo`: a scenario with real input, over the public interfaces of the running system."""

import asyncio
import json as jsonlib
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from backend.commands.output import exit_with_error
from backend.core.app_context import settings_clock
from backend.demo.clients import Clients
from backend.demo.consequences import ConsequencesScenario
from backend.demo.fixtures import OrganisationBuilder
from backend.demo.rehearsal import RehearsalScenario
from backend.demo.report import Report
from backend.demo.scenario import RollCallScenario
from backend.demo.staff import UnexpectedResponse
from backend.settings import Settings, get_settings

ROOT = Path(__file__).resolve().parents[3]


def _log(line: str) -> None:
    sys.stderr.write(f"[{time.strftime('%H:%M:%S')}] {line}\n")
    sys.stderr.flush()


async def _run_scenario(settings: Settings, students: int) -> Report:
    def clock() -> float:
        return settings_clock(settings)().timestamp()

    # Well below the server's 5 s, or a busy machine sends on a connection that the server has just closed.
    limits = httpx.Limits(max_connections=64, keepalive_expiry=1)
    base = settings.public_url
    async with (
        httpx.AsyncClient(base_url=f"{base}/staff", timeout=120, limits=limits, trust_env=False) as staff,
        httpx.AsyncClient(base_url=f"{base}/mobile", timeout=120, limits=limits, trust_env=False) as mobile,
        httpx.AsyncClient(base_url=settings.gateway_url, timeout=30, trust_env=False) as gateway,
    ):
        first = jsonlib.loads((settings.keys_file.parent / "sign-ins.json").read_text())["first_invitation"]
        with tempfile.TemporaryDirectory() as folder:
            organisation = await OrganisationBuilder(staff, clock, Path(folder), _log).build(first, students)
        scenario = RollCallScenario(organisation, Clients(staff, mobile, gateway, clock), _log, ROOT)
        scenario.participants.create_students()
        await scenario.activate_students()
        await RehearsalScenario(scenario).run()
        scenario.participants.assign_roles()
        await scenario.check_authority_limits()
        roll_call_id = await scenario.launch_roll_call()
        await scenario.open_window(roll_call_id)
        await scenario.play_roles(roll_call_id)
        await scenario.check_in_others(roll_call_id)
        await scenario.retry_undetermined(roll_call_id)
        await scenario.attest_students(roll_call_id)
        await scenario.urge_missing_students(roll_call_id)
        await scenario.submit_one_second_late(roll_call_id)
        await scenario.wait_for_settlement(roll_call_id)
        await scenario.compare_outcomes(roll_call_id)
        await scenario.decide_undetermined(roll_call_id)
        await ConsequencesScenario(scenario).run()
        return scenario.report


def _print_report(report: Report) -> None:
    table = Table(title="核验结果 · Outcomes", show_lines=False)
    for heading in ("情形", "学生", "应得", "实得", "原因", "方式", "引擎", "经过"):
        table.add_column(heading, overflow="fold")
    for line in report.lines:
        style = "red" if line.is_unexpected else ""
        table.add_row(
            line.zh,
            line.student,
            line.expected,
            line.outcome,
            line.reason,
            line.method,
            line.engine,
            "; ".join(line.seen),
            style=style,
        )
    console = Console(width=160)
    console.print(table)
    console.print(f"引擎与结果 · engine:outcome {report.figures.get('judged')}")
    console.print(f"结算 · settlement {report.figures.get('settlement')}")
    console.print(f"人脸阈值 · face thresholds {report.figures.get('thresholds')}")
    for fact in report.unexpected:
        console.print(f"[red]意外 · surprise: {fact}[/red]")
    console.print("[green]全部符合通知要求 · no surprise[/green]" if not report.unexpected else "")


def command(
    json: Annotated[Path | None, typer.Option(help="把结果写入 JSON 文件 · write the result as JSON")] = None,
    students: Annotated[
        int, typer.Option(min=600, max=20000, help="名册人数 · students on the rosters")
    ] = 2000,
) -> None:
    """演示：从发起、结算到异动、资助和申诉 · From launch and settlement to changes, aid and appeals."""
    if "DIANMING_CLOCK_FILE" not in os.environ:
        exit_with_error(
            "demo_needs_its_house",
            "请用 make demo 运行 · run it by `make demo`, which starts what it needs",
            as_json=False,
        )
    started = time.monotonic()
    try:
        report = asyncio.run(_run_scenario(get_settings(), students))
    except (UnexpectedResponse, TimeoutError, LookupError) as error:
        _log(f"意外 · surprise: {error}")
        raise typer.Exit(1) from error
    report.figures["seconds"] = round(time.monotonic() - started, 1)
    _print_report(report)
    if json is not None:
        document: dict[str, Any] = {
            "lines": [asdict(line) for line in report.lines],
            "surprises": report.unexpected,
            "figures": report.figures,
        }
        json.write_text(jsonlib.dumps(document, ensure_ascii=False, indent=1))
    if report.unexpected:
        raise typer.Exit(1)

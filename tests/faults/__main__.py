"""`make faults ARGS="--seed 7 --kills 200 --minutes 20"`: runs all crash points, the regression seeds and one long run."""

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.faults.crash_point_run import CrashPointRun
from tests.faults.long_run import LongRun
from tests.faults.services import RunServices, prepare_run
from tests.faults.template_cluster import ROOT, template
from tests.faults.verdict import Plan, Verdict, short_plan, summarise_runs

SEEDS = Path(__file__).with_name("seeds.txt")
CRASH_POINT_RUN_SECONDS = 1800.0
"""Time limit of the crash point run. Points not reached by then are violations."""
REPORTS = ROOT / ".local" / "faults-reports"


def run_plan(plan: Plan, kind: type[LongRun] = LongRun) -> Verdict:
    """Run one plan with services of its own. Logs and history are copied to `REPORTS`."""
    with ExitStack() as stack:
        with template() as template_directory:  # locked only while it is copied
            services = stack.enter_context(prepare_run(template_directory, ROOT))
        verdict = None
        try:
            verdict = asyncio.run(kind(services, plan).run())
        finally:
            _save_reports(services, f"{kind.label}-{plan.seed}", verdict)
    return verdict


def _save_reports(services: RunServices, name: str, verdict: Verdict | None) -> None:
    folder = REPORTS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in (*services.folder.glob("*.log"), *services.folder.glob("*.jsonl")):
        shutil.copy(path, folder / path.name)
    if verdict is not None:
        (folder / "report.txt").write_text("\n".join(verdict.lines()) + "\n")
    print(f"记录在 · logs and history in {folder}", flush=True)


def read_regression_seeds() -> list[int]:
    """Read the seeds of earlier failures: one per line, followed by # and what was found."""
    lines = (line.partition("#")[0].strip() for line in SEEDS.read_text().splitlines())
    return [int(line) for line in lines if line]


def main(argv: list[str]) -> int:
    """Run the crash points, the regression seeds and one long run. Return 1 if there is any violation."""
    parser = argparse.ArgumentParser(
        prog="faults", description="故障演练 · inject faults and check for lost data"
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--no-regressions", action="store_true", help="skip the seeds of seeds.txt")
    parser.add_argument("--no-walk", action="store_true", help="skip the run through all crash points")
    parser.add_argument("--only-walk", action="store_true", help="run only the crash points")
    parser.add_argument("--short", action="store_true", help="one small roll call, as in `make test`")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    verdicts = []
    for kind, plan in _plans(arguments):
        print(f"{kind.label}, seed {plan.seed}", flush=True)
        verdict = run_plan(plan, kind)
        print("\n".join(verdict.lines()), flush=True)
        verdicts.append(verdict)
    if len(verdicts) > 1:
        print("\n".join(summarise_runs(verdicts)), flush=True)
    if arguments.json is not None:
        summaries = [{"seed": each.plan.seed, "lines": list(each.lines())} for each in verdicts]
        arguments.json.write_text(json.dumps(summaries, ensure_ascii=False))
    return 1 if any(each.violations for each in verdicts) else 0


def _plans(arguments: argparse.Namespace) -> Iterator[tuple[type[LongRun], Plan]]:
    if arguments.short:
        yield LongRun, short_plan(arguments.seed)
        return
    if not arguments.no_walk:
        yield CrashPointRun, Plan(arguments.seed, 0, CRASH_POINT_RUN_SECONDS)
    if arguments.only_walk:
        return
    if not arguments.no_regressions:
        yield from ((LongRun, Plan(seed, 25, 180)) for seed in read_regression_seeds())
    yield LongRun, Plan(arguments.seed, arguments.kills, arguments.minutes * 60)


def _terminate(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminate)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.exit(main(sys.argv[1:]))

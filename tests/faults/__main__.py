"""`make faults ARGS="--seed 7 --kills 200 --minutes 20"`: the seeds that once failed, then one long run."""

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.faults.ground import Ground, prepared
from tests.faults.planting import ROOT, template
from tests.faults.play import Play
from tests.faults.verdict import Plan, Verdict, short

SEEDS = Path(__file__).with_name("seeds.txt")
REPORTS = ROOT / ".local" / "faults-reports"


def play(plan: Plan) -> Verdict:
    """Run it on a ground of its own. Logs and history are kept under `REPORTS`."""
    with ExitStack() as stack:
        with template() as made:  # copied under its lock; another run may begin meanwhile
            ground = stack.enter_context(prepared(made, ROOT))
        verdict = None
        try:
            verdict = asyncio.run(Play(ground, plan).run())
        finally:
            _keep(ground, plan, verdict)
    return verdict


def _keep(ground: Ground, plan: Plan, verdict: Verdict | None) -> None:
    folder = REPORTS / f"seed-{plan.seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in (*ground.folder.glob("*.log"), *ground.folder.glob("*.jsonl")):
        shutil.copy(path, folder / path.name)
    if verdict is not None:
        (folder / "report.txt").write_text("\n".join(verdict.lines()) + "\n")
    print(f"记录在 · logs and history in {folder}", flush=True)


def seeds() -> list[int]:
    """Seeds that once failed, each a line, with what they found behind a #."""
    lines = (line.partition("#")[0].strip() for line in SEEDS.read_text().splitlines())
    return [int(line) for line in lines if line]


def main(words: list[str]) -> int:
    """The regressions, then one long run; the exit code says whether all held."""
    parser = argparse.ArgumentParser(
        prog="faults", description="故障演练 · kill things and look what is lost"
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--no-regressions", action="store_true", help="leave out the seeds of seeds.txt")
    parser.add_argument("--short", action="store_true", help="one small roll call, as in `make test`")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(words)
    plans = [] if asked.no_regressions or asked.short else [Plan(seed, 25, 180) for seed in seeds()]
    plans.append(short(asked.seed) if asked.short else Plan(asked.seed, asked.kills, asked.minutes * 60))
    held = True
    for plan in plans:
        print(f"seed {plan.seed}", flush=True)
        verdict = play(plan)
        print("\n".join(verdict.lines()), flush=True)
        held = held and not verdict.violations
        if asked.json is not None:
            asked.json.write_text(
                json.dumps({"seed": plan.seed, "lines": list(verdict.lines())}, ensure_ascii=False)
            )
    return 0 if held else 1


def _terminate(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminate)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.exit(main(sys.argv[1:]))

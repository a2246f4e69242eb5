"""`make faults ARGS="--seed 7 --kills 200 --minutes 20"`: all crash points, the seeds that once failed, one long run."""

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

from tests.faults.crash_point_run import Walk
from tests.faults.long_run import Play
from tests.faults.services import Ground, prepared
from tests.faults.template_cluster import ROOT, template
from tests.faults.verdict import Plan, Verdict, short, together

SEEDS = Path(__file__).with_name("seeds.txt")
WALK_SECONDS = 1800.0
"""After which a walk gives up on the points that it did not come to."""
REPORTS = ROOT / ".local" / "faults-reports"


def play(plan: Plan, kind: type[Play] = Play) -> Verdict:
    """Run it on a ground of its own. Logs and history are kept under `REPORTS`."""
    with ExitStack() as stack:
        with template() as made:  # copied under its lock; another run may begin meanwhile
            ground = stack.enter_context(prepared(made, ROOT))
        verdict = None
        try:
            verdict = asyncio.run(kind(ground, plan).run())
        finally:
            _keep(ground, f"{kind.__name__.lower()}-{plan.seed}", verdict)
    return verdict


def _keep(ground: Ground, name: str, verdict: Verdict | None) -> None:
    folder = REPORTS / name
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
    """The walk, the regressions, then one long run; the exit code says whether all held."""
    parser = argparse.ArgumentParser(
        prog="faults", description="故障演练 · kill things and look what is lost"
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--no-regressions", action="store_true", help="leave out the seeds of seeds.txt")
    parser.add_argument("--no-walk", action="store_true", help="leave out the walk through all crash points")
    parser.add_argument("--only-walk", action="store_true", help="nothing but that walk")
    parser.add_argument("--short", action="store_true", help="one small roll call, as in `make test`")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(words)
    verdicts = []
    for kind, plan in _plans(asked):
        print(f"{kind.__name__.lower()}, seed {plan.seed}", flush=True)
        verdict = play(plan, kind)
        print("\n".join(verdict.lines()), flush=True)
        verdicts.append(verdict)
    if len(verdicts) > 1:
        print("\n".join(together(verdicts)), flush=True)
    if asked.json is not None:
        told = [{"seed": each.plan.seed, "lines": list(each.lines())} for each in verdicts]
        asked.json.write_text(json.dumps(told, ensure_ascii=False))
    return 1 if any(each.violations for each in verdicts) else 0


def _plans(asked: argparse.Namespace) -> Iterator[tuple[type[Play], Plan]]:
    if asked.short:
        yield Play, short(asked.seed)
        return
    if not asked.no_walk:
        yield Walk, Plan(asked.seed, 0, WALK_SECONDS)
    if asked.only_walk:
        return
    if not asked.no_regressions:
        yield from ((Play, Plan(seed, 25, 180)) for seed in seeds())
    yield Play, Plan(asked.seed, asked.kills, asked.minutes * 60)


def _terminate(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminate)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.exit(main(sys.argv[1:]))

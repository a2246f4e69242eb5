"""Verification: submissions a second by one and by two workers, beside the bare judging of the same frames.

    python -m bench.verification [--schools 8] [--students 40]

The floor is `judge_burst` alone, in one process, over the same pictures with the same templates: what would be left if
queue, database, evidence store, place, pipes and records cost nothing. The engine is the test-pattern one, so that the
cost of everything else shows; with a real engine the floor is higher, and the ratio nearer to 1.

Wall time says what this machine does now; processor time, of a worker with its face process, what it costs. The last
row is the work without any face: a pool that answers at once, so that statements and their time can be told apart.
"""

import argparse
import asyncio
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from alembic import command
from sqlalchemy import event, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.commands.migrate_command import alembic_config
from backend.core.app_context import AppContext
from backend.core.clock import legal_day, now
from backend.core.database import Database
from backend.core.evidence import EvidenceStore
from backend.core.keys import KeyRing, create_key_file
from backend.core.process.logging import configure_logging
from backend.core.redis_client import open_redis
from backend.core.tenancy import Scope
from backend.devstack.services import Stack, create_database, drop_database
from backend.identity.face.pool import face_pool
from backend.policy.installed import policy_at
from backend.roll_call.policy import face_rules
from backend.roll_call.tables import Submission, Verdict
from backend.roll_call.verification.queue import QueueConfig, enqueue_verification
from backend.roll_call.verification.worker import VerificationWorker
from backend.settings import Settings
from bench.report import publish
from bench.verification_data import PATH, PROVINCE, SEED, Sent, Setting, forget_verdicts
from biometrics.checks import BurstResult, Shot, enrol_shots, judge_burst
from biometrics.engines.base import EngineSet
from biometrics.engines.test_pattern import PatternEngine, render_pattern
from biometrics.matching.decision import Method
from biometrics.matching.scoring import Reference, Scoring, neutral
from biometrics.pool import FacePool, PoolLimits

DATABASE = "bench_verification"
EACH_MS = 400
WIDE = Scope.wide(PATH)


def engines() -> EngineSet:
    return EngineSet([PatternEngine()])


@dataclass(frozen=True, slots=True)
class House:
    """Where a process finds its database, its pictures and its keys."""

    url: str
    owner_url: str
    folder: Path

    def app_context(self, url: str) -> AppContext:
        settings = Settings(
            env="test",
            database_url=url,
            redis_url="redis://127.0.0.1:1",
            evidence_dir=self.folder / "evidence",
            keys_file=self.folder / "keys.json",
        )
        return AppContext(
            settings=settings,
            database=Database.connect(url),
            redis=open_redis(settings.redis_url),
            keys=KeyRing.load(settings.keys_file),
            evidence=EvidenceStore.local(settings.evidence_dir),
        )


@dataclass(frozen=True, slots=True)
class Share:
    """What one worker did between its first look and its last verdict."""

    batches: int
    began: float
    ended: float
    own_cpu: float
    cpu: float
    statements: int
    sql_seconds: float


# --- the floor ---


def floor(sent: Sequence[Sent]) -> tuple[float, float]:
    """Wall and processor seconds of judging every burst, one after the other, in this process."""
    own, law = engines(), policy_at(legal_day(now()), PROVINCE)
    rules = face_rules(law, "test-pattern")
    work = []
    for each in sent:
        shots = [Shot(render_pattern(each.person, shot)) for shot in range(100, 103)]
        template = enrol_shots(own, shots, rules).template
        assert template is not None
        reference = Reference(template, neutral(template.engine, template.mean.size), Scoring(Method.NEUTRAL))
        burst = [Shot(data, EACH_MS * number) for number, data in enumerate(each.frames)]
        work.append((burst, reference, each.actions))
    began, cpu = time.perf_counter(), time.process_time()
    for burst, reference, actions in work:
        judge_burst(own, burst, reference, rules, actions)
    return time.perf_counter() - began, time.process_time() - cpu


# --- workers ---


class AnsweredAtOnce:
    """A pool that gives the same answer to every burst, without looking."""

    def __init__(self, answer: BurstResult) -> None:
        self._answer = answer

    async def judge(self, *_: Any) -> BurstResult:
        return self._answer


def an_answer(each: Sent) -> BurstResult:
    own, rules = engines(), face_rules(policy_at(legal_day(now()), PROVINCE), "test-pattern")
    template = enrol_shots(
        own, [Shot(render_pattern(each.person, shot)) for shot in range(100, 103)], rules
    ).template
    assert template is not None
    reference = Reference(template, neutral(template.engine, template.mean.size), Scoring(Method.NEUTRAL))
    burst = [Shot(data, EACH_MS * number) for number, data in enumerate(each.frames)]
    return judge_burst(own, burst, reference, rules, each.actions)


def timed(engine: AsyncEngine) -> list[float]:
    """Seconds that each statement took, as the process saw it."""
    taken: list[float] = []

    def before(_connection: Any, _cursor: Any, _text: str, _values: Any, context: Any, _many: bool) -> None:  # noqa: FBT001
        context.bench_began = time.perf_counter()

    def after(_connection: Any, _cursor: Any, _text: str, _values: Any, context: Any, _many: bool) -> None:  # noqa: FBT001
        taken.append(time.perf_counter() - context.bench_began)

    event.listen(engine.sync_engine, "before_cursor_execute", before)
    event.listen(engine.sync_engine, "after_cursor_execute", after)
    return taken


_ready: Any = None


def _wait_for(barrier: Any) -> None:
    global _ready  # noqa: PLW0603 - how a barrier reaches a process of an executor
    _ready = barrier


def _cpu() -> tuple[float, float]:
    """Of this process, and of its children that ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time(), children.ru_utime + children.ru_stime


def _worker(house: House, answer: BurstResult | None) -> Share:
    return asyncio.run(_work(house, answer))


async def _work(house: House, answer: BurstResult | None) -> Share:
    configure_logging(as_json=True)
    app_context = house.app_context(house.url)
    pool = None
    if answer is None:
        pool = FacePool(engines, PoolLimits(workers=1))
        pool.start()
        app_context.services[face_pool] = pool
    else:
        app_context.services[face_pool] = AnsweredAtOnce(answer)
    verifier = VerificationWorker(app_context, QueueConfig.of(app_context.settings))
    statements = timed(app_context.database.engine)
    await (
        verifier.take()
    )  # nothing waits yet: connections, law and statements are as in a worker that has run a while
    policy_at(legal_day(now()), PROVINCE)
    statements.clear()
    await asyncio.to_thread(_ready.wait)
    await asyncio.to_thread(_ready.wait)
    before, began = _cpu(), time.time()
    batches = sum(await asyncio.gather(_until_empty(verifier), _until_empty(verifier)))
    ended, own = time.time(), time.process_time() - before[0]
    if pool is not None:
        pool.close()
    cpu = own + _cpu()[1] - before[1]
    await app_context.close()
    return Share(batches, began, ended, own, cpu, len(statements), sum(statements))


async def _until_empty(verifier: VerificationWorker) -> int:
    """As the loop of a worker does, for as long as there is something."""
    taken = 0
    while await verifier.take():
        taken += 1
    return taken


def measure(
    house: House, app_context: AppContext, workers: int, count: int, answer: BurstResult | None = None
) -> list[Share]:
    """Let so many workers judge everything, from a standing start."""
    asyncio.run(_prepare(app_context))
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(workers + 1)
    with ProcessPoolExecutor(
        workers, mp_context=spawn, initializer=_wait_for, initargs=(barrier,)
    ) as processes:
        asked = [processes.submit(_worker, house, answer) for _ in range(workers)]
        barrier.wait()
        asyncio.run(_enqueue(app_context))
        barrier.wait()
        shares = [each.result() for each in asked]
    asyncio.run(_check(app_context, count))
    return shares


async def _prepare(owner: AppContext) -> None:
    async with owner.database.transaction(WIDE) as session:
        await forget_verdicts(session)
        await session.execute(text("DELETE FROM selfie_record"))
    await owner.database.close()


async def _enqueue(owner: AppContext) -> None:
    async with owner.database.transaction(WIDE) as session:
        await enqueue_verification(session, Submission.id.is_not(None), owner.clock() - timedelta(seconds=1))
    await owner.database.close()


async def _check(owner: AppContext, count: int) -> None:
    async with owner.database.transaction(WIDE) as session:
        found = (await session.scalars(select(Verdict.finding))).all()
    await owner.database.close()
    if found.count("accepted") != count:
        msg = f"{len(found)} of {count} were judged, {found.count('accepted')} accepted"
        raise RuntimeError(msg)


def row(
    name: str, count: int, shares: Sequence[Share], floors: tuple[float, float] | None
) -> dict[str, object]:
    wall = max(share.ended for share in shares) - min(share.began for share in shares)
    cpu = sum(share.cpu for share in shares) / count
    statements = sum(share.statements for share in shares) / count
    return {
        "run": name,
        "submissions": count,
        "a batch": count / sum(share.batches for share in shares),
        "per second": count / wall,
        "of floor": "" if floors is None else count / wall / (count / floors[0]),
        "cpu ms": 1000 * cpu,
        "cpu of floor": "" if floors is None else cpu * count / floors[1],
        "worker's own cpu ms": 1000 * sum(share.own_cpu for share in shares) / count,
        "statements": statements,
        "in SQL ms": 1000 * sum(share.sql_seconds for share in shares) / count,
    }


def floor_row(count: int, floors: tuple[float, float]) -> dict[str, object]:
    wall, cpu = floors
    return {
        "run": "judge_burst alone (floor)",
        "submissions": count,
        "a batch": "",
        "per second": count / wall,
        "of floor": 1.0,
        "cpu ms": 1000 * cpu / count,
        "cpu of floor": 1.0,
        "worker's own cpu ms": "",
        "statements": "",
        "in SQL ms": "",
    }


async def build(app_context: AppContext, schools: int, students: int) -> list[Sent]:
    async with app_context.database.transaction(WIDE) as session:
        sent = await Setting(session, app_context.keys, app_context.evidence, now()).plant(schools, students)
    await app_context.database.close()
    return sent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--schools", type=int, default=8)
    parser.add_argument("--students", type=int, default=40, help="of each school")
    asked = parser.parse_args()
    stack = Stack.from_environment(os.environ)
    drop_database(stack, DATABASE)
    stack = create_database(stack, DATABASE)
    command.upgrade(alembic_config(stack.owner_url), "heads")
    with tempfile.TemporaryDirectory() as folder:
        house = House(stack.app_url, stack.owner_url, Path(folder))
        create_key_file(house.folder / "keys.json")
        app_context = house.app_context(house.owner_url)
        sys.stderr.write(f"planting {asked.schools * asked.students} check-ins\n")
        sent = asyncio.run(build(app_context, asked.schools, asked.students))
        rows = measured(house, app_context, sent)
    drop_database(stack, DATABASE)
    publish("verification", "judge_burst on the same frames, one process", rows, SEED)


def measured(house: House, app_context: AppContext, sent: list[Sent]) -> list[dict[str, object]]:
    count = len(sent)
    floors = floor(sent)
    rows = [floor_row(count, floors)]
    for workers in (1, 2):
        shares = measure(house, app_context, workers, count)
        rows.append(row(f"{workers} worker{'s' * (workers > 1)}", count, shares, floors))
    answered = measure(house, app_context, 1, count, an_answer(sent[0]))
    rows.append(row("1 worker, answered at once", count, answered, None))
    return rows


if __name__ == "__main__":
    main()

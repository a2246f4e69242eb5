"""Verification: submissions per second with one and two workers, compared with the bare face check of the same frames.

    python -m bench.verification [--schools 8] [--students 40]

The baseline is `verify_burst` alone, in one process, over the same pictures with the same templates: the cost if queue,
database, evidence store, fence, pipes and records cost nothing. The engine is the test-pattern engine, so that the cost
of everything else is visible; with a real engine the baseline costs more, and the ratio is closer to 1.

Wall time depends on the machine; processor time is that of a worker with its face process. The last row is measured
with a face pool that answers immediately, to show the time of the SQL statements alone.
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

from backend.commands.deployment.migrate_command import alembic_config
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
from backend.roll_call.tables import Submission, VerdictRecord
from backend.roll_call.verification.queue import QueueConfig, enqueue_verification
from backend.roll_call.verification.worker import VerificationWorker
from backend.settings import Settings
from bench.report import publish
from bench.verification.data import PATH, PROVINCE, SEED, SentCheckIn, SubmittedCheckIns, forget_verdicts
from biometrics.engines.base import EngineSet
from biometrics.engines.test_pattern import PatternEngine, render_pattern
from biometrics.matching.decision import Method
from biometrics.matching.scoring import MatchReference, ScoringConfig, neutral_population
from biometrics.pool import FacePool, PoolLimits
from biometrics.tasks import BurstResult, Shot, enrol_shots, verify_burst

DATABASE = "bench_verification"
EACH_MS = 400
WIDE = Scope.wide(PATH)


def engines() -> EngineSet:
    return EngineSet([PatternEngine()])


@dataclass(frozen=True, slots=True)
class BenchEnvironment:
    """Database, evidence folder and keys of a process."""

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
class WorkerMeasurement:
    """Measurements of one worker from the start to its last verdict."""

    batches: int
    began: float
    ended: float
    own_cpu: float
    cpu: float
    statements: int
    sql_seconds: float


# --- the baseline ---


def measure_baseline(sent: Sequence[SentCheckIn]) -> tuple[float, float]:
    """Measure wall and processor seconds of checking every burst, one after the other, in this process."""
    engine_set, law = engines(), policy_at(legal_day(now()), PROVINCE)
    rules = face_rules(law, "test-pattern")
    work = []
    for each in sent:
        shots = [Shot(render_pattern(each.person, shot)) for shot in range(100, 103)]
        template = enrol_shots(engine_set, shots, rules).template
        assert template is not None
        reference = MatchReference(
            template, neutral_population(template.engine, template.mean.size), ScoringConfig(Method.NEUTRAL)
        )
        burst = [Shot(data, EACH_MS * number) for number, data in enumerate(each.frames)]
        work.append((burst, reference, each.actions))
    began, cpu = time.perf_counter(), time.process_time()
    for burst, reference, actions in work:
        verify_burst(engine_set, burst, reference, rules, actions)
    return time.perf_counter() - began, time.process_time() - cpu


# --- workers ---


class ImmediatePool:
    """A face pool that gives the same answer to every burst immediately."""

    def __init__(self, answer: BurstResult) -> None:
        self._answer = answer

    async def verify(self, *_: Any) -> BurstResult:
        return self._answer


def make_answer(each: SentCheckIn) -> BurstResult:
    engine_set, rules = engines(), face_rules(policy_at(legal_day(now()), PROVINCE), "test-pattern")
    template = enrol_shots(
        engine_set, [Shot(render_pattern(each.person, shot)) for shot in range(100, 103)], rules
    ).template
    assert template is not None
    reference = MatchReference(
        template, neutral_population(template.engine, template.mean.size), ScoringConfig(Method.NEUTRAL)
    )
    burst = [Shot(data, EACH_MS * number) for number, data in enumerate(each.frames)]
    return verify_burst(engine_set, burst, reference, rules, each.actions)


def time_statements(engine: AsyncEngine) -> list[float]:
    """Record the seconds of each SQL statement in the returned list."""
    seconds: list[float] = []

    def before(_connection: Any, _cursor: Any, _text: str, _values: Any, context: Any, _many: bool) -> None:  # noqa: FBT001
        context.bench_began = time.perf_counter()

    def after(_connection: Any, _cursor: Any, _text: str, _values: Any, context: Any, _many: bool) -> None:  # noqa: FBT001
        seconds.append(time.perf_counter() - context.bench_began)

    event.listen(engine.sync_engine, "before_cursor_execute", before)
    event.listen(engine.sync_engine, "after_cursor_execute", after)
    return seconds


_barrier: Any = None


def _set_barrier(barrier: Any) -> None:
    global _barrier  # noqa: PLW0603 - passes the barrier to a process of the executor
    _barrier = barrier


def _cpu() -> tuple[float, float]:
    """Return processor seconds of this process, and of its finished children."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time(), children.ru_utime + children.ru_stime


def _worker(environment: BenchEnvironment, answer: BurstResult | None) -> WorkerMeasurement:
    return asyncio.run(_work(environment, answer))


async def _work(environment: BenchEnvironment, answer: BurstResult | None) -> WorkerMeasurement:
    configure_logging(as_json=True)
    app_context = environment.app_context(environment.url)
    pool = None
    if answer is None:
        pool = FacePool(engines, PoolLimits(workers=1))
        pool.start()
        app_context.services[face_pool] = pool
    else:
        app_context.services[face_pool] = ImmediatePool(answer)
    worker = VerificationWorker(app_context, QueueConfig.of(app_context.settings))
    statements = time_statements(app_context.database.engine)
    # The queue is still empty: this opens connections and prepares statements as in a worker that runs for a while.
    await worker.run_batch()
    policy_at(legal_day(now()), PROVINCE)
    statements.clear()
    await asyncio.to_thread(_barrier.wait)
    await asyncio.to_thread(_barrier.wait)
    before, began = _cpu(), time.time()
    batches = sum(await asyncio.gather(_until_empty(worker), _until_empty(worker)))
    ended, own_cpu = time.time(), time.process_time() - before[0]
    if pool is not None:
        pool.close()
    cpu = own_cpu + _cpu()[1] - before[1]
    await app_context.close()
    return WorkerMeasurement(batches, began, ended, own_cpu, cpu, len(statements), sum(statements))


async def _until_empty(worker: VerificationWorker) -> int:
    """Run batches like the worker's loop until the queue is empty. Returns the number of batches."""
    batches = 0
    while await worker.run_batch():
        batches += 1
    return batches


def measure(
    environment: BenchEnvironment,
    app_context: AppContext,
    workers: int,
    count: int,
    answer: BurstResult | None = None,
) -> list[WorkerMeasurement]:
    """Let `workers` workers verify all submissions, started together."""
    asyncio.run(_prepare(app_context))
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(workers + 1)
    with ProcessPoolExecutor(
        workers, mp_context=spawn, initializer=_set_barrier, initargs=(barrier,)
    ) as processes:
        futures = [processes.submit(_worker, environment, answer) for _ in range(workers)]
        barrier.wait()
        asyncio.run(_enqueue(app_context))
        barrier.wait()
        measurements = [each.result() for each in futures]
    asyncio.run(_check(app_context, count))
    return measurements


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
        findings = (await session.scalars(select(VerdictRecord.finding))).all()
    await owner.database.close()
    if findings.count("accepted") != count:
        msg = f"{len(findings)} of {count} were verified, {findings.count('accepted')} accepted"
        raise RuntimeError(msg)


def row(
    name: str, count: int, measurements: Sequence[WorkerMeasurement], baseline: tuple[float, float] | None
) -> dict[str, object]:
    wall = max(measurement.ended for measurement in measurements) - min(
        measurement.began for measurement in measurements
    )
    cpu = sum(measurement.cpu for measurement in measurements) / count
    statements = sum(measurement.statements for measurement in measurements) / count
    return {
        "run": name,
        "submissions": count,
        "a batch": count / sum(measurement.batches for measurement in measurements),
        "per second": count / wall,
        "of floor": "" if baseline is None else count / wall / (count / baseline[0]),
        "cpu ms": 1000 * cpu,
        "cpu of floor": "" if baseline is None else cpu * count / baseline[1],
        "worker's own cpu ms": 1000 * sum(measurement.own_cpu for measurement in measurements) / count,
        "statements": statements,
        "in SQL ms": 1000 * sum(measurement.sql_seconds for measurement in measurements) / count,
    }


def baseline_row(count: int, baseline: tuple[float, float]) -> dict[str, object]:
    wall, cpu = baseline
    return {
        "run": "verify_burst alone (floor)",
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


async def build(app_context: AppContext, schools: int, students: int) -> list[SentCheckIn]:
    async with app_context.database.transaction(WIDE) as session:
        sent = await SubmittedCheckIns(session, app_context, now()).insert(schools, students)
    await app_context.database.close()
    return sent


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.verification",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--schools", type=int, default=8)
    parser.add_argument("--students", type=int, default=40, help="of each school")
    arguments = parser.parse_args()
    stack = Stack.from_environment(os.environ)
    drop_database(stack, DATABASE)
    stack = create_database(stack, DATABASE)
    command.upgrade(alembic_config(stack.owner_url), "heads")
    with tempfile.TemporaryDirectory() as folder:
        environment = BenchEnvironment(stack.app_url, stack.owner_url, Path(folder))
        create_key_file(environment.folder / "keys.json")
        app_context = environment.app_context(environment.owner_url)
        sys.stderr.write(f"inserting {arguments.schools * arguments.students} check-ins\n")
        sent = asyncio.run(build(app_context, arguments.schools, arguments.students))
        rows = measure_all(environment, app_context, sent)
    drop_database(stack, DATABASE)
    publish("verification", "verify_burst on the same frames, one process", rows, SEED)


def measure_all(
    environment: BenchEnvironment, app_context: AppContext, sent: list[SentCheckIn]
) -> list[dict[str, object]]:
    count = len(sent)
    baseline = measure_baseline(sent)
    rows = [baseline_row(count, baseline)]
    for workers in (1, 2):
        measurements = measure(environment, app_context, workers, count)
        rows.append(row(f"{workers} worker{'s' * (workers > 1)}", count, measurements, baseline))
    answered = measure(environment, app_context, 1, count, make_answer(sent[0]))
    rows.append(row("1 worker, answered at once", count, answered, None))
    return rows

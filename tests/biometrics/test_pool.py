import asyncio
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from biometrics.errors import BiometricsError, EngineUnavailable
from biometrics.matching.decision import FaceTemplate, Method
from biometrics.matching.scoring import MatchReference, ScoringConfig, neutral_population
from biometrics.pool import EngineFactory, FacePool, FacePoolClosed, FaceWorkerLost, PoolLimits
from biometrics.tasks import FaceRules, Shot, enrol_shots, verify_burst
from tests.support.biometrics import faulty_engines

LIMITS = PoolLimits(workers=1, job_seconds=30, start_seconds=60)


def make_reference(template: FaceTemplate) -> MatchReference:
    """A reference without cohort and classmates."""
    return MatchReference(
        template, neutral_population(template.engine, template.mean.size), ScoringConfig(Method.NEUTRAL)
    )


@pytest.fixture(scope="module")
def pool() -> Iterator[FacePool]:
    with FacePool(faulty_engines.pattern_engines, LIMITS) as started:
        yield started


async def test_worker_gives_the_same_results_as_this_process(
    pool: FacePool, pattern_shots: list[Shot], rules: FaceRules
) -> None:
    engines = faulty_engines.pattern_engines()
    enrolment = await pool.enrol(pattern_shots[:3], rules)
    assert enrolment.template is not None
    result = await pool.verify(pattern_shots[1:], make_reference(enrolment.template), rules)
    here = enrol_shots(engines, pattern_shots[:3], rules)
    assert here.template is not None
    assert enrolment.template.mean.tolist() == here.template.mean.tolist()
    assert (
        result.score == verify_burst(engines, pattern_shots[1:], make_reference(here.template), rules).score
    )
    assert result.frames[0].fingerprint == here.shots[1].fingerprint


def test_tasks_run_in_another_process(pool: FacePool) -> None:
    assert pool.submit(faulty_engines.process_id).result() != os.getpid()


def test_workers_ask_for_large_pages_and_this_process_does_not(pool: FacePool) -> None:
    before = os.environ.get("GLIBC_TUNABLES")
    tunables = pool.submit(partial(faulty_engines.read_environment, name="GLIBC_TUNABLES")).result()
    assert tunables == (before or "glibc.malloc.hugetlb=1")
    assert os.environ.get("GLIBC_TUNABLES") == before


def test_killed_worker_is_replaced_and_its_job_retried(pool: FacePool, tmp_path: Path) -> None:
    marker = tmp_path / "first"
    second = pool.submit(partial(faulty_engines.crash_once, marker=marker)).result()
    assert second != int(marker.read_text())


def test_job_that_kills_two_workers_fails_and_the_pool_survives(pool: FacePool) -> None:
    with pytest.raises(FaceWorkerLost) as caught:
        pool.submit(faulty_engines.crash).result()
    assert "不计为缺勤" in caught.value.sentence("zh")
    assert pool.submit(faulty_engines.process_id).result()


def test_stuck_job_runs_twice_and_then_fails(tmp_path: Path) -> None:
    limits = PoolLimits(workers=1, job_seconds=0.3, start_seconds=60)
    tally = tmp_path / "runs"
    with FacePool(faulty_engines.pattern_engines, limits) as impatient:
        with pytest.raises(FaceWorkerLost):
            impatient.submit(partial(faulty_engines.record_run_and_hang, tally=tally)).result()
        assert impatient.submit(faulty_engines.process_id).result()
    runs = tally.read_text().split()
    assert len(runs) == len(set(runs)) == 2


def test_worker_killed_between_jobs_costs_no_attempt(pool: FacePool, tmp_path: Path) -> None:
    first = pool.submit(faulty_engines.process_id).result()
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    marker = tmp_path / "second"
    third = pool.submit(partial(faulty_engines.crash_once, marker=marker)).result()
    assert len({first, int(marker.read_text()), third}) == 3


def test_worker_stopped_before_it_reads_a_job_is_replaced() -> None:
    limits = PoolLimits(workers=1, job_seconds=1, start_seconds=60)
    with FacePool(faulty_engines.pattern_engines, limits) as impatient:
        os.kill(impatient.submit(faulty_engines.process_id).result(), signal.SIGSTOP)
        assert (
            impatient.submit(partial(faulty_engines.data_length, data=bytes(8_000_000))).result() == 8_000_000
        )


def test_worker_that_dies_at_start_counts_as_lost(tmp_path: Path) -> None:
    factory = partial(faulty_engines.crash_on_second_start, marker=tmp_path / "starts")
    with FacePool(factory, LIMITS) as shaky:
        marker = tmp_path / "died"
        with pytest.raises(FaceWorkerLost):
            shaky.submit(partial(faulty_engines.crash_once, marker=marker)).result()
        assert shaky.submit(faulty_engines.process_id).result() != int(marker.read_text())


def test_job_beyond_the_memory_limit_only_ends_its_worker() -> None:
    limits = PoolLimits(workers=1, job_seconds=30, start_seconds=60, memory_mib=128)
    with FacePool(faulty_engines.pattern_engines, limits) as small:
        assert small.submit(partial(faulty_engines.allocate, mib=64)).result()
        with pytest.raises(FaceWorkerLost):
            small.submit(partial(faulty_engines.allocate, mib=256)).result()
        assert small.submit(partial(faulty_engines.allocate, mib=64)).result()


def test_pool_knows_the_enrolment_engine(pool: FacePool) -> None:
    assert pool.enrolment_engine().key.id == "test-pattern"


def test_task_error_reaches_the_caller_and_keeps_the_worker(pool: FacePool) -> None:
    before = pool.submit(faulty_engines.process_id).result()
    with pytest.raises(EngineUnavailable, match="asked to"):
        pool.submit(faulty_engines.fail).result()
    assert pool.submit(faulty_engines.process_id).result() == before


def test_unpicklable_tasks_and_results_are_errors_of_the_caller(pool: FacePool) -> None:
    with pytest.raises(Exception, match="pickle"):
        pool.submit(lambda engines: engines).result()
    with pytest.raises(Exception, match="pickle"):
        pool.submit(faulty_engines.return_unpicklable).result()
    assert pool.submit(faulty_engines.process_id).result()


def test_two_workers_use_at_most_two_processes() -> None:
    with FacePool(faulty_engines.pattern_engines, PoolLimits(workers=2)) as both:
        jobs = [both.submit(partial(faulty_engines.process_id)) for _ in range(40)]
        assert 1 <= len({job.result() for job in jobs}) <= 2


@pytest.mark.parametrize(
    ("factory", "error"),
    [
        (faulty_engines.unavailable_engines, EngineUnavailable),
        (faulty_engines.crashing_factory, FacePoolClosed),
    ],
)
def test_engines_that_do_not_load_fail_at_start(factory: EngineFactory, error: type[BiometricsError]) -> None:
    with pytest.raises(error):
        FacePool(factory, LIMITS).start()


async def test_closed_pool_rejects_tasks(pattern_shots: list[Shot], rules: FaceRules) -> None:
    closed = FacePool(faulty_engines.pattern_engines, LIMITS)
    with pytest.raises(FacePoolClosed):
        await closed.enrol(pattern_shots, rules)
    await asyncio.to_thread(closed.start)
    closed.close()
    with pytest.raises(FacePoolClosed):
        closed.submit(faulty_engines.process_id)

import asyncio
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from biometrics.checks import FaceRules, Shot, enrol_shots, judge_burst
from biometrics.errors import BiometricsError, EngineUnavailable
from biometrics.matching.decision import FaceTemplate, Method
from biometrics.matching.scoring import Reference, Scoring, neutral
from biometrics.pool import EngineFactory, FacePool, FacePoolClosed, FaceWorkerLost, PoolLimits
from tests.support.biometrics import faulty_engines

PATIENT = PoolLimits(workers=1, job_seconds=30, start_seconds=60)


def alone(template: FaceTemplate) -> Reference:
    """The template with nobody beside it."""
    return Reference(template, neutral(template.engine, template.mean.size), Scoring(Method.NEUTRAL))


@pytest.fixture(scope="module")
def pool() -> Iterator[FacePool]:
    with FacePool(faulty_engines.pattern_engines, PATIENT) as started:
        yield started


async def test_a_worker_gives_the_same_answers_as_this_process(
    pool: FacePool, pattern_shots: list[Shot], rules: FaceRules
) -> None:
    engines = faulty_engines.pattern_engines()
    enrolment = await pool.enrol(pattern_shots[:3], rules)
    assert enrolment.template is not None
    result = await pool.judge(pattern_shots[1:], alone(enrolment.template), rules)
    here = enrol_shots(engines, pattern_shots[:3], rules)
    assert here.template is not None
    assert enrolment.template.mean.tolist() == here.template.mean.tolist()
    assert result.score == judge_burst(engines, pattern_shots[1:], alone(here.template), rules).score
    assert result.frames[0].fingerprint == here.shots[1].fingerprint


def test_work_is_done_in_another_process(pool: FacePool) -> None:
    assert pool.submit(faulty_engines.process_id).result() != os.getpid()


def test_a_killed_worker_is_replaced_and_its_job_done_by_another(pool: FacePool, tmp_path: Path) -> None:
    marker = tmp_path / "first"
    second = pool.submit(partial(faulty_engines.die_once, marker=marker)).result()
    assert second != int(marker.read_text())


def test_a_job_that_kills_two_workers_is_undetermined_and_the_pool_lives_on(pool: FacePool) -> None:
    with pytest.raises(FaceWorkerLost) as caught:
        pool.submit(faulty_engines.die).result()
    assert "不计为缺勤" in caught.value.sentence("zh")
    assert pool.submit(faulty_engines.process_id).result()


def test_a_stuck_job_runs_once_more_in_a_fresh_process_and_is_then_given_up(tmp_path: Path) -> None:
    limits = PoolLimits(workers=1, job_seconds=0.3, start_seconds=60)
    tally = tmp_path / "runs"
    with FacePool(faulty_engines.pattern_engines, limits) as impatient:
        with pytest.raises(FaceWorkerLost):
            impatient.submit(partial(faulty_engines.count, tally=tally)).result()
        assert impatient.submit(faulty_engines.process_id).result()
    runs = tally.read_text().split()
    assert len(runs) == len(set(runs)) == 2


def test_a_worker_killed_between_jobs_is_replaced_and_costs_the_next_job_no_attempt(
    pool: FacePool, tmp_path: Path
) -> None:
    first = pool.submit(faulty_engines.process_id).result()
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    marker = tmp_path / "second"
    third = pool.submit(partial(faulty_engines.die_once, marker=marker)).result()
    assert len({first, int(marker.read_text()), third}) == 3


def test_a_worker_that_is_stopped_before_it_takes_a_large_job_is_replaced() -> None:
    limits = PoolLimits(workers=1, job_seconds=1, start_seconds=60)
    with FacePool(faulty_engines.pattern_engines, limits) as impatient:
        os.kill(impatient.submit(faulty_engines.process_id).result(), signal.SIGSTOP)
        assert impatient.submit(partial(faulty_engines.length, data=bytes(8_000_000))).result() == 8_000_000


def test_a_worker_that_dies_while_it_starts_counts_as_lost(tmp_path: Path) -> None:
    factory = partial(faulty_engines.dying_once_started, marker=tmp_path / "starts")
    with FacePool(factory, PATIENT) as shaky:
        marker = tmp_path / "died"
        with pytest.raises(FaceWorkerLost):
            shaky.submit(partial(faulty_engines.die_once, marker=marker)).result()
        assert shaky.submit(faulty_engines.process_id).result() != int(marker.read_text())


def test_a_job_that_wants_too_much_memory_ends_its_worker_and_not_the_host() -> None:
    limits = PoolLimits(workers=1, job_seconds=30, start_seconds=60, memory_mib=128)
    with FacePool(faulty_engines.pattern_engines, limits) as small:
        assert small.submit(partial(faulty_engines.hoard, mib=64)).result()
        with pytest.raises(FaceWorkerLost):
            small.submit(partial(faulty_engines.hoard, mib=256)).result()
        assert small.submit(partial(faulty_engines.hoard, mib=64)).result()


def test_the_pool_tells_which_engine_enrols(pool: FacePool) -> None:
    assert pool.enrolling().key.id == "test-pattern"


def test_an_error_of_the_task_reaches_the_caller_and_costs_no_worker(pool: FacePool) -> None:
    before = pool.submit(faulty_engines.process_id).result()
    with pytest.raises(EngineUnavailable, match="asked to"):
        pool.submit(faulty_engines.fail).result()
    assert pool.submit(faulty_engines.process_id).result() == before


def test_work_or_answers_that_do_not_travel_are_the_callers_error(pool: FacePool) -> None:
    with pytest.raises(Exception, match="pickle"):
        pool.submit(lambda engines: engines).result()
    with pytest.raises(Exception, match="pickle"):
        pool.submit(faulty_engines.answer_unpicklable).result()
    assert pool.submit(faulty_engines.process_id).result()


def test_two_workers_are_two_processes() -> None:
    with FacePool(faulty_engines.pattern_engines, PoolLimits(workers=2)) as both:
        jobs = [both.submit(partial(faulty_engines.process_id)) for _ in range(40)]
        assert 1 <= len({job.result() for job in jobs}) <= 2


@pytest.mark.parametrize(
    ("factory", "error"),
    [(faulty_engines.no_engines, EngineUnavailable), (faulty_engines.dying_factory, FacePoolClosed)],
)
def test_engines_that_do_not_load_are_told_at_the_start(
    factory: EngineFactory, error: type[BiometricsError]
) -> None:
    with pytest.raises(error):
        FacePool(factory, PATIENT).start()


async def test_a_closed_pool_takes_no_work(pattern_shots: list[Shot], rules: FaceRules) -> None:
    closed = FacePool(faulty_engines.pattern_engines, PATIENT)
    with pytest.raises(FacePoolClosed):
        await closed.enrol(pattern_shots, rules)
    await asyncio.to_thread(closed.start)
    closed.close()
    with pytest.raises(FacePoolClosed):
        closed.submit(faulty_engines.process_id)

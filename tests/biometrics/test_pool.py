import asyncio
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from biometrics.checks import FaceRules, Shot, enrol_shots, judge_burst
from biometrics.errors import BiometricsError, EngineUnavailable
from biometrics.pool import EngineFactory, FacePool, FacePoolClosed, FaceWorkerLost, PoolLimits
from tests.biometrics import faulty_engines

PATIENT = PoolLimits(workers=1, job_seconds=30, start_seconds=60)


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
    result = await pool.judge(pattern_shots[1:], enrolment.template, rules)
    here = enrol_shots(engines, pattern_shots[:3], rules)
    assert here.template is not None
    assert enrolment.template.mean.tolist() == here.template.mean.tolist()
    assert result.score == judge_burst(engines, pattern_shots[1:], here.template, rules).score
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


def test_a_stuck_worker_is_given_up() -> None:
    limits = PoolLimits(workers=1, job_seconds=0.2, start_seconds=60)
    with FacePool(faulty_engines.pattern_engines, limits) as impatient, pytest.raises(FaceWorkerLost):
        impatient.submit(faulty_engines.hang).result()


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

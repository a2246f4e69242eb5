"""Face work in processes that may die without harm.

Each slot of the pool is one spawned process with its own engines and one thread here that feeds it. A
process that dies or overruns its time is replaced by a fresh one and its job runs once more there; a second
loss raises FaceWorkerLost, which the caller records as "undetermined" — never as present, never as missed.
"""

import asyncio
import multiprocessing
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from biometrics.checks import BurstResult, EnrolmentResult, FaceRules, Shot, enrol_shots, judge_burst
from biometrics.engine import EngineSet
from biometrics.errors import BiometricsError
from biometrics.matching import FaceTemplate

EngineFactory = Callable[[], EngineSet]
"""Called once in every worker process; picklable, hence a module-level function or a `partial` of one."""

Task = Callable[[EngineSet], Any]
"""Picklable work; what it returns or raises is pickled back."""

_ATTEMPTS = 2
_SPAWN = multiprocessing.get_context("spawn")


class FaceWorkerLost(BiometricsError):
    """Two processes in a row died or overran on the same job: undetermined."""

    code = "face_worker_lost"
    status = 503
    zh = "人脸核验未能完成，结果待定，不计为缺勤。系统会安排复核。"
    en = "The face check could not be completed; the result is undetermined and is not a miss. It will be reviewed."


class FacePoolClosed(BiometricsError):
    """The pool is shutting down, or its workers could not start."""

    code = "face_pool_closed"
    status = 503
    zh = "人脸核验服务正在停止。请稍后重试。"
    en = "The face service is stopping. Please try again shortly."


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Size and patience of a pool, in processes and seconds."""

    workers: int = 1
    job_seconds: float = 20.0
    start_seconds: float = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    task: Task
    future: "Future[Any]"


class _WorkerLost(Exception):
    """This process is gone or no longer trusted."""


class FacePool:
    """A fixed number of worker processes; use as a context manager, or `start` and `close`."""

    def __init__(self, factory: EngineFactory, limits: PoolLimits) -> None:
        self._factory = factory
        self._limits = limits
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._slots: list[threading.Thread] = []

    def start(self) -> None:
        """Spawn every worker and wait until its engines are loaded; raises what the factory raised."""
        first = [_Worker(self._factory) for _ in range(self._limits.workers)]
        try:
            for worker in first:
                worker.wait_ready(self._limits.start_seconds)
        except BaseException as error:
            for worker in first:
                worker.kill()
            if isinstance(error, _WorkerLost):
                raise FacePoolClosed from error
            raise
        for worker in first:
            slot = threading.Thread(target=self._serve, args=(worker,), name="face-slot", daemon=True)
            slot.start()
            self._slots.append(slot)

    def close(self) -> None:
        """Let running jobs end, cancel waiting ones, stop the processes."""
        self._closing.set()
        for _ in self._slots:
            self._jobs.put(None)
        for slot in self._slots:
            slot.join()
        self._slots.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, task: Task) -> "Future[Any]":
        """Queue picklable work; the future raises what the task raised, or FaceWorkerLost."""
        if self._closing.is_set() or not self._slots:
            raise FacePoolClosed
        future: Future[Any] = Future()
        self._jobs.put(_Job(task, future))
        return future

    async def enrol(self, shots: Sequence[Shot], rules: FaceRules) -> EnrolmentResult:
        """`checks.enrol_shots` in a worker."""
        task = partial(enrol_shots, shots=tuple(shots), rules=rules)
        result: EnrolmentResult = await asyncio.wrap_future(self.submit(task))
        return result

    async def judge(self, burst: Sequence[Shot], template: FaceTemplate, rules: FaceRules) -> BurstResult:
        """`checks.judge_burst` in a worker."""
        task = partial(judge_burst, burst=tuple(burst), template=template, rules=rules)
        result: BurstResult = await asyncio.wrap_future(self.submit(task))
        return result

    def _serve(self, worker: "_Worker") -> None:
        while (job := self._jobs.get()) is not None:
            if self._closing.is_set():
                job.future.cancel()
            elif job.future.set_running_or_notify_cancel():
                worker = self._run(job, worker)
        worker.kill()

    def _run(self, job: _Job, worker: "_Worker") -> "_Worker":
        """Run the job, in a fresh process if the first is lost; returns the process for the next job."""
        for _ in range(_ATTEMPTS):
            try:
                worker.wait_ready(self._limits.start_seconds)
                succeeded, outcome = worker.run(job.task, self._limits.job_seconds)
            except _WorkerLost:
                worker.kill()
                worker = _Worker(self._factory)
            except Exception as error:  # noqa: BLE001 - the task or its result does not pickle: the caller's mistake
                job.future.set_exception(error)
                return worker
            else:
                (job.future.set_result if succeeded else job.future.set_exception)(outcome)
                return worker
        job.future.set_exception(FaceWorkerLost())
        return worker


class _Worker:
    """One spawned process and this end of its pipe."""

    def __init__(self, factory: EngineFactory) -> None:
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_work, args=(theirs, factory), name="face-worker", daemon=True)
        self._process.start()
        theirs.close()
        self._ready = False

    def wait_ready(self, seconds: float) -> None:
        """Until the engines are loaded; raises the factory's own error, or _WorkerLost."""
        if not self._ready:
            succeeded, outcome = self._receive(seconds)
            if not succeeded:
                raise outcome
            self._ready = True

    def run(self, task: Task, seconds: float) -> tuple[bool, Any]:
        try:
            self._pipe.send(task)
        except OSError as error:
            raise _WorkerLost from error
        return self._receive(seconds)

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._process.close()
        self._pipe.close()

    def _receive(self, seconds: float) -> tuple[bool, Any]:
        try:
            if not self._pipe.poll(seconds):
                raise _WorkerLost
            answer: tuple[bool, Any] = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise _WorkerLost from error
        return answer


def _work(pipe: Connection, factory: EngineFactory) -> None:
    """The worker process: load engines, then answer (True, result) or (False, error) until the pipe closes."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is for the parent, which stops us by closing the pipe
    try:
        engines = factory()
    except Exception as error:  # noqa: BLE001 - the parent raises it
        pipe.send((False, error))
        return
    pipe.send((True, None))
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((True, task(engines)))
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the caller
            pipe.send((False, error))

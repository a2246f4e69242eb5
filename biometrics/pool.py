"""A pool of worker processes for face tasks.

Each slot of the pool has one spawned process with its own engines, and one thread here that feeds it. A process that
dies, exceeds its time limit or exceeds its memory limit is replaced, and its job runs once more in the new process. If
that is lost too, the job raises FaceWorkerLost, which the caller records as "undetermined": never present, never missed.
"""

import asyncio
import multiprocessing
import os
import queue
import resource
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from biometrics.engines.base import EngineInfo, EngineSet
from biometrics.errors import BiometricsError
from biometrics.liveness.actions import Action
from biometrics.matching.scoring import MatchReference
from biometrics.pictures.fingerprints import Fingerprint
from biometrics.pictures.reencoding import fingerprint_picture, reencode_picture
from biometrics.tasks import BurstResult, EnrolmentResult, FaceRules, Shot, enrol_shots, verify_burst

EngineFactory = Callable[[], EngineSet]
"""Called once in every worker process. Must be picklable: a module-level function or a `partial` of one."""

Task = Callable[[EngineSet], Any]
"""A picklable job. Its result or exception is pickled back."""

_ATTEMPTS = 2
_MEMORY_EXHAUSTED = 12
"""Exit status of a process that reached its memory limit; ENOMEM on Linux."""
_STATM, _DATA_PAGES = Path("/proc/self/statm"), 5
_SPAWN = multiprocessing.get_context("spawn")
_TUNABLES, _LARGE_PAGES = "GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"
"""Makes glibc ask for pages of 2 MiB. The landmark model is 100 MB of small matrices that are read in no order: with small
pages, outlines took 17 ms of a check instead of 11. Other C libraries ignore it."""
_environment = threading.Lock()


class FaceWorkerLost(BiometricsError):
    """Two processes in a row were lost on the same job, so the result is undetermined."""

    code = "face_worker_lost"
    status = 503
    zh = "人脸核验未能完成，结果待定，不计为缺勤。系统会安排复核。"
    en = "The face check could not be completed; the result is undetermined and is not a miss. It will be reviewed."


class FacePoolClosed(BiometricsError):
    """The pool is closing, or its workers could not start."""

    code = "face_pool_closed"
    status = 503
    zh = "人脸核验服务正在停止。请稍后重试。"
    en = "The face service is stopping. Please try again shortly."


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """The size, time and memory limits of a pool."""

    workers: int = 1
    job_seconds: float = 20.0
    start_seconds: float = 60.0
    memory_mib: int = 1024
    """Memory a process may use on top of its loaded engines. The largest accepted picture needs about 400."""


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    task: Task
    future: "Future[Any]"


class _WorkerLost(Exception):
    """The process has ended or can no longer be trusted."""


class FacePool:
    """A fixed number of worker processes. Use it as a context manager, or call `start` and `close`."""

    def __init__(self, factory: EngineFactory, limits: PoolLimits) -> None:
        self._factory = factory
        self._limits = limits
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._slots: list[threading.Thread] = []
        self._engines: tuple[EngineInfo, ...] = ()

    def start(self) -> None:
        """Spawn every worker and wait until its engines are loaded. Raises the factory's own error."""
        first = [_Worker(self._factory, self._limits) for _ in range(self._limits.workers)]
        try:
            for worker in first:
                self._engines = worker.ready()
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
        """Wait for running jobs, cancel waiting ones, and stop the processes."""
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

    def enrolment_engine(self) -> EngineInfo:
        """The engine for enrolments, once started: the first enabled engine that is not only for tests."""
        return next((info for info in self._engines if not info.test_only), self._engines[0])

    def submit(self, task: Task) -> "Future[Any]":
        """Queue a job. The future raises the job's own error, or FaceWorkerLost."""
        if self._closing.is_set() or not self._slots:
            raise FacePoolClosed
        future: Future[Any] = Future()
        self._jobs.put(_Job(task, future))
        return future

    async def enrol(self, shots: Sequence[Shot], rules: FaceRules) -> EnrolmentResult:
        """Run `tasks.enrol_shots` in a worker."""
        task = partial(enrol_shots, shots=tuple(shots), rules=rules)
        result: EnrolmentResult = await asyncio.wrap_future(self.submit(task))
        return result

    async def verify(
        self,
        burst: Sequence[Shot],
        reference: MatchReference,
        rules: FaceRules,
        actions: Sequence[Action] = (),
        cues_ms: Sequence[int] = (),
    ) -> BurstResult:
        """Run `tasks.verify_burst` in a worker."""
        task = partial(
            verify_burst,
            burst=tuple(burst),
            reference=reference,
            rules=rules,
            actions=tuple(actions),
            cues_ms=tuple(cues_ms),
        )
        result: BurstResult = await asyncio.wrap_future(self.submit(task))
        return result

    async def reencode(self, data: bytes) -> bytes | None:
        """Run `reencode_picture` in a worker."""
        encoded: bytes | None = await asyncio.wrap_future(self.submit(partial(reencode_picture, data=data)))
        return encoded

    async def fingerprint(self, data: bytes) -> Fingerprint | None:
        """Run `fingerprint_picture` in a worker."""
        hashes: Fingerprint | None = await asyncio.wrap_future(
            self.submit(partial(fingerprint_picture, data=data))
        )
        return hashes

    def _serve(self, worker: "_Worker") -> None:
        while (job := self._jobs.get()) is not None:
            if self._closing.is_set():
                job.future.cancel()
            elif job.future.set_running_or_notify_cancel():
                worker = self._run(job, worker)
        worker.kill()

    def _run(self, job: _Job, worker: "_Worker") -> "_Worker":
        """Run the job, in a new process if the first is lost. Returns the process for the next job.

        If a process has died before it receives the job, that does not count as an attempt.
        """
        for _ in range(_ATTEMPTS):
            try:
                if not worker.alive():
                    worker = worker.restart()
                worker.ready()
                succeeded, outcome = worker.run(job.task)
            except _WorkerLost:
                worker.kill()
            except Exception as error:  # noqa: BLE001 - the task or its result cannot be pickled: a caller's error
                job.future.set_exception(error)
                return worker
            else:
                (job.future.set_result if succeeded else job.future.set_exception)(outcome)
                return worker
        job.future.set_exception(FaceWorkerLost())
        return worker


class _Worker:
    """One spawned process and the parent's end of its pipe."""

    def __init__(self, factory: EngineFactory, limits: PoolLimits) -> None:
        self._factory, self._limits = factory, limits
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(
            target=_run_worker, args=(theirs, factory, limits.memory_mib), name="face-worker", daemon=True
        )
        self._engines: tuple[EngineInfo, ...] | None = None
        try:
            with _large_pages():
                self._process.start()
        except OSError as error:
            raise _WorkerLost from error
        finally:
            theirs.close()

    def alive(self) -> bool:
        return not self._pipe.closed and self._process.is_alive()

    def restart(self) -> "_Worker":
        """End this process and start a new one."""
        self.kill()
        return _Worker(self._factory, self._limits)

    def ready(self) -> tuple[EngineInfo, ...]:
        """Wait until the engines are loaded and return them. Raises the factory's own error, or _WorkerLost."""
        if self._engines is None:
            with self._kill_after(self._limits.start_seconds):
                succeeded, outcome = self._pipe.recv()
            if not succeeded:
                raise outcome
            self._engines = outcome
        assert self._engines is not None
        return self._engines

    def run(self, task: Task) -> tuple[bool, Any]:
        """Run the task. Returns (True, result) or (False, error). Raises _WorkerLost."""
        with self._kill_after(self._limits.job_seconds):
            self._pipe.send(task)
            answer: tuple[bool, Any] = self._pipe.recv()
        return answer

    def kill(self) -> None:
        """Kill the process in whatever state it is. May be called twice."""
        if not self._pipe.closed:
            self._pipe.close()
            self._process.kill()
            self._process.join()
            self._process.close()

    @contextmanager
    def _kill_after(self, seconds: float) -> Iterator[None]:
        """Kill the process after `seconds`, even if it hangs before it reads the job. The broken pipe ends the wait."""
        end = threading.Timer(seconds, self._process.kill)
        end.daemon = True
        end.start()
        try:
            yield
        except (EOFError, OSError) as error:
            raise _WorkerLost from error
        finally:
            end.cancel()
            end.join()


@contextmanager
def _large_pages() -> Iterator[None]:
    """Give processes that are started meanwhile large pages, unless the operator has set tunables."""
    with _environment:
        is_ours = _TUNABLES not in os.environ
        os.environ.setdefault(_TUNABLES, _LARGE_PAGES)
        try:
            yield
        finally:
            if is_ours:
                del os.environ[_TUNABLES]


def _run_worker(pipe: Connection, factory: EngineFactory, memory_mib: int) -> None:
    """Main function of a worker process: load the engines, then send (True, result) or (False, error) for each task."""
    # Ctrl-C is for the parent, which stops this process by closing the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        engines = factory()
    except Exception as error:  # noqa: BLE001 - the parent raises it
        pipe.send((False, error))
        return
    _limit_memory(memory_mib)
    pipe.send((True, engines.infos()))
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((True, task(engines)))
        except MemoryError:
            os._exit(_MEMORY_EXHAUSTED)  # the state of the process is no longer trustworthy
        except Exception as error:  # noqa: BLE001 - passed on to the caller
            pipe.send((False, error))


def _limit_memory(more_mib: int) -> None:
    """Limit this process to `more_mib` more private memory than it uses now, to contain decompression bombs.

    Linux reports the memory that RLIMIT_DATA limits in statm. Other systems have no limit.
    """
    if _STATM.exists():
        pages = int(_STATM.read_text().split()[_DATA_PAGES])
        bound = pages * resource.getpagesize() + more_mib * 2**20
        resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))

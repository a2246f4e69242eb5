"""The load during `bench.dashboards`: envelopes, and the outcomes that workers would write."""

import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
import redis

from backend.roll_call.progress.changes import CHANNEL_PREFIX
from bench.dashboards.data import SCHOOLS, PresentCounter, school_id
from bench.intake.benchmark import ENVELOPES, Bench
from bench.intake.data import ROLL_CALL, TERM
from bench.intake.load import Run, closed_loop, open_loop

STUDENTS = 4_000
CAPACITY = 1_500
"""Envelopes for the measurement of the capacity."""
MAX_RATE = 2_000.0
"""Envelopes a second at half load for which there are challenges."""
FLUSH_SECONDS = 2.0


def count_attempts(seconds: float) -> int:
    """How many challenges each student needs for the measurement of the capacity and for so many seconds of half load."""
    return math.ceil((CAPACITY + CAPACITY // 4 + MAX_RATE * seconds) / STUDENTS)


class Load:
    """Envelopes at half of the server's capacity, each with its own challenge."""

    def __init__(self, bench: Bench, attempts: int) -> None:
        self._bench = bench
        self._challenges = STUDENTS * attempts
        self._tokens = bench.tokens(bench.handsets)
        self._next = 0
        self.rate = 0.0

    def requests(self, count: int, path: str = ENVELOPES) -> list[bytes]:
        """Sign new requests."""
        signed = []
        for each in self._take_challenges(count) if path == ENVELOPES else ((n, 0) for n in range(count)):
            number, attempt = each
            handset = self._bench.handsets[number]
            token = self._tokens[number]
            signed.append(self._bench.request(handset, attempt, path, token, is_own_proof=True))
        return signed

    def _take_challenges(self, count: int) -> Iterator[tuple[int, int]]:
        """The next pairs of student and number of the challenge."""
        if self._next + count > self._challenges:
            raise SystemExit(
                f"Half load is {self.rate:.0f} envelopes a second; there are challenges for {MAX_RATE:.0f}."
                " Measure fewer --seconds."
            )
        for n in range(self._next, self._next + count):
            yield n % STUDENTS, n // STUDENTS
        self._next += count

    async def find_capacity(self) -> float:
        """Envelopes per second without other work; the load is half of it."""
        await closed_loop(self._bench.port, self.requests(CAPACITY // 4), 64)
        run = await closed_loop(self._bench.port, self.requests(CAPACITY), 64)
        self.rate = run.rate / 2
        return run.rate

    async def run(self, requests: Sequence[bytes]) -> Run:
        """Send the requests at half load."""
        return await open_loop(self._bench.port, requests, self.rate, 256)


_INSERT_OUTCOMES = """
INSERT INTO outcome_entry (roll_call_id, student_id, seq, school_id, term_code, class_id, outcome, reason, method,
 policy_version, trace, at)
SELECT %(roll_call)s, gen_random_uuid(), 1, c.school_id, c.term_code, c.class_id, 'present', 'verified', 'face', '', '{}', now()
FROM (SELECT DISTINCT ON (school_id) * FROM roll_call_class
 WHERE term_code = %(term)s AND roll_call_id = %(roll_call)s AND school_id = ANY(%(schools)s)
 ORDER BY school_id, class_id) c, generate_series(1, %(students)s)
"""


class Verdicts:
    """Writes what workers would write: outcomes in bulk, a Redis message after each, and a flush every two seconds."""

    def __init__(self, bench: Bench) -> None:
        self.present = PresentCounter()
        self._server = psycopg.connect(bench.dsn, autocommit=True)
        self._redis = redis.Redis.from_url(bench.settings.redis_url)
        self._lock = threading.Lock()

    def write(self, schools: Sequence[int], students: int) -> float:
        """Write outcomes for students of the first class of each school. Returns the time of the commit."""
        with self._lock:
            self._server.execute(
                _INSERT_OUTCOMES,
                {
                    "roll_call": ROLL_CALL,
                    "term": TERM,
                    "students": students,
                    "schools": [school_id(school) for school in schools],
                },
            )
            at = time.monotonic()
            for school in schools:
                for _ in range(students):
                    self.present.add(school, first_class=True)
        self._redis.publish(CHANNEL_PREFIX + str(ROLL_CALL), b"1")
        return at

    @contextmanager
    def running(self, rate: float) -> Iterator[None]:
        """Write batches of 16 students of one school in a thread, at a rate of students per second."""
        stop = threading.Event()

        def work() -> None:
            batch, flushed_at = 0, time.monotonic()
            while not stop.wait(16 / rate):
                self.write([batch * 11 % SCHOOLS], 16)
                batch += 1
                if time.monotonic() - flushed_at > FLUSH_SECONDS:
                    self.flush()
                    flushed_at = time.monotonic()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def flush(self) -> None:
        """Flush the counters, as the periodic task does."""
        with self._lock:
            self._server.execute("SELECT definer.flush_outcome_counts()")

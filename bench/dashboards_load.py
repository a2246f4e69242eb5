"""The load beside which dashboards are measured: envelopes, and the outcomes that workers would write."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
import redis

from backend.roll_call.progress.access import CHANNEL
from bench.dashboards_data import SCHOOLS, Written, school_id
from bench.intake import ENVELOPES, Bench
from bench.intake_data import ROLL_CALL, TERM
from bench.intake_load import Run, closed_loop, open_loop

STUDENTS, ATTEMPTS = 4_000, 5
CAPACITY = 1_500
"""Envelopes by which the capacity is measured."""
FOLD_SECONDS = 2.0


class Load:
    """Envelopes at half of what the server accepts; each by another challenge."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._tokens = bench.tokens(bench.handsets)
        self._next = 0
        self.rate = 0.0

    def requests(self, count: int, path: str = ENVELOPES) -> list[bytes]:
        """Freshly signed."""
        signed = []
        for each in self._drawn(count) if path == ENVELOPES else ((n, 0) for n in range(count)):
            number, attempt = each
            handset = self._bench.handsets[number]
            signed.append(self._bench.request(handset, attempt, path, self._tokens[number]))
        return signed

    def _drawn(self, count: int) -> Iterator[tuple[int, int]]:
        """The next students, and which of their challenges it is."""
        assert self._next + count <= STUDENTS * ATTEMPTS, "each challenge has been used"
        for n in range(self._next, self._next + count):
            yield n % STUDENTS, n // STUDENTS
        self._next += count

    async def find_capacity(self) -> float:
        """Envelopes a second with nothing else to do; half of it is the load."""
        await closed_loop(self._bench.port, self.requests(CAPACITY // 4), 64)
        run = await closed_loop(self._bench.port, self.requests(CAPACITY), 64)
        self.rate = run.rate / 2
        return run.rate

    async def run(self, requests: Sequence[bytes]) -> Run:
        """At half load until they are used up."""
        return await open_loop(self._bench.port, requests, self.rate, 256)


_FOUND = """
INSERT INTO outcome_entry (roll_call_id, student_id, seq, school_id, term_code, class_id, outcome, reason, method,
 policy_version, trace, at)
SELECT %(roll_call)s, gen_random_uuid(), 1, c.school_id, c.term_code, c.class_id, 'present', 'verified', 'face', '', '{}', now()
FROM (SELECT DISTINCT ON (school_id) * FROM roll_call_class
 WHERE term_code = %(term)s AND roll_call_id = %(roll_call)s AND school_id = ANY(%(schools)s)
 ORDER BY school_id, class_id) c, generate_series(1, %(students)s)
"""


class Verdicts:
    """What workers would write: outcomes by the statement, the nudge after it, and the folding every two seconds."""

    def __init__(self, bench: Bench) -> None:
        self.written = Written()
        self._server = psycopg.connect(bench.dsn, autocommit=True)
        self._redis = redis.Redis.from_url(bench.settings.redis_url)
        self._turn = threading.Lock()

    def find(self, schools: Sequence[int], students: int) -> float:
        """So many students of the first class of each school are present; the instant of the commit."""
        with self._turn:
            self._server.execute(
                _FOUND,
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
                    self.written.add(school, first_class=True)
        self._redis.publish(CHANNEL + str(ROLL_CALL), b"1")
        return at

    @contextmanager
    def going_on(self, rate: float) -> Iterator[None]:
        """Batches of sixteen, each of one school, at a rate of students a second."""
        over = threading.Event()

        def work() -> None:
            batch, folded = 0, time.monotonic()
            while not over.wait(16 / rate):
                self.find([batch * 11 % SCHOOLS], 16)
                batch += 1
                if time.monotonic() - folded > FOLD_SECONDS:
                    self.fold()
                    folded = time.monotonic()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def fold(self) -> None:
        """As the job does."""
        with self._turn:
            self._server.execute("SELECT definer.flush_outcome_counts()")

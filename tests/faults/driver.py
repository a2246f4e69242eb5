"""Base of all runs: starts the deployment and the clients, moves the clock, restores and drains, then checks the result."""

import asyncio
import random
import time
from collections import Counter
from typing import Any

import psycopg

from tests.faults.checker import RunEvidence, find_unfinished_work, judge
from tests.faults.clients import ClientContext, Official, Student
from tests.faults.crash_points import SHORT_RUN_COMMITS, CrashPointTrap
from tests.faults.database_records import Records, rows
from tests.faults.deployment import Deployment
from tests.faults.history import History
from tests.faults.nemesis import Nemesis
from tests.faults.services import RunServices
from tests.faults.template_cluster import HarnessWorld
from tests.faults.verdict import Plan, Verdict

LEASE_SECONDS, HEARTBEAT_TIMEOUT = 31.0, 4.0
"""Seconds by the deployment's clock after which a verification lease expires; real seconds until a worker counts as dead."""
SETTLEMENT_TIMEOUT = 300.0
"""Seconds after the close at which the settlement no longer waits for open verifications."""


class Driver:
    """One run. Subclasses implement `play`."""

    def __init__(self, services: RunServices, plan: Plan) -> None:
        self.services, self.plan = services, plan
        self.random = random.Random(plan.seed)
        self.offset = 0.0
        self.history = History(services.folder / "history.jsonl", self.clock)
        self.deployment = Deployment(services, self.history.add)
        self.deployment.restart_delay = lambda: self.random.uniform(0.1, 1.0)
        self.nemesis = Nemesis(
            self.deployment,
            random.Random(plan.seed + 1),
            long_stops=plan.long_stops,
            at_any_commit=not plan.small,
        )
        self.crash_points = CrashPointTrap(
            SHORT_RUN_COMMITS if plan.small else (), self.deployment, self.nemesis
        )
        self.world = HarnessWorld.read(services.folder / "world.json")
        self.frozen: dict[str, str] = {}
        self.roll_calls: list[str] = []
        self.students: dict[str, Student] = {}
        self.officials: dict[str, Official] = {}
        self._client_limit = asyncio.Semaphore(plan.clients)
        self._began = time.monotonic()

    def clock(self) -> float:
        return time.time() + self.offset

    def advance(self, seconds: float, *, outage: bool = False) -> None:
        """Move the deployment's clock, like `dianming clock advance`. Inserts the service heartbeats of the skipped minutes,
        unless the time simulates an `outage`.
        """
        if not outage:
            marks = (
                "INSERT INTO service_heartbeat SELECT generate_series(date_trunc('minute', to_timestamp(%s)),"
                " to_timestamp(%s), interval '1 minute') ON CONFLICT DO NOTHING RETURNING 1"
            )
            for _ in range(30):
                if seconds < 60 or self.query(marks, self.clock(), self.clock() + seconds):
                    break
                time.sleep(0.2)  # the database may be down for a moment
        self.offset += seconds
        fresh = self.deployment.clock_file.with_suffix(".new")
        fresh.write_text(str(self.offset))
        fresh.replace(self.deployment.clock_file)
        self.history.add("driver", "note", "clock", seconds=round(seconds, 1))

    def query(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        """Query the database directly, without a relay. Return no rows while it is down."""
        try:
            with psycopg.connect(
                f"{self.services.superuser_dsn} options='-c lock_timeout=500'",
                autocommit=True,
                connect_timeout=5,
            ) as connection:
                return rows(connection, statement, *parameters)
        except psycopg.Error:
            return []

    async def wait_for_row(self, what: str, statement: str, *parameters: Any, seconds: float = 30.0) -> bool:
        """Repeat a query until it returns a row. Return False after `seconds`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if await asyncio.to_thread(self.query, statement, *parameters):
                return True
            await asyncio.sleep(0.2)
        self.history.add("driver", "note", "timed out waiting", what=what)
        return False

    # --- the run ---

    async def run(self) -> Verdict:
        """Run completely, from starting the deployment to the verdict."""
        try:
            await self.deployment.open(workers=1 if self.plan.small else 2)
            self._create_clients()
            await asyncio.gather(*(each.get("sign-in", "/v1/me") for each in self.officials.values()))
            await self.play()
            await self._restore()
            await self._wait_until_idle()
            return await self.judge_run()
        finally:
            await asyncio.gather(
                *(each.close() for each in self.students.values()),
                *(each.close() for each in self.officials.values()),
            )
            await self.deployment.close()

    async def play(self) -> None:
        """Take part in roll calls under faults. Implemented by subclasses."""
        raise NotImplementedError

    def _arm_crash_points(self) -> None:
        """Arm the crash points of this run, if it has any."""
        for process in self.deployment.processes.values():
            if process.relay is not None:
                process.relay.trap = self.crash_points if self.crash_points.commits else None

    def _print_progress(self) -> None:
        line = f"{len(self.roll_calls)} roll calls, {self.nemesis.kills} kills"
        print(f"[{time.monotonic() - self._began:5.0f} s] {line}", flush=True)

    def _create_clients(self) -> None:
        context = ClientContext(
            self.deployment.url,
            f"http://127.0.0.1:{self.deployment.gateway_port}",
            self.history,
            self.clock,
            self.random,
        )
        self.students = {each.id: Student(context, each) for each in self.world.students}
        self.officials = {each.account_id: Official(context, each) for each in self.world.staff}

    def _choose_official(self, role: str, school_id: str | None = None) -> Official:
        fitting = [
            each
            for each in self.world.staff_with_role(role)
            if school_id is None or each.unit_id == school_id
        ]
        return self.officials[self.random.choice(fitting).account_id]

    def _last_deadline(self) -> float:
        """Return when the last unsettled window closes, including extensions."""
        last_close = self.query(
            "SELECT extract(epoch FROM max(greatest(r.closes_at, e.until)))::float AS last FROM roll_call r"
            " LEFT JOIN roll_call_extension e ON e.roll_call_id = r.id WHERE NOT EXISTS (SELECT 1 FROM"
            " roll_call_step s WHERE s.roll_call_id = r.id AND s.step IN ('settled', 'voided'))"
        )
        return float(last_close[0]["last"] or 0.0) if last_close else 0.0

    # --- restore, drain, check ---

    async def _restore(self) -> None:
        self.history.add("driver", "note", "restored")
        for relay in self.deployment.relays.values():
            relay.restore()
        self._arm_crash_points()  # remaining ones may occur while the queues drain
        await asyncio.to_thread(self.services.restore)
        self.deployment.resume_stopped()
        await self.deployment.wait_until_healthy()
        await self._resend_unanswered()

    async def _resend_unanswered(self) -> None:
        """Send each unanswered envelope again. A stored envelope must get the same receipt."""
        last = {
            entry.value["nonce"]: entry for entry in self.history.find("envelope", "ok", "fail", "unknown")
        }
        for entry in last.values():
            student = self.students[entry.who]
            if entry.kind == "unknown" and not student.rebound:
                value = entry.value
                await student.send(
                    value["roll_call"], value["nonce"], value["envelope"], honest=value["honest"]
                )

    async def _wait_until_idle(self) -> None:
        """Wait until all work is finished or no progress is made. Moves the clock past the settlement timeout and makes
        retries due.
        """
        if self.random.random() < 0.5:
            self.advance(max(self._last_deadline() - self.clock(), 0.0) + SETTLEMENT_TIMEOUT)
        before: list[str] = []
        deadline = moved_at = 0.0
        while time.monotonic() < deadline or not before:
            open_ones = self.query(
                "SELECT id FROM roll_call r WHERE NOT EXISTS (SELECT 1 FROM roll_call_step s"
                " WHERE s.roll_call_id = r.id AND s.step IN ('settled', 'voided'))"
            )
            with psycopg.connect(self.services.superuser_dsn) as connection:
                waiting = find_unfinished_work(connection)
            if not open_ones and not waiting:
                return
            if not waiting and self._last_deadline() + SETTLEMENT_TIMEOUT > self.clock():
                self.advance(self._last_deadline() + SETTLEMENT_TIMEOUT + 1 - self.clock())
            now = [*waiting, f"{len(open_ones)} open"]
            if now != before:  # continue while there is progress, even on a slow machine
                before, moved_at = now, time.monotonic()
                deadline = moved_at + self.plan.drain_seconds
            elif time.monotonic() > moved_at + HEARTBEAT_TIMEOUT and any(
                "leased" in each for each in waiting
            ):
                self.advance(LEASE_SECONDS)  # of a worker that died
                moved_at = time.monotonic()
            await asyncio.to_thread(
                self._expedite_jobs
            )  # it may wait for a lock whose owner waits for a relay
            await asyncio.sleep(0.5)

    def _expedite_jobs(self) -> None:
        """Make retries due, and mark workers without recent heartbeats as dead."""
        self.query(
            "UPDATE procrastinate_jobs SET scheduled_at = NULL"
            " WHERE status = 'todo' AND scheduled_at > now() RETURNING 1"
        )
        self.query(
            "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'"
            " WHERE last_heartbeat < now() - interval '5 seconds' RETURNING 1"
        )

    async def judge_run(self) -> Verdict:
        """Check history, tables and API figures, and return the verdict."""
        progress = await self._progress()
        with psycopg.connect(self.services.superuser_dsn) as connection:
            records = Records.read(connection)
            evidence = RunEvidence(self.history, records, connection, self.frozen, progress)
            violations = [*judge(evidence), *self.crash_points.violations()]
        client_histories = {
            each.who: self.history.lines_about(each.who, set(each.about))
            for each in violations[:3]
            if each.who
        }
        return Verdict(
            self.plan,
            violations,
            self.history.counts(),
            self.nemesis.counts,
            self.nemesis.kills,
            len(self.nemesis.killed_at),
            self.deployment.unexpected_exits,
            len(self.roll_calls),
            Counter(f"{each[-1]['outcome']}:{each[-1]['reason']}" for each in records.outcomes.values()),
            time.monotonic() - self._began,
            self.deployment.uses_nginx,
            crash_point_lines=list(self.crash_points.lines()),
            client_histories=client_histories,
        )

    async def _progress(self) -> list[dict[str, Any]]:
        """Fetch the progress of each roll call at all levels, as the province."""
        province = self._choose_official("province")
        shown = []
        for roll_call in self.roll_calls:
            for unit in (None, self.world.city_id, *self.world.schools):
                suffix = "" if unit is None else f"?unit_id={unit}"
                answer = await province.get("progress", f"/v1/roll-calls/{roll_call}/progress{suffix}")
                if answer.kind == "ok":
                    shown.append({"roll_call": roll_call, "unit": answer.body, "whole": unit is None})
        return shown

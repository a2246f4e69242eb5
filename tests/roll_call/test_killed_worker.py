"""Tasks of a worker that is killed in the middle of a batch are not lost."""

import asyncio
import os
import signal
import sys

from sqlalchemy import delete

from backend.core.tenancy import Scope
from backend.roll_call.tables import VerificationTask
from backend.roll_call.verification.queue import claim
from backend.roll_call.verification.worker import verify_batch
from tests.support.roll_call.scenario import TERMS, RollCallScenario

WORKER = """
import asyncio
from datetime import datetime
import sys
from backend.core.app_context import open_app_context
from backend.identity.face.pool import face_pool
from backend.roll_call.verification.queue import QueueConfig
from backend.roll_call.verification.worker import VerificationWorker
from backend.settings import get_settings

class Endless:
    async def verify(self, *_):
        print("judging", flush=True)
        await asyncio.sleep(3600)

async def main():
    app_context = open_app_context(get_settings())
    app_context.services[face_pool] = Endless()
    app_context.clock = lambda: datetime.fromisoformat(sys.argv[1])
    await VerificationWorker(app_context, QueueConfig.of(app_context.settings)).run(asyncio.Event())

asyncio.run(main())
"""


async def test_another_worker_takes_over_the_tasks_of_a_killed_one(scenario: RollCallScenario) -> None:
    async with scenario.owner_transaction() as session:
        await session.execute(delete(VerificationTask))
    launched = await scenario.launch()
    submissions = [
        await scenario.check_in(await scenario.activate(pupil), launched.roll_call.id)
        for pupil in scenario.school.students[:2]
    ]
    settings = scenario.app_context.settings
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WORKER, scenario.clock().isoformat()),
        env=os.environ
        | {
            "DIANMING_ENV": "test",
            "DIANMING_DATABASE_URL": settings.database_url,
            "DIANMING_REDIS_URL": settings.redis_url,
            "DIANMING_EVIDENCE_DIR": str(settings.evidence_dir),
            "DIANMING_KEYS_FILE": str(settings.keys_file),
            "DIANMING_VERIFICATION_LEASE_SECONDS": str(int(TERMS.lease.total_seconds())),
        },
        stdout=asyncio.subprocess.PIPE,
    )
    assert worker.stdout is not None
    for _ in submissions:
        assert await worker.stdout.readline() == b"judging\n"
    worker.send_signal(signal.SIGKILL)
    assert await worker.wait() == -signal.SIGKILL
    scenario.clock.at += TERMS.lease
    for _ in submissions:
        async with scenario.app_context.database.transaction(Scope.none()) as session:
            leases = await claim(session, "another", TERMS, scenario.clock())
        assert await verify_batch(scenario.app_context, leases, TERMS) == 1
    for submission_id in submissions:
        assert (await scenario.verdict(submission_id)).finding == "accepted"
        assert await scenario.task(submission_id) is None

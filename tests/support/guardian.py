"""A guardian on the roster, the consent to notices, and the SMS that they get."""

import json
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

from httpx import AsyncClient, Response
from procrastinate import JobContext
from sqlalchemy import select, text, update

from backend.core.ids import new_id
from backend.guardian.notifications import LinkSender, notify_guardians
from backend.guardian.tasks import notify_of_misses, notify_of_student
from backend.identity.consents import GUARDIAN_NOTICE, AnswerConsent, answer_consent
from backend.identity.policy import province_policy
from backend.notice import delivery as sms_delivery
from backend.notice.tables import NoticeDelivery, NoticeMessage
from backend.people.tables import Consent, Guardian, GuardianLink, Student
from tests.support.province import SampleStudent
from tests.support.standing.scenario import StandingScenario

MOTHER = "13900000001"
FIRST_TEXT, SECOND_TEXT = "guardian-notice-1", "guardian-notice-2"


@dataclass(frozen=True, slots=True)
class SentSms:
    """An SMS to a guardian as the provider gets it."""

    phone: str
    template: str
    params: dict[str, str]

    @property
    def token(self) -> str:
        return self.params["url"].partition("#")[2]


@dataclass(frozen=True, slots=True)
class GuardianScenario:
    """A student of the standing scenario with a guardian. Each test uses students of its own school."""

    standing: StandingScenario

    @property
    def pupil(self) -> SampleStudent:
        return self.standing.pupil

    async def add_guardian(
        self,
        pupil: SampleStudent | None = None,
        *,
        name: str = "张母",
        phone: str | None = MOTHER,
        position: int = 1,
        is_guardian: bool = True,
    ) -> UUID:
        """Put a guardian on the roster."""
        pupil = pupil or self.pupil
        row = Guardian(
            id=new_id(),
            school_id=pupil.school_id,
            student_id=pupil.id,
            position=position,
            name=name,
            relation="母亲",
            is_guardian=is_guardian,
            phone=phone,
        )
        guardian_id: UUID = row.id
        async with self.standing.roll_call_scenario.owner_transaction() as session:
            session.add(row)
        return guardian_id

    async def answer(
        self, pupil: SampleStudent | None = None, *, granted: bool = True, version: str = SECOND_TEXT
    ) -> None:
        """Answer the consent; an earlier version is inserted as it was answered at its time."""
        pupil, at = pupil or self.pupil, self.standing.at
        if version != SECOND_TEXT:
            row = Consent(
                id=new_id(),
                school_id=pupil.school_id,
                student_id=pupil.id,
                kind=GUARDIAN_NOTICE,
                text_version=version,
                granted=granted,
                guardian_name=None,
                at=at,
            )
            async with self.standing.roll_call_scenario.owner_transaction() as session:
                session.add(row)
            return
        actor, law = self.standing.student(pupil), province_policy(self.standing.app_context, at)
        async with self.standing.transaction(actor) as session:
            await answer_consent(
                session, actor, AnswerConsent(GUARDIAN_NOTICE, granted, version, None), law, at
            )

    async def set_age(self, years: int, pupil: SampleStudent | None = None) -> None:
        """Make the student `years` old since half a year."""
        born = self.standing.today - timedelta(days=round((years + 0.5) * 365.25))
        statement = update(Student).where(Student.id == (pupil or self.pupil).id).values(birth_date=born)
        async with self.standing.roll_call_scenario.owner_transaction() as session:
            await session.execute(statement)

    async def run_jobs(self) -> int:
        """Run the jobs that events enqueued for the school, as the worker does; returns their number."""
        tasks = {task.name: task for task in (notify_of_student, notify_of_misses)}
        taken = text(
            "DELETE FROM procrastinate_jobs WHERE task_name = ANY(:names) AND status = 'todo'"
            " AND (args ->> 'school_id' = :school OR args -> 'school_ids' ? :school) RETURNING task_name, args"
        )
        arguments = {"names": list(tasks), "school": str(self.standing.school.id)}
        async with self.standing.roll_call_scenario.owner_transaction() as session:
            jobs = (await session.execute(taken, arguments)).all()
        context = cast(
            "JobContext", SimpleNamespace(additional_context={"app_context": self.standing.app_context})
        )
        for name, args in jobs:
            await cast("Any", tasks[name])(context, **args)
        return len(jobs)

    async def sent(self, pupil: SampleStudent | None = None) -> list[SentSms]:
        """The SMS to the student's guardians, oldest first, with the parameters decrypted."""
        query = (
            select(NoticeDelivery, NoticeMessage)
            .join(NoticeMessage, NoticeMessage.id == NoticeDelivery.message_id)
            .where(
                NoticeDelivery.student_id == (pupil or self.pupil).id,
                NoticeDelivery.channel == "sms",
                NoticeMessage.kind.like("guardian%"),
            )
            .order_by(NoticeDelivery.notice_id)
        )
        async with self.standing.roll_call_scenario.owner_transaction() as session:
            rows = [(delivery, message) for delivery, message in await session.execute(query)]
        return [
            SentSms(str(row.phone), str(message.sms_template), self._params(row, message))
            for row, message in rows
        ]

    def _params(self, row: NoticeDelivery, message: NoticeMessage) -> dict[str, str]:
        if row.sealed_params is None:
            return message.sms_params
        context = b"sms-params:" + row.notice_id.bytes
        opened = self.standing.app_context.keys.decrypt(
            sms_delivery._ENCRYPTION_PURPOSE, row.sealed_params, context
        )
        params: dict[str, str] = json.loads(opened)
        return params

    async def links(self, pupil: SampleStudent | None = None) -> list[GuardianLink]:
        query = select(GuardianLink).where(GuardianLink.student_id == (pupil or self.pupil).id)
        async with self.standing.roll_call_scenario.owner_transaction() as session:
            return list(await session.scalars(query.order_by(GuardianLink.id)))


@dataclass(frozen=True, slots=True)
class GuardianApi:
    """The mobile API with the clock of the scenario."""

    scenario: GuardianScenario
    http: AsyncClient

    async def get(self, path: str, token: str | None) -> Response:
        headers = {} if token is None else {"Authorization": f"Guardian {token}"}
        return await self.http.get(f"/v1/guardian/{path}", headers=headers)

    async def post(self, path: str, token: str, body: dict[str, Any], key: str | None = None) -> Response:
        headers = {"Authorization": f"Guardian {token}"} | ({"Idempotency-Key": key} if key else {})
        return await self.http.post(f"/v1/guardian/{path}", json=body, headers=headers)

    async def upload(self, token: str, picture: bytes) -> Response:
        headers = {"Authorization": f"Guardian {token}", "Content-Type": "image/jpeg"}
        return await self.http.post("/v1/guardian/attachments", content=picture, headers=headers)

    async def issue(self, pupil: SampleStudent | None = None) -> str:
        """Let an event send an SMS, and return the token of its link."""
        standing = self.scenario.standing
        sender = LinkSender(standing.app_context.keys, standing.app_context.settings.public_url)
        pupil = pupil or self.scenario.pupil
        async with standing.as_worker() as session:
            assert await notify_guardians(session, sender, pupil.id, "miss", standing.at) == 1
        return (await self.scenario.sent(pupil))[-1].token

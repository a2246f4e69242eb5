"""Guardians get an SMS with a link about misses, warnings and prompts, where that was consented to (PIPL, article 29)."""

import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import text

from backend.guardian.notifications import LinkSender, notify_guardians
from backend.guardian.policy import GuardianPolicy
from backend.notice.settings import get_notice_settings
from tests.support.guardian import FIRST_TEXT, MOTHER, GuardianScenario

pytestmark = pytest.mark.clause("HN334-3.5b")
TEMPLATES = {"guardian_miss", "guardian_warning", "guardian_prompt"}


async def miss_twice(scenario: GuardianScenario) -> None:
    """Two misses in a row: the first warns, the second raises a prompt."""
    for _ in range(2):
        await scenario.standing.run_misses(1)
        await scenario.standing.recompute()
        await scenario.standing.run_events("RollCallSettled", "StudentWarned", "PromptRaised")
        await scenario.run_jobs()


async def notify(scenario: GuardianScenario) -> int:
    sender = LinkSender(scenario.standing.app_context.keys, "https://dianming.example/")
    async with scenario.standing.as_worker() as session:
        return await notify_guardians(session, sender, scenario.pupil.id, "miss", scenario.standing.at)


async def test_misses_warnings_and_prompts_are_notified_without_details(scenario: GuardianScenario) -> None:
    await scenario.add_guardian()
    await scenario.answer()
    await miss_twice(scenario)
    sent = await scenario.sent()
    assert {sms.template for sms in sent} == TEMPLATES
    assert {sms.phone for sms in sent} == {MOTHER}
    public_url = scenario.standing.app_context.settings.public_url.rstrip("/")
    for sms in sent:
        assert sms.params["student"] == "学同学"
        assert sms.params["url"].startswith(f"{public_url}/m/guardian#")
        assert set(sms.params) == {"student", "url"}


async def test_consent_to_the_first_text_covers_leave_only(scenario: GuardianScenario) -> None:
    await scenario.add_guardian()
    await scenario.answer(version=FIRST_TEXT)
    await miss_twice(scenario)
    assert await scenario.sent() == []
    assert await scenario.links() == []


async def test_without_consent_nothing_is_sent(scenario: GuardianScenario) -> None:
    await scenario.add_guardian()
    assert await notify(scenario) == 0
    await scenario.answer()
    await scenario.answer(granted=False)
    assert await notify(scenario) == 0


async def test_only_guardians_with_a_number_are_notified(scenario: GuardianScenario) -> None:
    await scenario.add_guardian()
    await scenario.add_guardian(name="张父", phone=None, position=2)
    await scenario.add_guardian(name="张姑", phone="13900000003", position=3, is_guardian=False)
    await scenario.answer()
    assert await notify(scenario) == 1


async def test_one_sms_of_a_kind_is_sent_in_a_day(scenario: GuardianScenario) -> None:
    await scenario.add_guardian()
    await scenario.answer()
    assert [await notify(scenario), await notify(scenario)] == [1, 0]
    scenario.standing.set_clock(days=1)
    assert await notify(scenario) == 1
    assert [link.number for link in await scenario.links()] == [1, 1]


async def test_token_is_stored_nowhere_in_clear(scenario: GuardianScenario) -> None:
    await scenario.add_guardian()
    await scenario.answer()
    await miss_twice(scenario)
    tokens = [sms.token for sms in await scenario.sent()]
    links = await scenario.links()
    assert len(set(tokens)) == 4  # two misses on different days, a warning and a prompt
    assert {link.token_hash for link in links} == {
        hashlib.sha256(token.encode()).digest() for token in tokens
    }
    tables = ("notice", "notice_message", "notice_delivery", "guardian_link", "audit_entry", "outbox_event")
    async with scenario.standing.roll_call_scenario.owner_transaction() as session:
        for table in (*tables, "procrastinate_jobs"):
            for token in tokens:
                found = text(f"SELECT count(*) FROM {table} t WHERE t::text LIKE :token")
                assert await session.scalar(found, {"token": f"%{token}%"}) == 0, table


async def test_withdrawal_revokes_all_links(scenario: GuardianScenario) -> None:
    await scenario.add_guardian()
    await scenario.answer()
    await notify(scenario)
    await scenario.answer(granted=False)
    (link,) = await scenario.links()
    assert link.revoked_because == "consent_withdrawn"
    assert link.expires_at - link.issued_at == timedelta(days=30)


def test_every_cause_has_a_registered_template() -> None:
    settings = get_notice_settings()
    assert len({settings.template_code(name) for name in TEMPLATES}) == len(TEMPLATES)


def test_figures_are_policy(scenario: GuardianScenario) -> None:
    law = GuardianPolicy.on(scenario.standing.today, scenario.standing.school.path)
    assert (law.notices_per_day, law.acts_below) == (1, 18)

"""What a student and a guardian see after a decision: ledger, warnings, answered appeals, and the guardian's own page."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from playwright.async_api import Browser, Page, expect
from sqlalchemy import update

from backend.core.clock import legal_day
from backend.core.ids import new_id
from backend.demo.phone import Phone
from backend.people.tables import Consent, Guardian, GuardianLink, Student
from tests.e2e.bound_phone import install_key
from tests.e2e.pages import PHONE, Visit, visit
from tests.e2e.pictures import keep_picture
from tests.e2e.seeded import Seeded
from tests.e2e.test_screens import settle
from tests.support.identity.staff_user import StaffUser, create_staff_user
from tests.support.province import SampleStudent

SIZES = {390: 844, 320: 640}
LANGUAGES = ("zh-CN", "en")
_ENLARGE_TEXT = """() => {
  const style = new CSSStyleSheet()
  style.replaceSync('html { -webkit-text-size-adjust: 200% !important }')
  document.adoptedStyleSheets.push(style)
}"""
"""As the setting of a phone does, which leaves the width as it is."""
_TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
_CHOOSE = "language => localStorage.setItem('dianming.language', language)"


@asynccontextmanager
async def phone_of(browser: Browser, seeded: Seeded, phone: Phone) -> AsyncIterator[Visit]:
    """The page of a student on the own phone."""
    async with visit(browser, seeded, PHONE) as opened:
        await install_key(opened.page, phone)
        yield opened
        assert opened.problems == []


async def check_screens(opened: Visit, screens: Mapping[str, str]) -> None:
    """Open each screen in both languages, at both widths, and with text of twice the size. One failure shows all."""
    page, wrong = opened.page, []
    for language in LANGUAGES:
        await page.evaluate(_CHOOSE, language)
        for name, path in screens.items():
            await page.goto(path)
            await settle(page)
            for width, height in SIZES.items():
                await page.set_viewport_size({"width": width, "height": height})
                await settle(page)
                await keep_picture(page, f"{name}-{language}-{width}")
                if too_wide := await page.evaluate(_TOO_WIDE):
                    wrong.append(f"{name} at {width} ({language}): {too_wide} pixels too wide")
            wrong += [f"{name} ({language}): {each}" for each in await opened.find_barriers()]
            await page.evaluate(_ENLARGE_TEXT)
            await keep_picture(page, f"{name}-{language}-large")
            if too_wide := await page.evaluate(_TOO_WIDE):
                wrong.append(f"{name} with large text ({language}): {too_wide} pixels too wide")
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.evaluate(_CHOOSE, LANGUAGES[0])
    assert wrong == []


async def test_ledger_and_appeal_to_the_last_level(browser: Browser, seeded: Seeded) -> None:
    scenario = seeded.scenario
    pupil = scenario.world.school.classes[2].students[0]
    bound = await scenario.roll.activate(pupil, school=scenario.world.school)
    change = await decide_prompt(seeded, pupil)
    async with phone_of(browser, seeded, bound.phone) as opened:
        page = opened.page
        await check_screens(
            opened, {"ledger": "/m/me/standing", "change": f"/m/me/explanations/entry/{change}"}
        )
        await page.goto("/m/me/standing")
        await page.get_by_text("在读 · 全日制 → 在读 · 非全日制").click()
        await page.get_by_role("button", name="对这次变动申诉").click()
        await page.get_by_label("申诉理由").fill("决定时没有看到病历")
        await page.get_by_role("button", name="提交申诉").click()
        await expect(page.get_by_text("审理中")).to_be_visible()

        first = await answer_appeal(seeded.staffer("province"), pupil, upheld=False)
        await page.goto(f"/m/me/appeals/{first}")
        await expect(page.get_by_role("status").get_by_text("申诉不成立")).to_be_visible()
        await expect(page.get_by_text("请补充病历")).to_be_visible()
        await check_screens(opened, {"appeal-rejected": f"/m/me/appeals/{first}"})
        await page.goto(f"/m/me/appeals/{first}")
        await page.get_by_role("button", name="向上一级申诉").click()
        await page.get_by_label("申诉理由").fill("病历已补交")
        await page.get_by_role("button", name="向上一级申诉").click()
        await expect(page.get_by_text("审理中")).to_be_visible()
        await page.goto(f"/m/me/appeals/{first}")
        await page.get_by_role("link", name="已向上一级申诉：审理中").click()

        colleague = await create_staff_user(scenario.identity, "province", scenario.world.province.id)
        second = await answer_appeal(colleague, pupil, upheld=False)
        await page.goto(f"/m/me/appeals/{second}")
        await expect(page.get_by_text("申诉的级数已用完")).to_be_visible()
        await expect(page.get_by_role("button", name="向上一级申诉")).to_have_count(0)
        await page.goto(f"/m/me/explanations/entry/{change}")
        await expect(page.get_by_role("link", name="已提出申诉：申诉不成立")).to_be_visible()
        await expect(page.get_by_role("button", name="对这次变动申诉")).to_have_count(0)


async def decide_prompt(seeded: Seeded, pupil: SampleStudent) -> str:
    """Decide on the prompt about the student; returns the id of the change."""
    registrar, path = seeded.staffer("registrar"), f"/v1/prompts/{seeded.record('received_prompt')}"
    assert (await registrar.get(path)).json()["student_id"] == str(pupil.id)
    body = {"outcome": "part_time", "reasons": "已逐项核实"}
    decided = await registrar.post(f"{path}/decisions", body)
    assert decided.is_success, decided.text
    return str((await registrar.get(path)).json()["changes"][-1]["id"])


async def answer_appeal(staff: StaffUser, pupil: SampleStudent, **decision: Any) -> str:
    """Write to the student as the deciding unit, then decide; returns the id of the appeal."""
    params = {"student_id": str(pupil.id), "state": "open", "to_decide": True}
    found = (await staff.get("/v1/appeals", **params)).json()["items"]
    appeal = next(each for each in found if each["appellant"] == "student")
    path = f"/v1/appeals/{appeal['id']}"
    assert (await staff.post(f"{path}/messages", {"text": "请补充病历"})).status_code == 201
    decided = await staff.post(f"{path}/decision", {"reasons": "已逐项核实", **decision})
    assert decided.is_success, decided.text
    return str(appeal["id"])


async def test_filed_appeal_is_shown_and_its_success_leaves_a_warning(
    browser: Browser, seeded: Seeded
) -> None:
    scenario = seeded.scenario
    pupil = scenario.world.school.classes[1].students[2]
    bound = await scenario.roll.activate(pupil, school=scenario.world.school)
    missed = f"/m/roll-calls/{seeded.record('missed_check')}"
    async with phone_of(browser, seeded, bound.phone) as opened:
        page = opened.page
        await page.goto(missed)
        await page.get_by_role("link", name="已提出申诉：审理中").click()
        await expect(page.get_by_text("这件申诉由学校提出")).to_be_visible()
        await expect(page.get_by_role("button", name="撤回申诉")).to_have_count(0)
        await page.goto(missed)
        await page.get_by_role("button", name="对结果提出申诉").click()
        await page.get_by_label("申诉理由").fill("当时在医院")
        await page.get_by_role("button", name="提交申诉").click()
        await expect(page.get_by_text("审理中")).to_be_visible()
        await page.goto(missed)
        await expect(page.get_by_role("link", name="已提出申诉：审理中")).to_be_visible()
        await expect(page.get_by_role("button", name="对结果提出申诉")).to_have_count(0)

        appeal = await answer_appeal(seeded.staffer("province"), pupil, upheld=True, finding="excused")
        await check_screens(
            opened,
            {
                "appeal-upheld": f"/m/me/appeals/{appeal}",
                "warnings": "/m/me/standing",
                "appealed-roll-call": missed,
            },
        )
        await page.goto(f"/m/me/appeals/{appeal}")
        await expect(page.get_by_text("核验结果改为：免于核验")).to_be_visible()
        await page.goto("/m/me/standing")
        await expect(page.get_by_role("heading", name="提醒")).to_be_visible()
        await page.goto(missed)
        await expect(page.get_by_role("link", name="已提出申诉：申诉成立")).to_be_visible()
        await page.goto("/m/activation/face")
        await page.get_by_role("button", name="更换人脸").click()
        await expect(page.get_by_role("button", name="拍第 1 张")).to_be_visible()
        assert await opened.find_barriers() == []


async def add_guardian(seeded: Seeded, pupil: SampleStudent) -> tuple[str, str]:
    """Make the student a minor with a guardian; the tokens of a valid link and of an expired one."""
    at = seeded.scenario.clock()
    owner = {"school_id": pupil.school_id, "student_id": pupil.id}
    guardian = Guardian(
        id=new_id(),
        position=1,
        name="李大山",
        relation="父亲",
        is_guardian=True,
        phone="13900000008",
        **owner,
    )
    consent = Consent(
        id=new_id(),
        kind="guardian_notice",
        text_version="guardian-notice-2",
        granted=True,
        guardian_name=None,
        at=at,
        **owner,
    )
    tokens = f"{new_id().hex}{new_id().hex}", f"{new_id().hex}{new_id().hex}"
    born = update(Student).where(Student.id == pupil.id)
    async with seeded.scenario.roll.owner_transaction() as session:
        await session.execute(born.values(birth_date=legal_day(at) - timedelta(days=16 * 365)))
        session.add_all([guardian, consent])
        await session.flush()
        session.add_all(
            GuardianLink(
                id=new_id(),
                guardian_id=guardian.id,
                guardian_name=guardian.name,
                relation=guardian.relation,
                token_hash=hashlib.sha256(token.encode()).digest(),
                cause="prompt",
                issued_on=legal_day(at),
                number=number,
                issued_at=at - timedelta(days=40),
                expires_at=at + timedelta(days=days),
                window_requests=0,
                **owner,
            )
            for number, (token, days) in enumerate(zip(tokens, (30, -1), strict=True), start=1)
        )
    return tokens


async def test_guardian_reads_claims_and_appeals_by_link(browser: Browser, seeded: Seeded) -> None:
    pupil = seeded.scenario.world.school.classes[2].students[2]
    valid, expired = await add_guardian(seeded, pupil)
    async with visit(browser, seeded, PHONE) as opened:
        page = opened.page
        await page.goto(f"/m/guardian#{valid}")
        await expect(page.get_by_role("heading", name=pupil.name)).to_be_visible()
        assert not page.url.endswith(valid)  # the address no longer contains the token
        misses = page.locator("section", has=page.get_by_role("heading", name="未按时核验"))
        await expect(misses.get_by_role("article")).to_have_count(2)
        await check_open_page(opened, "guardian")
        await misses.get_by_role("button", name="代为申诉").first.click()
        await page.get_by_label("请写明情况").fill("当天在校上课")
        assert await opened.find_barriers() == []
        await page.get_by_role("button", name="提交").click()
        await expect(page.get_by_text("审理中")).to_be_visible()
        await misses.get_by_role("button", name="代为说明理由").first.click()
        await page.get_by_role("combobox").select_option("illness")
        await page.get_by_role("button", name="提交").click()
        await expect(misses.get_by_text("等待核对")).to_be_visible()
        assert await opened.find_barriers() == []

        await page.goto("about:blank")
        await page.goto(f"/m/guardian#{expired}")
        await expect(page.get_by_role("alert")).to_contain_text("链接")
        await check_open_page(opened, "guardian-expired")
        await page.goto("about:blank")
        await page.goto("/m/guardian")
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await check_open_page(opened, "guardian-without-link")
        assert opened.problems == []
    appeals = (await seeded.staffer("registrar").get("/v1/appeals", student_id=str(pupil.id))).json()["items"]
    assert [each["filed_by_guardian"]["name"] for each in appeals] == ["李大山"]


async def check_open_page(opened: Visit, name: str) -> None:
    """Check the page as it is, which cannot be opened again: its link is gone from the address."""
    page: Page = opened.page
    for width, height in SIZES.items():
        await page.set_viewport_size({"width": width, "height": height})
        await settle(page)
        await keep_picture(page, f"{name}-{width}")
        assert await page.evaluate(_TOO_WIDE) == 0, f"{name} at {width}"
    assert await opened.find_barriers() == []
    await page.set_viewport_size({"width": 390, "height": 844})

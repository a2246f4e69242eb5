"""What waits for a counselor or a registrar: every page of it, and the acts that the other browser tests do not have."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

import pytest
from playwright.async_api import Browser, Page, expect

from biometrics.engines.base import EngineKey
from tests.e2e.camera import FakeCamera
from tests.e2e.pages import DESKTOP, Visit, visit
from tests.e2e.pictures import keep_picture
from tests.e2e.seeded import Seeded
from tests.e2e.test_screens import WIDTHS, settle
from tests.support.identity.rehearsals import Rehearsals
from tests.support.identity.staff_user import PASSWORD, StaffUser, create_invited_user
from tests.support.roll_call.student_phone import INSIDE

NARROW = 320
SIZES = {NARROW: 640, **WIDTHS}
_TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
async def page(browser: Browser, seeded: Seeded) -> AsyncIterator[Visit]:
    """A page on a desktop computer."""
    async with visit(browser, seeded, DESKTOP) as opened:
        yield opened
        assert opened.problems == []


async def sign_in(page: Page, staffer: StaffUser) -> None:
    await page.goto("/c/")
    await page.get_by_label("账号").fill(staffer.login)
    await page.get_by_label("密码").fill(PASSWORD)
    await page.get_by_label("动态码").fill(staffer.totp())
    await page.get_by_role("button", name="登录").click()
    await expect(page.get_by_role("heading", level=1, name="点名")).to_be_visible()


async def check_pages(opened: Visit, paths: Mapping[str, str]) -> None:
    """Open each page at each width, and look for barriers at the narrowest. One failure shows all that is wrong."""
    page, wrong = opened.page, []
    for name, path in paths.items():
        await page.goto(path)
        for width, height in SIZES.items():
            await page.set_viewport_size({"width": width, "height": height})
            await expect(page.get_by_role("heading", level=1).last).to_be_visible()
            await settle(page)
            if width in WIDTHS:
                await keep_picture(page, f"counselor-{name}-{width}")
            else:
                wrong += [f"{name}: {each}" for each in await opened.find_barriers()]
            if too_wide := await page.evaluate(_TOO_WIDE):
                wrong.append(f"{name} at {width}: {too_wide} pixels too wide")
        if await page.get_by_text("这一项已经办理").count():
            wrong.append(f"{name}: gone")
    assert wrong == []


@pytest.mark.pictures
async def test_what_waits_for_a_counselor(page: Visit, seeded: Seeded) -> None:
    await sign_in(page.page, seeded.staffer("counselor"))
    await check_pages(
        page,
        {
            "tasks": "/c/tasks",
            "look": f"/c/tasks/looks/{seeded.record('look')}",
            "leave": f"/c/tasks/leave/{seeded.record('own_leave')}",
            "objection": f"/c/tasks/objections/{seeded.record('objection')}",
            "face": f"/c/tasks/faces/{seeded.record('enrolment')}",
            "prompt": f"/c/tasks/prompts/{seeded.record('prompt')}",
            "claim": f"/c/tasks/claims/{seeded.record('claim')}",
            "correction": f"/c/tasks/corrections/{seeded.record('correction')}",
            "student": f"/c/students/{seeded.record('student')}",
            "roll-call": f"/c/roll-calls/{seeded.record('roll_call')}/{seeded.record('student')}",
            "me": "/c/me",
        },
    )


async def test_what_waits_for_a_registrar(page: Visit, seeded: Seeded) -> None:
    await sign_in(page.page, seeded.staffer("registrar"))
    await check_pages(
        page,
        {
            "registrar-tasks": "/c/tasks",
            "registrar-prompt": f"/c/tasks/prompts/{seeded.record('received_prompt')}",
            "registrar-receipt": f"/c/tasks/prompts/{seeded.record('prompt')}",
            "registrar-correction": f"/c/tasks/corrections/{seeded.record('correction')}",
            "registrar-portrait": f"/c/tasks/portraits/{seeded.record('portrait')}",
            "registrar-student": f"/c/students/{seeded.record('student')}",
        },
    )


async def test_a_stand_in_is_named_and_ended(page: Visit, seeded: Seeded) -> None:
    colleague = await create_invited_user(
        seeded.scenario.identity, "counselor", seeded.scenario.world.school.id
    )
    for step in (colleague.begin, colleague.confirm):
        assert (await step()).is_success
    shown, counselor = page.page, seeded.staffer("counselor")
    await sign_in(shown, counselor)
    await shown.goto("/c/me")
    card = shown.get_by_role("region", name="代审人")
    await expect(card.get_by_role("button", name="提前结束").first).to_be_visible()  # one runs already
    running = await card.get_by_role("button", name="提前结束").count()
    await card.get_by_role("button", name="指定代审人").click()
    await card.get_by_label("同事").select_option(index=1)
    await expect(card.get_by_label("第一天")).not_to_have_value("")
    assert await page.find_barriers() == []
    await card.get_by_role("button", name="指定代审人").click()
    await expect(card.get_by_role("button", name="提前结束")).to_have_count(running + 1)
    await card.get_by_role("button", name="提前结束").first.click()
    await expect(card.get_by_role("button", name="提前结束")).to_have_count(running)
    arrangements = (await counselor.get("/v1/leave-stand-ins")).json()["items"]
    assert sum(each["ended_at"] is not None for each in arrangements) == 1


async def test_a_prompt_is_decided_with_its_effect_in_view(page: Visit, seeded: Seeded) -> None:
    shown, registrar = page.page, seeded.staffer("registrar")
    path = f"/v1/prompts/{seeded.record('received_prompt')}"
    preview = (await registrar.get(f"{path}/preview")).json()
    said = next(each for each in preview["outcomes"] if each["proposed"])
    await sign_in(shown, registrar)
    await shown.goto(f"/c/tasks/prompts/{seeded.record('received_prompt')}")
    effects = shown.get_by_role("region", name="各处理结果会带来什么")
    await expect(effects.get_by_text(said["summary_zh"])).to_be_visible()
    form = shown.get_by_role("form", name="处理提示")
    await form.get_by_text(said["outcome"]["zh"], exact=True).click()
    await expect(form.get_by_text(said["summary_zh"])).to_be_visible()
    await form.get_by_label("理由").fill("已逐项核实，情况属实")
    assert await page.find_barriers() == []
    await form.get_by_role("button", name=f"确认：{said['outcome']['zh']}").click()
    await expect(shown.get_by_text("已逐项核实，情况属实").last).to_be_visible()
    await expect(form).to_have_count(0)
    decided = (await registrar.get(path)).json()
    assert decided["state"]["code"] == "decided"
    assert decided["changes"][-1]["after"] == said["after"]


async def test_the_code_of_a_card_is_scanned(page: Visit, seeded: Seeded, camera: FakeCamera) -> None:
    """The registrar's page shows the code as a picture; the counselor's camera sees that picture."""
    shown, student = page.page, seeded.record("student")
    await sign_in(shown, seeded.staffer("registrar"))
    await shown.goto(f"/c/students/{student}")
    card = shown.get_by_role("region", name="学生卡核验码")
    await card.get_by_role("button", name="制发核验码").click()
    picture = card.get_by_role("img", name="学生卡核验码")
    await expect(picture).to_be_visible()
    camera.show(await picture.screenshot())
    code = await card.locator(".code").first.inner_text()

    await page.context.clear_cookies()
    await page.context.set_geolocation({"longitude": INSIDE[0], "latitude": INSIDE[1], "accuracy": 12})
    counselor = seeded.staffer("counselor")
    await sign_in(shown, counselor)
    roll_call = seeded.record("roll_call")
    await shown.goto(f"/c/roll-calls/{roll_call}/{student}")
    await shown.get_by_role("button", name="扫码").click()
    await expect(shown.get_by_label("学生卡核验码")).to_have_value(code)
    await shown.get_by_text("摄像头损坏").click()
    await expect(shown.get_by_text("本班名额还剩 2 个")).to_be_visible()
    assert await page.find_barriers() == []
    await shown.get_by_role("button", name="本人在场").click()
    await expect(shown.get_by_role("heading", name="已确认在场")).to_be_visible()
    limits = (await counselor.get(f"/v1/roll-calls/{roll_call}/attestation-limits")).json()
    assert limits["classes"][0]["left"] == 1


async def test_a_rehearsal_is_confirmed(page: Visit, seeded: Seeded) -> None:
    scenario, shown, rehearsal = seeded.scenario, page.page, seeded.record("rehearsal")
    there, absent = scenario.world.school.classes[0].students[:2]
    rehearsals = Rehearsals(scenario.app_context, scenario.owner, EngineKey("test-pattern", "1"))
    await rehearsals.enrol([absent])
    await rehearsals.check_in([there, absent], roll_call_id=rehearsal)
    before, counselor = scenario.clock.offset, seeded.staffer("counselor")
    scenario.clock.offset += timedelta(days=2, hours=2)
    try:
        await sign_in(shown, counselor)
        await shown.goto(f"/c/roll-calls/{rehearsal}")
        card = shown.get_by_role("region", name="确认演练")
        await card.get_by_label(absent.name).check()
        assert await page.find_barriers() == []
        await keep_picture(shown, "rehearsal-1280")
        await card.get_by_role("button", name="确认其余 1 人当时在场").click()
        await expect(card.get_by_text("已确认 1 人在场，1 人除外")).to_be_visible()
    finally:
        scenario.clock.offset = before


async def test_all_prompts_are_received_at_once(page: Visit, seeded: Seeded) -> None:
    shown, registrar = page.page, seeded.staffer("registrar")
    await sign_in(shown, registrar)
    await shown.goto("/c/tasks")
    await shown.get_by_role("button", name="未签收的提示").click()
    await expect(shown.get_by_text("已签收")).to_be_visible()
    await expect(shown.get_by_role("button", name="未签收的提示")).to_have_count(0)
    listed = (await registrar.get("/v1/prompts", open_only=True)).json()["items"]
    assert listed
    assert [each["id"] for each in listed if each["delivered_at"] is None] == []


async def test_the_cards_of_a_class_are_issued_to_print(page: Visit, seeded: Seeded) -> None:
    shown = page.page
    await sign_in(shown, seeded.staffer("registrar"))
    await shown.goto("/c/students")
    await shown.get_by_role("button", name="制发全班学生卡").first.click()
    await shown.get_by_role("button", name="制发核验码").click()
    await expect(shown.get_by_role("img", name="的学生卡")).to_have_count(3)
    await expect(shown.get_by_text("已制发 3 个")).to_be_visible()
    assert await page.find_barriers() == []
    await keep_picture(shown, "class-cards-1280")
    await shown.emulate_media(media="print")
    await expect(shown.get_by_role("navigation").first).not_to_be_visible()
    await expect(shown.get_by_role("img", name="的学生卡").first).to_be_visible()
    await keep_picture(shown, "class-cards-print")


async def test_classes_are_assigned_to_counselors(page: Visit, seeded: Seeded) -> None:
    shown, registrar = page.page, seeded.staffer("registrar")
    colleague = await create_invited_user(
        seeded.scenario.identity, "counselor", seeded.scenario.world.school.id
    )
    for step in (colleague.begin, colleague.confirm):
        assert (await step()).is_success
    await sign_in(shown, registrar)
    await shown.goto("/c/me")
    card = shown.get_by_role("region", name="班级与辅导员")
    choice = card.get_by_label("2024级3班")
    newest = max((await registrar.get("/v1/colleagues")).json()["items"], key=lambda each: each["id"])
    await choice.select_option(newest["id"])
    assert await page.find_barriers() == []
    await card.get_by_role("button", name="保存 1 项更改").click()
    await expect(card.get_by_text("已分配")).to_be_visible()
    classes = (await registrar.get("/v1/classes")).json()["items"]
    assert [each["counselor_id"] for each in classes if each["name"] == "2024级3班"] == [newest["id"]]

"""The pages of the console with something of everything on them fit a desktop. `make screens` keeps their pictures.

Their barriers are tested where their work is (`test_console_*.py`), so this stays quick.
"""

from collections.abc import AsyncIterator, Mapping

import pytest
from playwright.async_api import Browser

from tests.e2e.console import sign_in
from tests.e2e.pages import Visit, visit
from tests.e2e.pictures import keep_picture
from tests.e2e.seeded import Seeded
from tests.e2e.test_screens import TOO_WIDE, expect_path, open_screen

pytestmark = pytest.mark.pictures

REGISTRAR = {
    "console-home-registrar": "/console/",
    "console-prompts": "/console/prompts?view=all",
    "console-prompt": "/console/prompts/{received_prompt}",
    "console-claims": "/console/claims?view=all",
    "console-claim": "/console/claims/{claim}",
    "console-students": "/console/students",
    "console-student": "/console/students/{student}",
    "console-class-cards": "/console/classes/{class}/cards",
    "console-classes": "/console/classes?unassigned=false",
    "console-class": "/console/classes/{class}",
    "console-site-new-version": "/console/sites/{site}/versions/new",
    "console-aid-applications": "/console/aid/applications",
    "console-aid-withdrawals": "/console/aid/withdrawals",
    "console-aid-withdrawal": "/console/aid/withdrawals/{aid_filing}",
    "console-aid-exports": "/console/aid/exports",
}
BUREAU = {
    "console-home-bureau": "/console/",
    "console-board": "/console/roll-calls/{roll_call}",
    "console-results": "/console/roll-calls/{roll_call}?tab=results",
    "console-wall": "/console/roll-calls/{roll_call}/wall",
    "console-changes": "/console/changes?view=all",
    "console-change": "/console/changes/{change_request}",
    "console-outages": "/console/outages?view=all",
    "console-outage": "/console/outages/{outage}",
    "console-appeals": "/console/appeals?view=all",
    "console-appeal": "/console/appeals/{school_appeal}",
    "console-readiness": "/console/readiness",
    "console-sites": "/console/sites",
    "console-site": "/console/sites/{site}",
    "console-registrations": "/console/registrations",
    "console-registration-permissions": "/console/registrations/permissions",
    "console-qualifications": "/console/qualifications",
    "console-qualification": "/console/qualifications/{school}",
    "console-law": "/console/law",
    "console-policy": "/console/law/policy?parameter=misses.consecutive&place=410100",
    "console-clauses": "/console/law/clauses",
}
PROVINCE = {
    "console-accounts": "/console/accounts",
    "console-terms": "/console/terms",
    "console-audit": "/console/audit",
    "console-retention": "/console/retention",
    "console-own-account": "/console/me",
}
TALL = {"viewport": {"width": 1280, "height": 1000}}
"""A desktop on which the whole menu is in view."""
MOST_HEIGHT = 1800
"""Of a picture, in CSS pixels: longer pages are cut off."""


@pytest.fixture
async def opened(browser: Browser, seeded: Seeded) -> AsyncIterator[Visit]:
    async with visit(browser, seeded, TALL) as visited:
        yield visited
        assert visited.problems == []


@pytest.mark.parametrize(
    ("role", "screens"),
    [("registrar", REGISTRAR), ("bureau", BUREAU), ("province", PROVINCE)],
    ids=["registrar", "bureau", "province"],
)
async def test_pages_of_the_console_fit_a_desktop(
    opened: Visit, seeded: Seeded, role: str, screens: Mapping[str, str]
) -> None:
    await sign_in(opened.page, seeded.staffer(role))
    wrong = []
    for name, address in screens.items():
        path = address.format_map(seeded.scenario.records["school"])
        await open_screen(opened.page, path)
        await expect_path(opened.page, path)
        await keep_picture(opened.page, f"{name}-1280", MOST_HEIGHT)
        if too_wide := await opened.page.evaluate(TOO_WIDE):
            wrong.append(f"{name}: {too_wide} pixels too wide")
    assert wrong == []

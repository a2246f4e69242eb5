"""Creates the demo organisation over HTTP: authorities, three schools, sites, rosters, counselors."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import cos, radians
from pathlib import Path
from typing import Any

import httpx

from backend.core.clock import legal_day
from backend.demo.staff import Credentials, StaffClient, expect
from backend.exchange.roster.generator import generate_students, plan_school
from backend.exchange.roster.writer import write_roster
from geo.datum import Datum, convert

METRES_PER_DEGREE = 111_320.0
CONCURRENT = 8
TERM_BEFORE, TERM_AFTER = timedelta(days=40), timedelta(days=150)
"""The demo has a term of its own, so it runs on any day of the year. The term is long enough for three months of absence."""
Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SchoolPlan:
    """A fictional school: location, size, superior unit, and the datum and roster format that it uses."""

    key: str
    code: str
    name: str
    parent: str
    lon: float
    lat: float
    width_m: float
    height_m: float
    datum: str
    share: float
    roster_form: str


SCHOOLS = (
    SchoolPlan(
        "A",
        "4141000101",
        "郑州市示例工业学校（虚构）",
        "410100",
        113.5312,
        34.8203,
        640,
        520,
        "wgs84",
        0.5,
        "xlsx",
    ),
    SchoolPlan(
        "B",
        "4141018102",
        "巩义市示例职业教育中心（虚构）",
        "410181",
        112.9836,
        34.7512,
        420,
        360,
        "gcj02",
        0.3,
        "csv-gb18030",
    ),
    SchoolPlan(
        "C",
        "4141000003",
        "河南省示例职业学院中专部（虚构）",
        "410000",
        113.8127,
        34.7361,
        900,
        700,
        "bd09",
        0.2,
        "xlsx",
    ),
)


@dataclass(slots=True)
class School:
    """A created school with the clients of its staff."""

    plan: SchoolPlan
    id: str
    registrar: StaffClient
    classes: list[dict[str, Any]] = field(default_factory=list)
    counselors: dict[str, StaffClient] = field(default_factory=dict)
    """By class id."""
    roster: list[dict[str, str]] = field(default_factory=list)
    """The generated roster rows, by Chinese header."""


@dataclass(slots=True)
class Organisation:
    """The created authorities and schools."""

    province: StaffClient
    bureaus: dict[str, StaffClient]
    schools: list[School]

    def staff_credentials(self) -> list[Credentials]:
        """Return the sign-in data of the staff: superiors first, one counselor per school."""
        people = [self.province, *self.bureaus.values()]
        for school in self.schools:
            people += [school.registrar, *list(school.counselors.values())[:1]]
        return [staff.credentials for staff in people]


def campus_outline(plan: SchoolPlan) -> list[list[float]]:
    """Return a campus outline as a closed ring of WGS-84 positions: a rectangle with one corner cut off."""
    dx = plan.width_m / 2 / (METRES_PER_DEGREE * cos(radians(plan.lat)))
    dy = plan.height_m / 2 / METRES_PER_DEGREE
    corners = [(-dx, -dy), (dx, -dy), (dx, dy * 0.6), (dx * 0.7, dy), (-dx, dy), (-dx, -dy)]
    return [[round(plan.lon + x, 7), round(plan.lat + y, 7)] for x, y in corners]


def filed_outline(plan: SchoolPlan) -> dict[str, Any]:
    """Return the outline in the school's own datum, as GeoJSON or as a CSV of vertices."""
    target = Datum.named(plan.datum)
    ring = [convert(lon, lat, source=Datum.WGS84, target=target) for lon, lat in campus_outline(plan)]
    if target is Datum.GCJ02:
        rows = "\n".join(f"主校区,{lon:.7f},{lat:.7f}" for lon, lat in ring[:-1])
        return {"format": "csv", "datum": plan.datum, "csv": f"polygon,lon,lat\n{rows}\n"}
    geojson = {"type": "Polygon", "coordinates": [[[round(lon, 7), round(lat, 7)] for lon, lat in ring]]}
    return {"format": "geojson", "datum": plan.datum, "geojson": geojson}


class OrganisationBuilder:
    """Creates the organisation through the staff API that `client` points to."""

    def __init__(self, client: httpx.AsyncClient, clock: Callable[[], float], folder: Path, log: Log) -> None:
        self.client = client
        self.clock = clock
        self.folder = folder
        self.log = log

    async def build(
        self, first: dict[str, str], students: int, *, activate_counselors: bool = True
    ) -> Organisation:
        """Create everything, starting from the province's first invitation."""
        province = await StaffClient.activate(self.client, self.clock, "省级管理员", "河南省", first)
        units = await province.get_all_pages("/v1/units")
        cities = [unit for unit in units if unit["kind"] == "city"]
        counties = [unit for unit in units if unit["kind"] == "county"]
        self.log(f"河南省：{len(cities)} 个省辖市（含济源），{len(counties)} 个省直管县（市）")
        await self._create_term(province)
        parents = {unit["code"]: unit for unit in units}
        bureaus = {}
        for code in ("410100", "410300", "410181"):
            invitation = await province.invite(
                "bureau", parents[code]["id"], f"bureau.{code}", f"{parents[code]['name']}教育局"
            )
            bureaus[code] = await StaffClient.activate(
                self.client, self.clock, "市县管理员", parents[code]["name"], invitation
            )
        schools = [await self._create_school(province, bureaus, parents, plan) for plan in SCHOOLS]
        await self._upload_rosters(schools, students)
        for school in schools:
            await self._file_site(school, bureaus.get(school.plan.parent, province))
            await self._invite_counselors(school, activate=activate_counselors)
        return Organisation(province, bureaus, schools)

    async def _create_term(self, province: StaffClient) -> None:
        today = legal_day(datetime.fromtimestamp(self.clock(), UTC))
        term = {
            "org_id": province.me["org_id"],
            "code": f"{today.year}-demo",
            "starts_on": str(today - TERM_BEFORE),
            "ends_on": str(today + TERM_AFTER),
        }
        expect(await province.post("/v1/terms", term), 201)

    async def _create_school(
        self,
        province: StaffClient,
        bureaus: dict[str, StaffClient],
        parents: dict[str, Any],
        plan: SchoolPlan,
    ) -> School:
        superior = bureaus.get(plan.parent, province)
        body = {"code": plan.code, "name": plan.name, "parent_id": parents[plan.parent]["id"]}
        unit = expect(await superior.post("/v1/schools", body), 201)
        invitation = await superior.invite(
            "registrar", unit["id"], f"registrar.{plan.code}", f"{plan.name}学籍管理员"
        )
        registrar = await StaffClient.activate(self.client, self.clock, "学校管理员", plan.name, invitation)
        return School(plan, unit["id"], registrar)

    async def _upload_rosters(self, schools: list[School], students: int) -> None:
        """Generate the rosters, upload them and read the classes. One seed for all, so that no student appears twice."""
        plans = [
            plan_school(each.plan.code, each.plan.name, students=round(students * each.plan.share))
            for each in schools
        ]
        records = iter(generate_students(334, plans))
        for school, plan in zip(schools, plans, strict=True):
            size = sum(group.size for group in plan.classes)
            school.roster = [dict(next(records)) for _ in range(size)]
            roster_format = school.plan.roster_form
            path = self.folder / f"roster-{school.plan.code}.{roster_format.partition('-')[0]}"
            write_roster(path, school.roster, variant="national", form=roster_format)
            answer = await school.registrar.request(
                "POST",
                "/v1/roster-imports",
                params={"file_name": path.name, "dry_run": "false"},
                content=path.read_bytes(),
                headers={"Content-Type": "application/octet-stream"},
                timeout=300,
            )
            report = expect(answer)
            self.log(f"{school.plan.name}：上传 {path.name}，{_import_summary(report)}")
            school.classes = await school.registrar.get_all_pages("/v1/classes")

    async def _file_site(self, school: School, superior: StaffClient) -> None:
        """File the site. The school cannot approve it itself; its superior does."""
        body = {
            "name": "主校区",
            "kind": "main",
            "address": f"{school.plan.name}备案地址",
            "outline": filed_outline(school.plan),
        }
        site = expect(await school.registrar.post("/v1/sites", body), 201)
        version = site["versions"][0]["id"]
        decision = {"outcome": "approved", "opinion": "经实地查看，同意备案"}
        path = f"/v1/site-versions/{version}/decision"
        expect(await school.registrar.post(path, decision), 403)
        expect(await superior.post(path, decision), 201)
        area = site["versions"][0]["area_m2"] / 10_000
        self.log(
            f"{school.plan.name}：以 {school.plan.datum} 备案办学地址 {area:.1f} 公顷，上级批准（学校自批被拒）"
        )

    async def _invite_counselors(self, school: School, *, activate: bool) -> None:
        """Invite one counselor per class, assign the class and activate the account."""
        semaphore = asyncio.Semaphore(CONCURRENT)

        async def invite(position: int, group: dict[str, Any]) -> None:
            async with semaphore:
                login = f"counselor.{school.plan.code}.{position:02d}"
                invitation = await school.registrar.invite(
                    "counselor", school.id, login, f"{group['name']}辅导员"
                )
                path = f"/v1/counselors/{invitation['counselor_id']}/classes"
                expect(await school.registrar.post(path, {"class_ids": [group["id"]]}), 204)
                if activate or position == 1:
                    staff = await StaffClient.activate(
                        self.client, self.clock, "辅导员", group["name"], invitation
                    )
                    school.counselors[group["id"]] = staff

        await asyncio.gather(*(invite(number, group) for number, group in enumerate(school.classes, 1)))
        page = expect(await school.registrar.get("/v1/readiness"))
        line = page["items"][0]
        self.log(
            f"{school.plan.name}：{len(school.classes)} 个班，全日制 {line['full_time']} 人，"
            f"无辅导员 {line['without_counselor']} 人，辅导员已激活 {len(school.counselors)} 人"
        )


def _import_summary(answer: dict[str, Any]) -> str:
    report, summary = answer["report"], answer["summary"]
    return f"{summary['rows']} 行，新增 {report['created']} 人，错误 {summary['rows_with_errors']} 行"


def window_times(at: float, after_minutes: int, minutes: int) -> tuple[str, str]:
    """Return opening and closing time of a window in ISO format. `at` is in seconds since the epoch."""
    opens = datetime.fromtimestamp(at, UTC) + timedelta(minutes=after_minutes)
    return opens.isoformat(), (opens + timedelta(minutes=minutes)).isoformat()

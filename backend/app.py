"""The composition root: the only place that knows every room."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy import text

from backend.core.ahead import Ahead
from backend.core.api import Api, Room
from backend.core.problems import install_problem_handlers, problem_response
from backend.core.pulse import keep_beating
from backend.core.runtime import Runtime
from backend.core.tenancy import Scope
from backend.core.web import LimitBodies
from backend.staff_api.rosters import LARGER_BODIES
from biometrics.errors import BiometricsError
from geo.errors import GeoError

MOBILE_ROUTERS = (
    "mobile_api.envelopes",
    "mobile_api.registration",
    "mobile_api.activation",
    "mobile_api.roll_calls",
    "mobile_api.leave",
    "mobile_api.aid",
    "mobile_api.appeals",
    "mobile_api.standing",
    "mobile_api.changes",
    "mobile_api.claims",
    "mobile_api.files",
    "mobile_api.explanations",
    "mobile_api.notices",
)
STAFF_ROUTERS = (
    "backend.staff_api.sessions",
    "backend.staff_api.accounts",
    "backend.staff_api.activation_desk",
    "backend.staff_api.org",
    "backend.staff_api.terms",
    "backend.staff_api.calendar",
    "backend.staff_api.sites",
    "backend.staff_api.people",
    "backend.staff_api.rosters",
    "backend.staff_api.roll_calls",
    "backend.staff_api.progress",
    "backend.staff_api.verification",
    "backend.staff_api.checks",
    "backend.staff_api.leave",
    "backend.staff_api.aid",
    "backend.staff_api.appeals",
    "backend.staff_api.prompts",
    "backend.staff_api.changes",
    "backend.staff_api.standing_entries",
    "backend.staff_api.claims",
    "backend.staff_api.outages",
    "backend.staff_api.attendance",
    "backend.staff_api.files",
    "backend.staff_api.explanations",
    "backend.staff_api.retention",
    "backend.staff_api.notices",
)
MOBILE_PREFIX, STAFF_PREFIX = "/mobile", "/staff"


def _face(title: str, routers: tuple[str, ...], runtime: Runtime) -> Api:
    """One API with its own OpenAPI document."""
    api = Api(title, runtime)

    # The libraries' refusals carry the house's attributes without its base class.
    @api.exception_handler(GeoError)
    async def _geo(request: Request, error: GeoError) -> JSONResponse:
        return problem_response(request, error)

    @api.exception_handler(BiometricsError)
    async def _biometrics(request: Request, error: BiometricsError) -> JSONResponse:
        return problem_response(request, error)

    for name in routers:
        router: APIRouter = importlib.import_module(name).router
        api.include_router(Room(router))
    return api


def create_app(runtime: Runtime) -> FastAPI:
    """Both APIs under one roof: the phone's at /mobile, the staff's at /staff, and /healthz."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        pulse = asyncio.create_task(keep_beating(runtime))
        yield
        pulse.cancel()
        with suppress(asyncio.CancelledError):
            await pulse
        await runtime.close()

    app = FastAPI(
        title="Dianming",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.runtime = runtime
    install_problem_handlers(app)
    larger = {STAFF_PREFIX + path: limit for path, limit in LARGER_BODIES.items()}
    mobile = _face("点名 · 学生端 Mobile API", MOBILE_ROUTERS, runtime)
    (rush,) = importlib.import_module(MOBILE_ROUTERS[0]).router.routes
    app.add_middleware(Ahead, prefix=MOBILE_PREFIX, api=mobile, route=rush)
    app.add_middleware(LimitBodies, limit=runtime.settings.request_body_limit, larger=larger)
    app.mount(MOBILE_PREFIX, mobile)
    app.mount(STAFF_PREFIX, _face("点名 · 管理端 Staff API", STAFF_ROUTERS, runtime))

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Healthy while the database answers: without Redis everything works, and dashboards refresh more slowly."""
        async with runtime.database.transaction(Scope.none()) as session:
            await session.execute(text("SELECT 1"))
        redis = await runtime.redis.answers()
        return {"status": "ok" if redis else "degraded", "redis": "ok" if redis else "away"}

    return app

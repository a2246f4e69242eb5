"""The composition root: creates the ASGI application from the routers of both APIs."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy import text

from backend.core.app_context import AppContext
from backend.core.availability import run_heartbeat
from backend.core.tenancy import Scope
from backend.core.web.api import Api
from backend.core.web.client import trust_proxies
from backend.core.web.demonstration import mount_demonstration
from backend.core.web.fast_route import fast_route
from backend.core.web.openapi import Security
from backend.core.web.problems import install_problem_handlers, problem_response
from backend.core.web.requests import BodyLimitMiddleware
from backend.core.web.security_headers import SecurityHeadersMiddleware
from backend.core.web.web_apps import mount_web_app
from backend.staff_api.caller import SECURITY as STAFF_SECURITY
from backend.staff_api.organisation.rosters import LARGER_BODIES
from biometrics.errors import BiometricsError
from geo.errors import GeoError

MOBILE_ROUTERS = (
    "mobile_api.envelopes",
    "mobile_api.registration",
    "mobile_api.activation",
    "mobile_api.phone_changes",
    "mobile_api.push",
    "mobile_api.roll_calls",
    "mobile_api.leave",
    "mobile_api.aid",
    "mobile_api.appeals",
    "mobile_api.standing",
    "mobile_api.changes",
    "mobile_api.claims",
    "mobile_api.files",
    "mobile_api.explanations",
    "mobile_api.guardian",
    "mobile_api.notices",
    "mobile_api.picture_views",
)
STAFF_ROUTERS = (
    "backend.staff_api.accounts.sessions",
    "backend.staff_api.accounts.browser_sessions",
    "backend.staff_api.accounts.passkeys",
    "backend.staff_api.accounts.accounts",
    "backend.staff_api.accounts.counselor_invitations",
    "backend.staff_api.accounts.authenticator_resets",
    "backend.staff_api.accounts.colleagues",
    "backend.staff_api.accounts.activation",
    "backend.staff_api.accounts.rebinding",
    "backend.staff_api.accounts.phone_changes",
    "backend.staff_api.organisation.units",
    "backend.staff_api.organisation.terms",
    "backend.staff_api.organisation.calendar",
    "backend.staff_api.organisation.sites",
    "backend.staff_api.organisation.people",
    "backend.staff_api.organisation.pictures",
    "backend.staff_api.organisation.duplicates",
    "backend.staff_api.organisation.face_thresholds",
    "backend.staff_api.organisation.rosters",
    "backend.staff_api.registration.graduations",
    "backend.staff_api.registration.registrations",
    "backend.staff_api.registration.school_qualifications",
    "backend.staff_api.roll_calls.workbooks",
    "backend.staff_api.roll_calls.roll_calls",
    "backend.staff_api.roll_calls.results",
    "backend.staff_api.roll_calls.progress",
    "backend.staff_api.roll_calls.verification",
    "backend.staff_api.roll_calls.attestations",
    "backend.staff_api.roll_calls.rehearsals",
    "backend.staff_api.roll_calls.readiness",
    "backend.staff_api.roll_calls.looks",
    "backend.staff_api.roll_calls.check_in_cells",
    "backend.staff_api.roll_calls.student_results",
    "backend.staff_api.leave",
    "backend.staff_api.aid",
    "backend.staff_api.aid_exports",
    "backend.staff_api.audit",
    "backend.staff_api.appeals",
    "backend.staff_api.standing.prompts",
    "backend.staff_api.standing.change_requests",
    "backend.staff_api.standing.quarantine",
    "backend.staff_api.standing.ledger",
    "backend.staff_api.standing.claims",
    "backend.staff_api.standing.outages",
    "backend.staff_api.standing.attendance",
    "backend.staff_api.standing.warnings",
    "backend.staff_api.standing.replay",
    "backend.staff_api.law.policies",
    "backend.staff_api.law.law_cases",
    "backend.staff_api.bulk",
    "backend.staff_api.work_queue",
    "backend.staff_api.files",
    "backend.staff_api.standing.explanations",
    "backend.staff_api.retention",
    "backend.staff_api.notices",
)
MOBILE_PREFIX, STAFF_PREFIX = "/mobile", "/staff"
WEB_APPS = ("m", "c", "console")
"""The paths of the student app, of the counselor page and of the console."""


ApiName = Literal["mobile", "staff"]


def create_api(name: ApiName, app_context: AppContext | None = None) -> Api:
    """One API with its own OpenAPI document. Without a context it serves no request and only has its document."""
    if name == "mobile":
        security: Security = importlib.import_module("mobile_api.caller").SECURITY
        return _create_api("点名 · 学生端 Mobile API", MOBILE_ROUTERS, app_context, security)
    return _create_api("点名 · 管理端 Staff API", STAFF_ROUTERS, app_context, STAFF_SECURITY)


def _create_api(
    title: str, routers: tuple[str, ...], app_context: AppContext | None, security: Security
) -> Api:
    api = Api(title, app_context, security)

    # `geo` and `biometrics` import nothing of `backend`: their errors have the attributes of DomainError, not its type.
    @api.exception_handler(GeoError)
    async def _handle_geo_error(request: Request, error: GeoError) -> JSONResponse:
        return problem_response(request, error)

    @api.exception_handler(BiometricsError)
    async def _handle_biometrics_error(request: Request, error: BiometricsError) -> JSONResponse:
        return problem_response(request, error)

    for name in routers:
        router: APIRouter = importlib.import_module(name).router
        api.include_endpoints(router)
    return api


def create_app(app_context: AppContext) -> FastAPI:
    """The application: the mobile API at /mobile, the staff API at /staff, the web apps, and /healthz."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        heartbeat = asyncio.create_task(run_heartbeat(app_context))
        yield
        heartbeat.cancel()
        with suppress(asyncio.CancelledError):
            await heartbeat
        await app_context.close()

    app = FastAPI(
        title="Dianming",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.app_context = app_context
    install_problem_handlers(app)
    larger = {STAFF_PREFIX + path: limit for path, limit in LARGER_BODIES.items()}
    mobile = create_api("mobile", app_context)
    (envelopes,) = importlib.import_module(MOBILE_ROUTERS[0]).router.routes
    app.router.routes.append(fast_route(MOBILE_PREFIX, mobile, envelopes))
    app.add_middleware(BodyLimitMiddleware, limit=app_context.settings.request_body_limit, larger=larger)
    app.add_middleware(
        SecurityHeadersMiddleware,
        https=app_context.settings.public_url.startswith("https://"),
        private_prefixes=(MOBILE_PREFIX + "/v", STAFF_PREFIX + "/v"),
        clock=lambda: app_context.clock(),  # noqa: PLW0108 - a document is made of an application without a clock
    )
    mount_demonstration(app, app_context)
    trust_proxies(app, app_context.settings)
    app.mount(MOBILE_PREFIX, mobile)
    app.mount(STAFF_PREFIX, create_api("staff", app_context))
    for base in WEB_APPS:
        mount_web_app(app, base, app_context.settings.web_directory / base)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """200 if the database answers. Without Redis everything works, and dashboards refresh more slowly."""
        async with app_context.database.transaction(Scope.none()) as session:
            await session.execute(text("SELECT 1"))
        redis = await app_context.redis.is_available()
        return {"status": "ok" if redis else "degraded", "redis": "ok" if redis else "away"}

    return app

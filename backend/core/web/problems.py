"""RFC 9457 problem details for both APIs: code, status, and a sentence in the language of the client."""

import json
from http import HTTPStatus
from typing import Any, ClassVar, Protocol

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import Match

from backend.core.errors import DomainError
from backend.core.web.field_messages import describe_field

log = structlog.get_logger()
MEDIA_TYPE = "application/problem+json"


class FieldProblem(BaseModel):
    """What is wrong with one field of a malformed request, or with one cell of a file.

    Of a file it also has `sheet`, `row`, `column`, `letter`, `value`, `severity` and a stable `code`.
    """

    field: str | None = Field(
        default=None, description="`body.`, `query.` or `path.` and the field", examples=["body.starts_on"]
    )
    code: str | None = Field(default=None, examples=[None])
    sheet: str | None = Field(default=None, examples=[None])
    row: int | None = Field(default=None, examples=[None])
    column: str | None = Field(default=None, examples=[None])
    value: str | None = Field(default=None, examples=[None])
    message: str = Field(description="in the requested language", examples=["缺少此项，请补填"])
    message_zh: str = Field(examples=["缺少此项，请补填"])
    message_en: str = Field(examples=["Field required"])


class Problem(BaseModel):
    """The body of every error response (RFC 9457)."""

    type: str = Field(
        description="stable identifier of the problem type", examples=["urn:dianming:not_found"]
    )
    title: str = Field(examples=["没有找到，或您无权查看。请核对编号。"])
    status: int = Field(examples=[404])
    code: str = Field(description="stable code", examples=["not_found"])
    detail: str = Field(
        description="what to do, in the requested language", examples=["没有找到，或您无权查看。请核对编号。"]
    )
    detail_zh: str = Field(examples=["没有找到，或您无权查看。请核对编号。"])
    detail_en: str = Field(examples=["Not found, or not yours to see. Check the identifier."])
    instance: str = Field(examples=["/v1/…"])
    errors: list[FieldProblem] | None = Field(default=None, description="per field, for malformed requests")
    server_time: str | None = Field(
        default=None,
        description="with proof_clock_wrong: the server's time (RFC 3339), for the `iat` of the next proof",
        examples=["2026-03-02T00:00:00.000Z"],
    )
    attempted: str | None = Field(
        default=None,
        description="with intake_busy: the signed time of this attempt; send it along with the retry",
    )


def language_of(request: Request) -> str:
    """`en` only if the client prefers it to Chinese; the users' first language is Chinese."""
    ranked: list[tuple[float, int, str]] = []
    for position, part in enumerate(request.headers.get("accept-language", "").split(",")):
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        ranked.append((-weight, position, tag.lower()))
    for _, _, tag in sorted(
        each for each in ranked if each[0] < 0
    ):  # q=0 means "not acceptable" (RFC 9110, 12.4.2)
        if tag.startswith("zh"):
            return "zh"
        if tag.startswith("en"):
            return "en"
    return "zh"


class LocalizedError(Protocol):
    """An error with a code, a status and a sentence: `DomainError` and the errors of `geo` and `biometrics`."""

    code: ClassVar[str]
    status: ClassVar[int]

    def sentence(self, language: str) -> str:
        """The sentence in `zh` or `en`."""


class ProblemResponse(JSONResponse):
    """A problem document. Text from the client, such as a field name, may be invalid Unicode and is escaped."""

    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        """Encode as UTF-8."""
        return json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace")


def problem_response(
    request: Request, error: LocalizedError, errors: list[dict[str, Any]] | None = None
) -> JSONResponse:
    """The response to a request that failed with `error`."""
    zh, en = error.sentence("zh"), error.sentence("en")
    detail = en if language_of(request) == "en" else zh
    body: dict[str, Any] = {
        "type": f"urn:dianming:{error.code}",
        "title": detail,
        "status": error.status,
        "code": error.code,
        "detail": detail,
        "detail_zh": zh,
        "detail_en": en,
        "instance": request.url.path,
    }
    if errors is not None:
        body["errors"] = [_with_message(each, language_of(request)) for each in errors]
    body |= getattr(error, "extensions", {})
    headers = getattr(error, "headers", None)
    return ProblemResponse(body, error.status, headers=headers)


def _with_message(entry: dict[str, Any], language: str) -> dict[str, Any]:
    """An entry of `errors` with its message in the client's language. Entries about a file have `zh` and `en`."""
    zh, en = (entry.get(f"message_{each}", entry.get(each)) for each in ("zh", "en"))
    return entry | {"message": en if language == "en" else zh, "message_zh": zh, "message_en": en}


class MalformedRequest(DomainError):
    """The request does not match the documented schema."""

    code = "malformed_request"
    status = 422
    zh = "请求格式有误，请按 errors 中列出的字段更正。"
    en = "The request is malformed; correct the fields listed in errors."


class DatabaseUnavailable(DomainError):
    """The database is starting, failing over or unreachable. Whether a change was committed is unknown."""

    code = "database_away"
    status = 503
    zh = "服务正在恢复，请几秒后用同一请求重试；已经办成的不会重复。"
    en = "The service is recovering. Send the same request again in a few seconds; what was done is not done twice."

    def __init__(self) -> None:
        self.headers = {"Retry-After": "2"}
        super().__init__()


class MethodNotAllowed(DomainError):
    """The address exists, but not with this method; the header `Allow` lists those that it has."""

    code = "method_not_allowed"
    status = 405
    zh = "该地址不支持此方法，请改用 Allow 标头列出的方法。"
    en = "This address does not support the method; use one of those in the Allow header."

    def __init__(self, methods: list[str]) -> None:
        self.headers = {"Allow": ", ".join(methods)}
        super().__init__()


class _HttpProblem(DomainError):
    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        phrase = HTTPStatus(status).phrase
        self.status = status  # type: ignore[misc]  # known only per instance
        self.code = phrase.lower().replace(" ", "_").replace("-", "_")  # type: ignore[misc]
        self.zh = {404: "没有这个地址。"}.get(status, phrase)  # type: ignore[misc]
        self.en = phrase  # type: ignore[misc]
        self.headers = headers
        super().__init__()


METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


def allowed_methods(request: Request) -> list[str]:
    """Every method of the path (RFC 9110, 10.2.1). FastAPI itself names only those of the first route."""
    return [
        method
        for method in METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


def install_problem_handlers(app: FastAPI) -> None:
    """Turn every error of `app` into a problem document. Unexpected errors disclose no details."""

    @app.exception_handler(DomainError)
    async def _handle_domain_error(request: Request, error: DomainError) -> JSONResponse:
        return problem_response(request, error, getattr(error, "fields", None))

    @app.exception_handler(RequestValidationError)
    async def _handle_validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
        fields = [describe_field(item) for item in error.errors()]
        return problem_response(request, MalformedRequest(), fields)

    @app.exception_handler(HTTPException)
    async def _handle_http_exception(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers) if error.headers else {}
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            return problem_response(request, MethodNotAllowed(allowed_methods(request)))
        return problem_response(request, _HttpProblem(error.status_code, headers))

    @app.exception_handler(OperationalError)
    @app.exception_handler(PoolTimeout)
    async def _handle_database_error(request: Request, error: Exception) -> JSONResponse:
        log.warning("database unavailable", path=request.url.path, error=type(error).__name__)
        return problem_response(request, DatabaseUnavailable())

    @app.exception_handler(Exception)
    async def _handle_unexpected_error(request: Request, error: Exception) -> JSONResponse:
        log.error("unexpected error", path=request.url.path, exc_info=error)
        return problem_response(request, DomainError())


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI `responses` for the error statuses of a route. All refer to the one schema `Problem`."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}

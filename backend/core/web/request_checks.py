"""Checks of every request before its route: query parameters and the media type of the body."""

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from backend.core.errors import BadInput, DomainError
from backend.core.web.schema_types import printable


class QueryParameterRepeated(BadInput):
    """A query parameter is given more than once. None takes several values, so the meaning is unclear."""

    code = "query_parameter_repeated"
    zh = "查询参数“{name}”只能出现一次，请删去重复的。"
    en = "The query parameter “{name}” may be given only once; remove the repetition."


class QueryParameterUnknown(BadInput):
    """The endpoint has no such query parameter. Ignoring a misspelt filter would return everything."""

    code = "query_parameter_unknown"
    zh = "本接口没有查询参数“{name}”，请核对拼写。可用的参数：{known}。"
    en = "This endpoint has no query parameter “{name}”; check the spelling. It takes: {known}."


class MediaTypeUnsupported(DomainError):
    """The body has another media type than the endpoint reads (RFC 9110, 15.5.16)."""

    code = "media_type_unsupported"
    status = 415
    zh = "请求内容的类型应为 {expected}，请相应设置 Content-Type 并按此格式发送。"
    en = "The body must be {expected}; set Content-Type accordingly and send that format."

    def __init__(self, expected: str) -> None:
        self.headers = {"Accept": expected}
        super().__init__(expected=expected)


JSON = "application/json"


async def check_request(request: Request) -> None:
    """Reject repeated and unknown query parameters, and a body that a JSON endpoint cannot read.

    Raises `QueryParameterRepeated`, `QueryParameterUnknown` or `MediaTypeUnsupported`.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    if request.scope["query_string"]:
        check_query_parameters(request, list_query_parameters(route))
    if route.body_field is not None:
        require_media_type(request, JSON)


def require_media_type(request: Request, expected: str, *, required: bool = False) -> None:
    """Raise `MediaTypeUnsupported` if another media type is declared, or if none is declared and it is `required`."""
    declared = request.headers.get("content-type", "" if required else expected)
    if declared.partition(";")[0].strip().lower() != expected:
        raise MediaTypeUnsupported(expected)


def refuse_form(request: Request, expected: str = "application/octet-stream") -> None:
    """Raise `MediaTypeUnsupported` for a form where the endpoint reads the bytes of one file."""
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared in ("multipart/form-data", "application/x-www-form-urlencoded"):
        raise MediaTypeUnsupported(expected)


def list_query_parameters(route: APIRoute) -> tuple[str, ...]:
    """The names of the query parameters that a route reads, with those of its dependencies."""
    return tuple(_iter_query_parameters(route.dependant))


def _iter_query_parameters(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for dependency in dependant.dependencies:
        yield from _iter_query_parameters(dependency)


def check_query_parameters(request: Request, known: tuple[str, ...]) -> None:
    """Raise `QueryParameterUnknown` for a name that is not `known`, or `QueryParameterRepeated`."""
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in known:
            raise QueryParameterUnknown(name=printable(name), known=", ".join(known) or "—")
        if names.count(name) > 1:
            raise QueryParameterRepeated(name=printable(name))

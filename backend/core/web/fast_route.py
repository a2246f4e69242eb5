"""Serving one route before the framework looks for it: the address that a whole province calls within minutes.

Finding an address takes the framework a dozen layers, some of them twice for an API that is mounted below another: a
tenth of what an envelope costs. Here are the same route, the same handler and the same answers to what goes wrong.
"""

from collections.abc import Awaitable

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send


class FastRoute:
    """Middleware: requests of `route`, which belongs to the `api` mounted at `prefix` and has one parameter in its path.

    The route reads its request by itself (`get_route_handler`), whatever its dependencies would be. What is not exactly
    such a request goes the usual way.
    """

    def __init__(self, app: ASGIApp, prefix: str, api: FastAPI, route: APIRoute) -> None:
        ((self._name, _),) = route.param_convertors.items()
        self._begins, self._ends = (prefix + route.path).split(f"{{{self._name}}}")
        (self._method,) = sorted(route.methods or [])
        self._app, self._prefix, self._api = app, prefix, api
        self._serve = route.get_route_handler()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        value = self._parameter(scope)
        if value is None:
            await self._app(scope, receive, send)
            return
        below = {
            **scope,
            "app": self._api,
            "root_path": scope.get("root_path", "") + self._prefix,
            "path_params": {self._name: value},
        }
        request = Request(below, receive)
        response = await self._answer(request)
        await response(below, receive, send)

    def _parameter(self, scope: Scope) -> str | None:
        if scope["type"] != "http" or scope["method"] != self._method:
            return None
        address: str = scope["path"].removeprefix(scope.get("root_path", ""))
        if not (address.startswith(self._begins) and address.endswith(self._ends)):
            return None
        value = address[len(self._begins) : -len(self._ends)]
        return value if value and "/" not in value else None

    async def _answer(self, request: Request) -> Response:
        """As the API's own handlers answer an exception; what none of them knows is the outer application's."""
        try:
            return await self._serve(request)
        except Exception as error:
            handlers = self._api.exception_handlers
            kinds = (kind for kind in type(error).__mro__ if kind in handlers and kind is not Exception)
            kind = next(kinds, None)
            if kind is None:
                raise
            answer = handlers[kind](request, error)
            return await answer if isinstance(answer, Awaitable) else answer

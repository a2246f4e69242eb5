"""The envelope of a check-in: the one address that a whole province calls within minutes.

It is documented like every other and served by hand: the framework's way to the same three values costs more than
their signatures. The instant that decides lateness is taken when the body is here, before anything waits.
"""

from collections.abc import Callable, Coroutine
from datetime import UTC
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.responses import JSONResponse

from backend.core.app_context import AppContext
from backend.core.web.api import refuse_repeated
from backend.core.web.problems import documented, problem_response
from backend.identity.sign_in.authentication import authenticate_phone
from backend.roll_call.check_in.evaluate import UnrecordedError
from backend.roll_call.check_in.intake import CheckInIntake, Sent
from backend.roll_call.eligibility import Refused
from backend.roll_call.student_schemas import EnvelopeIn, ReceiptOut
from mobile_api.caller import read_request


class ByHand(APIRoute):
    """Path and body are read here; a request that cannot be read is answered as the framework would."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        async def serve(request: Request) -> Response:
            if request.scope["query_string"]:
                await refuse_repeated(request)
            content = await request.body()
            try:
                roll_call_id, body = _path_id(request), _body(request, content)
            except RequestValidationError:
                await authenticate_phone(request.app.state.app_context, read_request(request))
                raise
            answer: Response = await self.endpoint(request, roll_call_id, body)
            return answer

        return serve


def _path_id(request: Request) -> UUID:
    text = request.path_params["roll_call_id"]
    try:
        return UUID(text)
    except ValueError as error:
        message = {
            "type": "uuid_parsing",
            "loc": ("path", "roll_call_id"),
            "msg": "Input should be a valid UUID",
        }
        raise RequestValidationError([message]) from error


def _body(request: Request, content: bytes) -> EnvelopeIn:
    if not request.headers.get("content-type", "").lower().startswith("application/json"):
        message = {"type": "media_type", "loc": ("body",), "msg": "Input should be application/json"}
        raise RequestValidationError([message])
    try:
        return EnvelopeIn.model_validate_json(content)
    except ValidationError as error:
        found: list[Any] = [
            {**each, "loc": ("body", *each["loc"])} for each in error.errors(include_input=False)
        ]
        raise RequestValidationError(found) from error


router = APIRouter(prefix="/v1", tags=["核验 · roll calls"], route_class=ByHand)


@router.post(
    "/roll-calls/{roll_call_id}/envelopes",
    status_code=201,
    responses={
        200: {"model": ReceiptOut, "description": "a retry: the original receipt"},
        **documented(401, 403, 404, 409, 413, 422, 429, 503),
    },
    response_model=ReceiptOut,
)
async def post_envelope(request: Request, roll_call_id: UUID, body: EnvelopeIn) -> Response:
    """提交签名信封 · Submit the signed envelope. The receipt comes only once it is durable.

    Under too much load the answer is 503 with `Retry-After` and `attempted`: send that along when trying again with the
    same envelope, and it counts as having come at the first try.
    """
    app_context: AppContext = request.app.state.app_context
    sent = Sent(read_request(request), roll_call_id, body.envelope, app_context.clock(), body.attempted)
    answer = await app_context.service(CheckInIntake).take(sent)
    if isinstance(answer, Refused | UnrecordedError):
        return problem_response(request, answer.error)
    receipt = {
        "submission_id": str(answer.submission_id),
        "receipt": answer.receipt,
        "frames_due_at": answer.frames_due_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }
    return JSONResponse(receipt, 201 if answer.first else 200)

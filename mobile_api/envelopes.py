"""The route that receives the envelope of a check-in, which a whole province calls within minutes.

It is documented like every other route but parses its request itself: FastAPI's parsing of the same three values takes
longer than verifying their signatures. The time that decides lateness is taken once the body has arrived.
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
from backend.core.web.problems import problem_response, problem_responses
from backend.core.web.request_checks import (
    JSON,
    MediaTypeUnsupported,
    check_query_parameters,
    require_media_type,
)
from backend.identity.sign_in.authentication import authenticate_phone
from backend.roll_call.check_in.evaluate import UnrecordedRefusal
from backend.roll_call.check_in.intake import CheckInIntake, EnvelopeRequest
from backend.roll_call.eligibility import RecordedRefusal
from backend.roll_call.student_schemas import EnvelopeIn, ReceiptOut
from mobile_api.caller import SECURITY, TOKEN_AND_PROOF, read_request


class ManualParsingRoute(APIRoute):
    """Parses path and body without FastAPI's dependencies, and reports malformed requests in the same way."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        async def handle(request: Request) -> Response:
            if request.scope["query_string"]:
                check_query_parameters(request, ())
            content = await request.body()
            try:
                roll_call_id, body = _parse_roll_call_id(request), _parse_body(request, content)
            except (RequestValidationError, MediaTypeUnsupported):
                await authenticate_phone(request.app.state.app_context, read_request(request))
                raise
            response: Response = await self.endpoint(request, roll_call_id, body)
            return response

        return handle


def _parse_roll_call_id(request: Request) -> UUID:
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


def _parse_body(request: Request, content: bytes) -> EnvelopeIn:
    require_media_type(request, JSON, required=True)
    try:
        return EnvelopeIn.model_validate_json(content)
    except ValidationError as error:
        details: list[Any] = [
            {**detail, "loc": ("body", *detail["loc"])} for detail in error.errors(include_input=False)
        ]
        raise RequestValidationError(details) from error


router = APIRouter(prefix="/v1", tags=["核验 · roll calls"], route_class=ManualParsingRoute)


@router.post(
    "/roll-calls/{roll_call_id}/envelopes",
    status_code=201,
    responses={
        200: {"model": ReceiptOut, "description": "a retry: the original receipt"},
        **problem_responses(401, 403, 404, 409, 413, 422, 429, 503),
    },
    response_model=ReceiptOut,
)
async def submit_envelope(request: Request, roll_call_id: UUID, body: EnvelopeIn) -> Response:
    """提交签名信封 · Submit the signed envelope. The receipt is returned once the envelope is durably stored.

    An envelope with the claims of a proof and the phone's `jwk` needs no header `DPoP` on its first send. Each later send
    of the same envelope needs a new proof.

    Under too much load the answer is 503 with `Retry-After` and `attempted`. Send `attempted` along with the retry of the
    same envelope, and the time of the first attempt counts.
    """
    app_context: AppContext = request.app.state.app_context
    sent = EnvelopeRequest(
        read_request(request), roll_call_id, body.envelope, app_context.clock(), body.attempted
    )
    answer = await app_context.service(CheckInIntake).submit(sent)
    if isinstance(answer, RecordedRefusal | UnrecordedRefusal):
        return problem_response(request, answer.error)
    receipt = {
        "submission_id": str(answer.submission_id),
        "receipt": answer.receipt,
        "frames_due_at": answer.frames_due_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }
    return JSONResponse(receipt, 201 if answer.first else 200)


SECURITY.required_by[submit_envelope] = (TOKEN_AND_PROOF, {"token": []})
"""Without a proof, the envelope is sent for the first time and carries its proof."""

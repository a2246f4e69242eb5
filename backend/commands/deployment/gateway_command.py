"""`dianming gateway`: the FAKE gateway for SMS and real-name checks, for demonstrations and development."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from backend.commands.output import exit_with_error
from backend.core.clock import legal_day, now, shifted_clock
from backend.notice.delivery_reports import report_token
from backend.notice.sms.fake import FakeGateway
from backend.people.identifiers import IdNumber, parse_id_number

_BANNER = """
************************************************************************
*  假网关 · THIS GATEWAY IS A FAKE. It sends no SMS and verifies no one. *
*  Production processes refuse it. Inbox: GET {url}/inbox/PHONE
************************************************************************
"""


def is_id_number(text: str) -> bool:
    """Whether the text is a resident ID number with a valid check character and a past birth date."""
    return isinstance(parse_id_number(text, today=legal_day(now())), IdNumber)


def command(
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="port to listen on; 0 takes a free one")] = 8009,
    access_key: Annotated[str, typer.Option(envvar="DIANMING_GATEWAY_ACCESS_KEY")] = "demo",
    secret: Annotated[str, typer.Option(envvar="DIANMING_GATEWAY_SECRET")] = "demo-secret",  # noqa: S107 - published
    reports_to: Annotated[
        str | None, typer.Option(help="base URL of the staff API that receives SMS delivery reports")
    ] = None,
    mismatch: Annotated[
        str, typer.Option(help="ID numbers ending in one of these characters match no name, for example 7X")
    ] = "",
    undeliverable: Annotated[
        list[str] | None, typer.Option(help="phone numbers whose messages are reported as failed; repeatable")
    ] = None,
    clock_file: Annotated[
        Path | None, typer.Option(envvar="DIANMING_CLOCK_FILE", help="the demonstration's clock, for reports")
    ] = None,
) -> None:
    """假短信与实名网关（演示用） · FAKE SMS and real-name gateway for demos."""
    if os.environ.get("DIANMING_ENV") == "production":
        exit_with_error(
            "fake_in_production",
            "假网关不能在生产环境运行。 The fake never runs in production.",
            as_json=False,
        )
    gateway = FakeGateway(
        access_key=access_key,
        secret=secret,
        is_id_number=is_id_number,
        report_url=reports_to and f"{reports_to.rstrip('/')}/v1/callbacks/sms-reports/{report_token(secret)}",
        mismatching=mismatch.upper(),
        undeliverable=set(undeliverable or ()),
        carrier_clock=shifted_clock(clock_file) if clock_file else now,
    )
    sys.stderr.write(_BANNER.format(url=f"http://{host}:{port}"))
    uvicorn.run(gateway.app(), host=host, port=port, log_level="warning")

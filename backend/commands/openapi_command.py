"""`dianming openapi`: the OpenAPI document of an API, without a server or a database."""

import json
import sys
from typing import Annotated, Literal

import typer

from backend.app import create_api


def command(
    api: Annotated[Literal["mobile", "staff"], typer.Argument(help="mobile 学生端，staff 管理端")],
) -> None:
    """接口文档（OpenAPI） · Print the OpenAPI document of an API, for generators of clients."""
    json.dump(create_api(api).openapi(), sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")

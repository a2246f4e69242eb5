"""`dianming serve`: both APIs over HTTP."""

import os

import typer
import uvicorn

from backend.app import create_app
from backend.core.logging import configure_logging
from backend.core.open_files import raise_open_files
from backend.core.runtime import open_runtime
from backend.settings import get_settings


def command(
    host: str = typer.Option("127.0.0.1", help="监听地址 · address to listen on"),
    port: int = typer.Option(int(os.environ.get("PORT", "8000")), help="监听端口 · port to listen on"),
) -> None:
    """启动接口服务 · Serve the mobile and the staff API."""
    settings = get_settings()
    configure_logging(as_json=settings.env == "production")
    raise_open_files()
    runtime = open_runtime(settings)
    # Forwarded headers are believed from nobody: a forged X-Forwarded-For changes nothing (THREATS 10).
    uvicorn.run(
        create_app(runtime), host=host, port=port, proxy_headers=False, log_level="warning", loop="auto"
    )

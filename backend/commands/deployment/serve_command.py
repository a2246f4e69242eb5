"""`dianming serve`: serve both APIs over HTTP."""

import os
from pathlib import Path
from typing import Annotated

import typer
from fastapi import FastAPI

from backend.app import create_app
from backend.core.app_context import open_app_context
from backend.core.process.gc_tuning import freeze_startup_objects
from backend.core.process.logging import configure_logging
from backend.core.process.open_files import raise_open_file_limit
from backend.core.web.server import TlsFiles, serve
from backend.settings import get_settings


def application() -> FastAPI:
    """Create the application of one server process."""
    settings = get_settings()
    configure_logging(as_json=settings.env == "production")
    raise_open_file_limit()
    app = create_app(open_app_context(settings))
    freeze_startup_objects()
    return app


def command(
    host: str = typer.Option("127.0.0.1", help="监听地址 · address to listen on"),
    port: int = typer.Option(int(os.environ.get("PORT", "8000")), help="监听端口 · port to listen on"),
    processes: int = typer.Option(
        0, min=0, max=64, help="进程数，0 为按设置 · processes that share the port; 0: from the settings"
    ),
    tls_certificate: Annotated[
        Path | None,
        typer.Option(
            help="证书文件，不经代理直接提供 HTTPS 时使用 · certificate, to serve HTTPS without a proxy"
        ),
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="证书的私钥文件 · key of the certificate")] = None,
) -> None:
    """启动接口服务 · Serve the mobile and the staff API, and the web apps."""
    workers = processes or get_settings().api_processes
    tls = TlsFiles(tls_certificate, tls_key)
    serve(f"{__name__}:{application.__name__}", host, port, workers, tls=tls)

"""`dianming worker`: run background jobs and verification, with face engines in child processes."""

import asyncio

import typer
from sqlalchemy.orm import configure_mappers

from backend.core.app_context import open_app_context
from backend.core.process.gc_tuning import freeze_startup_objects
from backend.core.process.logging import configure_logging
from backend.settings import get_settings
from backend.worker import load_tasks, run_worker


def command(
    concurrency: int = typer.Option(4, min=1, max=64, help="同时处理的任务数 · jobs at a time"),
) -> None:
    """运行后台任务：核验、结算、通知 · Run background jobs: verification, settlement, notices."""

    async def run() -> None:
        settings = get_settings()
        configure_logging(as_json=settings.env == "production")
        app_context = open_app_context(settings)
        load_tasks()
        configure_mappers()  # otherwise the first statement would create these objects after the freeze
        freeze_startup_objects()
        try:
            await run_worker(app_context, concurrency=concurrency)
        finally:
            await app_context.close()

    asyncio.run(run())

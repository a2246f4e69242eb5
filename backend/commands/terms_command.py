"""`dianming terms`: whether every term has its partitions."""

import asyncio
from typing import Annotated

import typer

from backend.commands.output import answer
from backend.core.app_context import open_app_context
from backend.core.tenancy import Scope
from backend.org.partitions import Partition, lacking_partitions, make_partitions
from backend.settings import get_settings

app = typer.Typer(no_args_is_help=True, help="学期 · terms")


@app.command()
def partitions(
    make: Annotated[bool, typer.Option("--make", help="补建缺少的分区 · make what lacks")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """检查各学期的数据分区；缺少时以 1 结束 · Check the partitions of every term; ends with 1 if any lack."""
    found = asyncio.run(_asked(make=make))
    payload = {
        "made" if make else "lacking": [
            {"term_code": partition.term_code, "table": partition.table} for partition in found
        ]
    }
    words = "已建 made" if make else "缺少 lacking"
    answer(
        payload,
        as_json=as_json,
        render=lambda _: (
            "\n".join(f"{words}  {each.term_code}  {each.table}" for each in found) or "齐全 whole"
        ),
    )
    if found and not make:
        raise typer.Exit(1)


async def _asked(*, make: bool) -> list[Partition]:
    app_context = open_app_context(get_settings())
    try:
        async with app_context.database.transaction(Scope.none()) as session:
            return list(await (make_partitions if make else lacking_partitions)(session))
    finally:
        await app_context.close()


@app.callback()
def _group() -> None:
    """学期 · terms."""

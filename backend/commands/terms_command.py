"""`dianming terms`: check and create the table partitions of every term."""

from typing import Annotated

import typer

from backend.commands.context import run_with_context
from backend.commands.output import print_result
from backend.core.app_context import AppContext
from backend.core.tenancy import Scope
from backend.org.partitions import Partition, create_missing_partitions, find_missing_partitions

app = typer.Typer(no_args_is_help=True, help="学期 · terms")


@app.command()
def partitions(
    make: Annotated[bool, typer.Option("--make", help="补建缺少的分区 · create missing partitions")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """检查各学期的数据分区；缺少时以 1 结束 · Check the partitions of every term; exit code 1 if one is missing."""

    async def check(app_context: AppContext) -> list[Partition]:
        async with app_context.database.transaction(Scope.none()) as session:
            return list(await (create_missing_partitions if make else find_missing_partitions)(session))

    missing = run_with_context(check)
    payload = {
        "made" if make else "lacking": [
            {"term_code": partition.term_code, "table": partition.table} for partition in missing
        ]
    }
    label = "已建 made" if make else "缺少 lacking"
    print_result(
        payload,
        as_json=as_json,
        render=lambda _: (
            "\n".join(f"{label}  {each.term_code}  {each.table}" for each in missing) or "齐全 complete"
        ),
    )
    if missing and not make:
        raise typer.Exit(1)


@app.callback()
def _group() -> None:
    """学期 · terms."""

"""`dianming migrate`: upgrade the database to the newest schema. Safe to run at every start."""

import os
import sys
from pathlib import Path

import typer
from alembic import command as alembic_command
from alembic.config import Config

from backend.commands.output import exit_with_error
from backend.core.keys import complete_key_file, create_key_file, missing_purposes
from backend.policy import PolicyInvalid, load_policies
from backend.settings import get_settings


def alembic_config(url: str) -> Config:
    """Alembic's configuration for the database at `url`, the URL of the tables' owner."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[3] / "migrations"))
    config.attributes["url"] = url
    return config


def command(
    to: str = typer.Option("heads", help="目标版本 · target revision"),
    json: bool = typer.Option(False, "--json", help="one JSON object on stdout"),
) -> None:
    """升级数据库结构 · Upgrade the database to the newest schema."""
    url = os.environ.get("DIANMING_OWNER_DATABASE_URL")
    if not url:
        exit_with_error(
            "owner_url_missing", "set DIANMING_OWNER_DATABASE_URL to the owner's database URL", as_json=json
        )
    try:
        load_policies()
    except PolicyInvalid as error:
        exit_with_error(error.code, error.sentence("en"), as_json=json)
    settings = get_settings()
    if not settings.keys_file.exists():
        if settings.env == "production":
            exit_with_error(
                "keys_missing", f"no key file at {settings.keys_file}: run `dianming keys init`", as_json=json
            )
        create_key_file(settings.keys_file)
    missing = missing_purposes(settings.keys_file)
    if missing and settings.env == "production":
        exit_with_error(
            "keys_incomplete",
            f"{settings.keys_file} has no key for {', '.join(missing)}: run `dianming keys complete`",
            as_json=json,
        )
    complete_key_file(settings.keys_file)
    alembic_command.upgrade(alembic_config(url), to)
    sys.stderr.write(f"migrated to {to}\n")

"""The image and the compose file match the code, as far as this can be checked without a container engine."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from backend.cli import SUBCOMMANDS
from backend.devstack.postgres import EXTENSIONS
from backend.devstack.services import drop_database, running_stack
from backend.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text().replace("\\\n", " ")
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
APPLICATION_SERVICES = sorted(name for name, service in SERVICES.items() if "build" in service)
REFERENCE = re.compile(r"\$\{([A-Z_]+)(:\?[^}]+)?\}")


def test_application_services_are_migrate_api_and_worker() -> None:
    assert APPLICATION_SERVICES == ["api", "migrate", "worker"]


@pytest.mark.parametrize("name", APPLICATION_SERVICES)
def test_each_service_runs_an_existing_command(name: str) -> None:
    assert SERVICES[name]["command"][0] in SUBCOMMANDS


@pytest.mark.parametrize("name", APPLICATION_SERVICES)
def test_each_variable_is_a_setting_and_required_ones_are_set(name: str) -> None:
    given = {key.removeprefix("DIANMING_").lower() for key in SERVICES[name]["environment"]}
    needed = {field for field, info in Settings.model_fields.items() if info.is_required()}
    assert given <= set(Settings.model_fields)
    assert needed <= given


def test_only_migrate_connects_as_owner() -> None:
    services_with_owner = {
        name
        for name in APPLICATION_SERVICES
        if "DIANMING_OWNER_DATABASE_URL" in SERVICES[name]["environment"]
    }
    assert services_with_owner == {"migrate"}


def test_every_secret_is_external_and_listed_in_the_example() -> None:
    references = REFERENCE.findall((DOCKER / "compose.yaml").read_text())
    named = set(re.findall(r"^([A-Z_]+)=$", (DOCKER / "env.example").read_text(), re.MULTILINE))
    assert {name for name, _ in references} == named
    assert all(message for _, message in references), (
        "a variable without an error message would silently be empty"
    )


def test_dependencies_volumes_and_secrets_are_declared() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (DOCKER / source).is_file()
        for name, dependency in service.get("depends_on", {}).items():
            if dependency["condition"] == "service_healthy":
                assert "test" in SERVICES[name]["healthcheck"]


def test_every_image_is_pinned_to_a_version() -> None:
    images = [service["image"] for service in SERVICES.values() if "build" not in service]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    images += re.findall(r"--from=(\S+/\S+)", DOCKERFILE)
    assert len(images) == 6
    assert all(re.search(r":\d", image) for image in images)


def test_copied_paths_exist_and_are_allowed_by_the_ignore_file() -> None:
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line[:1] == "!"
    }
    copied = re.findall(r"^COPY (?!--)(.+)$", DOCKERFILE, re.MULTILINE)
    sources = {source for line in copied for source in line.split()[:-1]}
    assert sources == allowed
    assert all((ROOT / source).exists() for source in sources)


def test_image_contains_the_web_apps_where_the_setting_names_them() -> None:
    (directory,) = re.findall(r"^COPY --from=web /src/web/dist (\S+)$", DOCKERFILE, re.MULTILINE)
    assert f"DIANMING_WEB_DIR={directory}" in DOCKERFILE


def test_image_does_not_run_as_root_and_has_a_health_check() -> None:
    last_stage = DOCKERFILE.rsplit("FROM ", 1)[1]
    assert re.search(r"^USER dianming$", last_stage, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK .*/healthz", last_stage, re.MULTILINE)
    assert 'ENTRYPOINT ["dianming"]' in last_stage


def test_database_script_creates_what_the_local_cluster_has() -> None:
    path = DOCKER / "postgres-init.sh"
    checked = subprocess.run(["bash", "-n", str(path)], check=False, capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")
    made = path.read_text()
    assert re.findall(r"^CREATE EXTENSION (\w+);", made, re.MULTILINE) == list(EXTENSIONS)
    for role in ("dianming_owner", "dianming_app"):
        assert re.search(rf"CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE .*NOBYPASSRLS", made)


def test_database_script_runs_on_a_real_server(used_checkout: Path) -> None:
    """Drops the roles first. A quote in a password must not end the SQL statement."""
    with running_stack(used_checkout) as stack:
        drop_database(stack, "dianming")
        psql = [
            str(stack.programs / "psql"),
            "--dbname",
            stack.dsn("postgres", "postgres"),
            "--tuples-only",
            "--no-align",
        ]
        subprocess.run([*psql, "-c", "DROP ROLE dianming_app", "-c", "DROP ROLE dianming_owner"], check=True)
        passwords = {
            "DIANMING_OWNER_PASSWORD": "it's; DROP",
            "DIANMING_APP_PASSWORD": "b",
            "PGHOST": str(stack.sockets),
        }
        subprocess.run(
            ["bash", str(DOCKER / "postgres-init.sh")], check=True, env={**os.environ, **passwords}
        )
        question = (
            "SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolname LIKE 'dianming%'"
        )
        answer = subprocess.run([*psql, "-c", question], check=True, capture_output=True, text=True).stdout
    assert answer.strip() == "dianming_app dianming_owner"

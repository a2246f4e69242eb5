"""The migration that adds match keys fills them for existing classes and students."""

import os
from typing import Any
from uuid import uuid4

import psycopg
from alembic import command
from psycopg import Connection

from backend.commands.deployment.migrate_command import alembic_config
from tests.conftest import SUPERUSER, database_url

BEFORE, AFTER = "0019", "0020"
AT = "2026-09-01T00:00:00+08:00"


def insert_class(connection: Connection[Any], school: object, name: str, minute: int) -> object:
    class_id = uuid4()
    connection.execute(
        "INSERT INTO school_class (id, school_id, name, created_at) VALUES (%s, %s, %s, %s)",
        (class_id, school, name, f"2026-09-01T00:{minute:02}:00+08:00"),
    )
    return class_id


def test_existing_rows_get_their_keys(empty_database_name: str) -> None:
    config = alembic_config(database_url(empty_database_name, "dianming_owner"))
    command.upgrade(config, BEFORE)
    school, other = uuid4(), uuid4()
    with psycopg.connect(os.environ[SUPERUSER], dbname=empty_database_name) as connection:
        for number, unit in enumerate((school, other)):
            code = f"414100000{number}"
            connection.execute(
                "INSERT INTO org_unit (id, kind, code, name, path, created_at) VALUES (%s, 'school', %s, '校', %s, %s)",
                (unit, code, f"p410000.s{code}", AT),
            )
        first = insert_class(connection, school, "２班", 0)
        second = insert_class(connection, school, "2班", 1)
        third = insert_class(connection, other, "2 班", 2)
        student = uuid4()
        connection.execute(
            "INSERT INTO student (id, school_id, class_id, name, sex, birth_date, document_kind, id_number_sealed,"
            " id_number_index, programme, study_form, standing, record, row_digest, created_at, updated_at)"
            " VALUES (%s, %s, %s, '阿卜杜拉•买买提', 'male', '2010-01-01', 'resident_id', '', '', 'regular',"
            " 'full_time', '01', '{}', '', %s, %s)",
            (student, school, second, AT, AT),
        )
    command.upgrade(config, AFTER)
    command.upgrade(config, "heads")
    with psycopg.connect(os.environ[SUPERUSER], dbname=empty_database_name) as connection:
        keys: dict[object, str] = dict(connection.execute("SELECT id, name_key FROM school_class").fetchall())
        assert keys == {first: "2班", second: f"2班/{second}", third: "2班"}
        names = connection.execute("SELECT name, name_key, class_id FROM student").fetchall()
        assert names == [("阿卜杜拉•买买提", "阿卜杜拉·买买提", second)]

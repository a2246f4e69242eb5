"""Output of every command: the result on stdout, messages on stderr, exit code 0 for a result and 2 for bad input."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import typer

from backend.core.errors import DomainError
from backend.core.file_errors import describe_file_error

EXIT_BAD_INPUT = 2


def print_result(payload: dict[str, Any], *, as_json: bool, render: Callable[[dict[str, Any]], str]) -> None:
    """Print the result: one JSON object with --json, else the text of `render`."""
    text = json.dumps(payload, ensure_ascii=False, default=str) if as_json else render(payload)
    sys.stdout.write(text + "\n")


def exit_with_error(code: str, message: str, *, as_json: bool) -> NoReturn:
    """End the command with exit code 2. With --json, print `{"error": {"code", "message"}}` on stdout, else on stderr."""
    if as_json:
        sys.stdout.write(json.dumps({"error": {"code": code, "message": message}}, ensure_ascii=False) + "\n")
    else:
        sys.stderr.write(f"{code}: {message}\n")
    raise typer.Exit(EXIT_BAD_INPUT)


def exit_with_domain_error(error: DomainError, *, as_json: bool) -> NoReturn:
    """End the command with the code and both sentences of an error of the product."""
    exit_with_error(error.code, f"{error.sentence('zh')} {error.sentence('en')}", as_json=as_json)


def exit_with_file_error(
    error: OSError | UnicodeDecodeError, path: Path | str, *, code: str = "file_unusable", as_json: bool
) -> NoReturn:
    """End the command because a file cannot be read or written, with the cause in words."""
    why = describe_file_error(error)
    message = f"无法使用文件 {path}：{why.zh}。Cannot use the file {path}: {why.en}."
    exit_with_error(code, message, as_json=as_json)

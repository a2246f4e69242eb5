"""Sending a row of the matrix, with ids of somebody's choosing."""

from collections.abc import Callable
from typing import Any

from httpx import Response

from tests.support.roll_call.student_phone import burst
from tests.tenancy.fixtures import Client, Company
from tests.tenancy.rows import Made, Of, Row

Pick = Callable[[str], Any]


def own(company: Company, person: str) -> Pick:
    """Ids of the school that everybody of the matrix has in common, and of what is the person's alone."""
    things = company.estates["school"] | company.estates.get(person, {})
    return things.__getitem__


def filled(template: Any, company: Company, pick: Pick) -> Any:
    """The template with ids and made values in place."""
    match template:
        case Of(thing):
            return str(pick(thing))
        case Made(make):
            return make(company)
        case dict():
            return {name: filled(each, company, pick) for name, each in template.items()}
        case list():
            return [filled(each, company, pick) for each in template]
    return template


async def ask(company: Company, person: Client, row: Row, pick: Pick) -> Response:
    """The answer to the row's request."""
    path = row.template.format_map(filled(row.places(), company, pick))
    options: dict[str, Any] = {"params": filled(row.query, company, pick)}
    if row.pictures is not None:
        count = 3 if row.pictures == "shots" else 1
        shots = burst(company.candidate.person, count=count)
        options["files"] = [(row.pictures, (f"{n}.png", shot, "image/png")) for n, shot in enumerate(shots)]
    elif row.content is not None:
        options |= {"content": row.content.make(company), "headers": {"content-type": row.media}}
    elif row.body is not None:
        options["json"] = filled(row.body, company, pick)
    return await person.request(row.method, path, **options)


def fits(status: int, word: str) -> bool:
    """Whether a status is what a word of the matrix says."""
    return any(200 <= status < 300 if each == "ok" else status == int(each) for each in word.split("/"))


def same_answer(one: Response, other: Response) -> bool:
    """Alike byte for byte, except for the address asked for (`instance`)."""
    return _bare(one) == _bare(other)


def _bare(answer: Response) -> tuple[int, dict[str, str], bytes]:
    address = answer.request.url.path.encode()
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return answer.status_code, headers, answer.content.replace(address, b"")

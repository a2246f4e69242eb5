"""Reason texts: advice to try again is given only while the roll call is open."""

import re

import pytest

from backend.roll_call.reason_texts import _SENTENCES, closed_reason, reason

RETRY = re.compile(r"请(?!假)|重试|重新|try again|\btake\b|request new|go inside|move further", re.IGNORECASE)
CODES = [*_SENTENCES, "image_not_a_picture", "a_code_of_a_later_version"]


@pytest.mark.parametrize("code", CODES)
def test_reason_of_a_closed_roll_call_gives_no_advice(code: str) -> None:
    closed = closed_reason(code)
    assert not RETRY.search(closed.zh), closed.zh
    assert not re.search(
        r"try again|request new|go inside|move further|take the|new pictures", closed.en, re.IGNORECASE
    )
    assert closed.zh.endswith("。")
    assert closed.en.endswith(".")
    assert reason(code).zh.startswith(closed.zh.removesuffix("。"))


def test_open_roll_call_says_how_to_answer_the_challenge() -> None:
    assert "请重新获取动作口令" in reason("challenge_unanswered").zh
    assert closed_reason("challenge_unanswered").zh == "未能确认您按要求完成了动作。"

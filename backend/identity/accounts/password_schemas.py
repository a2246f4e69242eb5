"""Wire schema of a change of the own password."""

from typing import Annotated

from pydantic import Field, StringConstraints

from backend.identity.accounts.schemas import Password
from backend.identity.passkeys.schemas import SecondFactorIn


class PasswordChangeIn(SecondFactorIn):
    """The present password, a second factor, and the new password."""

    password: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00]+$")] = Field(
        examples=["春风又绿江南岸-明月何时"]
    )
    new_password: Password = Field(examples=["两个黄鹂鸣翠柳-一行白鹭"])

"""Rendering authenticator resets."""

from typing import Literal, cast

from backend.identity.accounts.authenticator_resets import ResetView
from backend.identity.accounts.schemas import ResetOut
from backend.identity.accounts.staff_accounts import Invitation


def reset_out(view: ResetView, invitation: Invitation | None = None) -> ResetOut:
    """A reset as the API returns it; the code is only in the answer to the approval."""
    reset, decision = view.reset, view.decision
    state = "open" if decision is None else decision.outcome
    return ResetOut(
        id=reset.id,
        account_id=reset.account_id,
        login=view.login,
        display_name=view.display_name,
        reason=reset.reason,
        requested_by=reset.requested_by,
        at=reset.at,
        state=cast("Literal['open', 'approved', 'refused']", state),
        decided_by=None if decision is None else decision.decided_by,
        decided_at=None if decision is None else decision.at,
        activation_code=None if invitation is None else invitation.activation_code,
    )

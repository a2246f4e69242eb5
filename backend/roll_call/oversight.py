"""Old import path of `access`, `reminders` and `voiding`."""

from backend.roll_call.access import access_roll_call, on_launching_side, overseen_classes
from backend.roll_call.reminders import ReminderSent, send_reminder
from backend.roll_call.voiding import void_roll_call

__all__ = [
    "ReminderSent",
    "access_roll_call",
    "on_launching_side",
    "overseen_classes",
    "send_reminder",
    "void_roll_call",
]

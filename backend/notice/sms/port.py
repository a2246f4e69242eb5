"""The port of SMS providers: what sending code may ask of a provider, and the values that cross it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Sms:
    """A text by its registered signature and template. `out_id` is ours and comes back in delivery reports."""

    sign_name: str
    template_code: str
    params: Mapping[str, str]
    out_id: str


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider accepted the messages. The id is None if only the provider's records say so."""

    provider_message_id: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider did not accept the messages.

    `permanent`: trying again cannot help, because the number or the text itself is at fault.
    `affects_one_number`: one number of a batch may be the cause, so the others should be sent on their own.
    """

    code: str
    permanent: bool = False
    affects_one_number: bool = False


SendResult = Sent | Refused


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What became of one message, as the provider reported it. `biz_id` is the provider's own message id."""

    phone_number: str
    send_time: datetime
    report_time: datetime
    success: bool
    err_code: str
    err_msg: str
    sms_size: str
    biz_id: str
    out_id: str


class SmsProvider(Protocol):
    """A provider that sends registered templates."""

    @property
    def max_numbers(self) -> int:
        """The most phone numbers that one `send` takes."""
        ...

    async def send(self, phones: Sequence[str], sms: Sms) -> SendResult:
        """Send one text to all the numbers, or to none. Raises `GatewayUnreachable`: it may have been sent."""
        ...

    async def find_sent(self, phone: str, out_id: str, around: datetime) -> bool:
        """Whether the provider's records of that day hold a message with `out_id` to `phone`.

        Needed after `GatewayUnreachable`, because providers promise no idempotence. Raises `GatewayUnreachable`,
        and `GatewayRefused` if the records cannot be read.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...

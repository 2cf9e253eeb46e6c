"""Commands to a gateway, as the local fleet tells a person about them when they fail."""

from __future__ import annotations

from christmas.brokers.admin import AdminError, CommandName, GatewaySilentError
from christmas.brokers.admin import command as at_gateway
from christmas.execution.protocol import CommandResult
from christmas.fleet.errors import FleetError


async def command(
    address: str, key: bytes, *, broker: str, action: CommandName, strategy: str | None = None, reason: str = ""
) -> CommandResult:
    """Carry out ``action`` at the gateway on ``address``; raises FleetError when it does not answer or refuses."""
    try:
        return await at_gateway(address, key, broker=broker, action=action, strategy=strategy, reason=reason)
    except GatewaySilentError as error:
        raise FleetError(str(error), f"see `christmas logs broker/{broker}`") from error
    except AdminError as error:
        raise FleetError(str(error)) from error

"""``python -m christmas.brokers.gateway SETTINGS.json``: the gateway of one Broker."""

from __future__ import annotations

import sys
from typing import Final

from christmas.brokers.gateway.app import run_gateway
from christmas.brokers.gateway.settings import GatewaySettings
from christmas.telemetry.process import run_process
from christmas.telemetry.settings import load_settings

_USAGE: Final = "usage: python -m christmas.brokers.gateway SETTINGS.json"


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(_USAGE)
    try:
        settings = load_settings(GatewaySettings, sys.argv[1])
    except ValueError as error:
        sys.exit(str(error))
    run_process(settings, run_gateway)


main()

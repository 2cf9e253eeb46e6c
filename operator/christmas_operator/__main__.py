"""``python -m christmas_operator SETTINGS.json``."""

from __future__ import annotations

import sys

from christmas.telemetry.process import run_process
from christmas.telemetry.settings import load_settings
from christmas_operator.main import main as run
from christmas_operator.settings import OperatorSettings


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m christmas_operator SETTINGS.json")
    try:
        settings = load_settings(OperatorSettings, sys.argv[1])
    except ValueError as error:
        sys.exit(f"christmas-operator: {error}")
    run_process(settings, run)


if __name__ == "__main__":
    main()

"""``python -m christmas.runtime SETTINGS.json``"""

from __future__ import annotations

import sys

from christmas.runtime.main import main
from christmas.runtime.settings import RuntimeSettings
from christmas.telemetry.process import run_process
from christmas.telemetry.settings import load_settings

if __name__ == "__main__":
    run_process(load_settings(RuntimeSettings, sys.argv[1]), main)

"""``python -m tests.fuzz --minutes 10``: all targets in turn, each in a process of its own."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="for all targets together")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="only these")
    parser.add_argument("--folder", type=Path, help="where findings and corpora are kept")
    options = parser.parse_args()
    names = options.target or list(TARGETS)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="christmas-fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    seconds = options.minutes * 60 / len(names)
    results = [fuzz(name, seconds, folder) for name in names]
    total = sum(result["executions"] for result in results)
    findings = [result for result in results if result["finding"]]
    sys.stdout.write(f"{total} inputs, {len(findings)} findings; kept in {folder}\n")
    return 1 if findings else 0


def fuzz(name: str, seconds: float, folder: Path) -> dict[str, Any]:
    """Run one target for so long; what it counted and what it found."""
    command = [sys.executable, "-m", "tests.fuzz.one", name, str(seconds), str(folder)]
    log = folder / f"{name}.log"
    try:
        with log.open("wb") as errors:
            done = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=errors, timeout=seconds + 120, check=False, text=True
            )
        lines = [line for line in done.stdout.splitlines() if line.startswith('{"target"')]
        code = done.returncode
    except subprocess.TimeoutExpired:
        lines, code = [], -1
    result: dict[str, Any] = (
        json.loads(lines[0])
        if lines
        else {
            "target": name,
            "engine": "?",
            "executions": 0,
            "slowest_s": 0.0,
            "finding": f"ended with {code}, see {log}",
        }
    )
    mark = f"FOUND {result['finding']}" if result["finding"] else "nothing found"
    sys.stdout.write(
        f"{name:13} {result['engine']:10} {result['executions']:>9} inputs, slowest {result['slowest_s']} s, {mark}\n"
    )
    sys.stdout.flush()
    return result


if __name__ == "__main__":
    sys.exit(main())

"""Fuzz one target: ``python -m tests.fuzz.one NAME SECONDS FOLDER``; its last line on stdout is JSON.

With atheris (coverage-guided) where it is installed, else with Hypothesis's generator of mutated seeds.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any, Final

_INPUT_DEADLINE_S: Final = 5.0
_INSTRUMENTED: Final = ("christmas.resources", "christmas.analysis.rules", "christmas.brokers", "christmas.market")


class Run:
    """Counts, and stops at the first finding."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.executions = 0
        self.slowest_s = 0.0
        self.engine = ""

    def one(self, target: Any, data: bytes) -> None:
        started = time.perf_counter()
        self.executions += 1
        try:
            target.run(data)
        except BaseException as error:
            self.tell(data, f"{type(error).__name__}: {error}")
            raise
        took_s = time.perf_counter() - started
        self.slowest_s = max(self.slowest_s, took_s)
        if took_s > _INPUT_DEADLINE_S:
            self.tell(data, f"took {took_s:.1f} s")
            raise TimeoutError(f"one input took {took_s:.1f} s")

    def tell(self, data: bytes | None, finding: str = "") -> None:
        if data is not None:
            (self.folder / f"{self.name}.finding").write_bytes(data)
        sys.stdout.write(
            json.dumps(
                {
                    "target": self.name,
                    "engine": self.engine,
                    "executions": self.executions,
                    "slowest_s": round(self.slowest_s, 3),
                    "finding": finding[:500],
                }
            )
            + "\n"
        )
        sys.stdout.flush()


def main() -> int:
    name, seconds, folder = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])
    logging.disable(logging.CRITICAL)
    run = Run(name, folder)
    if importlib.util.find_spec("atheris") is not None:
        import atheris  # noqa: PLC0415 - there is no atheris for every platform

        run.engine = "atheris"
        with atheris.instrument_imports(include=list(_INSTRUMENTED)):
            from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - instrumented while it is imported
        return _with_atheris(atheris, run, TARGETS[name], seconds)
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415

    run.engine = "hypothesis"
    return _with_hypothesis(run, TARGETS[name], seconds)


def _with_atheris(atheris: ModuleType, run: Run, target: Any, seconds: float) -> int:
    corpus = run.folder / f"{run.name}.corpus"
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed{number}").write_bytes(seed)
    words = run.folder / f"{run.name}.dict"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words or ("0",)))
    deadline = time.monotonic() + seconds

    def take(data: bytes) -> None:
        run.one(target, data)
        if time.monotonic() > deadline:
            # libFuzzer ends the process itself and would not let us say what we counted.
            run.tell(None)
            sys.stdout.flush()
            import os  # noqa: PLC0415

            os._exit(0)

    atheris.Setup(
        [
            sys.argv[0],
            str(corpus),
            f"-dict={words}",
            f"-timeout={int(_INPUT_DEADLINE_S) * 2}",
            f"-artifact_prefix={run.folder}/",
            "-max_len=4096",
            "-rss_limit_mb=2048",
            "-verbosity=0",
            f"-max_total_time={int(seconds) + 30}",
        ],
        take,
    )
    atheris.Fuzz()
    return 0


def _escaped(word: str) -> str:
    return "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\' else f"\\x{byte:02x}" for byte in word.encode()
    )


def _with_hypothesis(run: Run, target: Any, seconds: float) -> int:
    from tests.fuzz.mutate import mutations  # noqa: PLC0415

    deadline = time.monotonic() + seconds
    for data in mutations(target.seeds, target.words):
        run.one(target, data)
        if time.monotonic() > deadline:
            break
    run.tell(None)
    return 0


if __name__ == "__main__":
    sys.exit(main())

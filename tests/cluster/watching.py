"""Every version that an object had while somebody watched: a state that lasts a moment is seen, too."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.cluster.helm import Namespace
from tests.support.waiting import eventually_sync


class Watch:
    """`kubectl get -w` of one object, in the background."""

    def __init__(self, namespace: Namespace, kind: str, name: str, folder: Path) -> None:
        self._command = ["kubectl", "-n", namespace.name, "get", kind, name, "--watch", "-o", "json"]
        self._file = folder / f"{kind}-{name}.json"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Watch:
        with self._file.open("wb") as file:
            self._process = subprocess.Popen(self._command, stdout=file)
        eventually_sync(self.statuses, within_s=20, what=f"{' '.join(self._command)} shows the object")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def statuses(self) -> list[dict[str, Any]]:
        """From the first one to the newest that is there as a whole."""
        found: list[dict[str, Any]] = []
        text, start = self._file.read_text(encoding="utf-8"), 0
        decoder = json.JSONDecoder()
        while True:
            while start < len(text) and text[start].isspace():
                start += 1
            try:
                shown, start = decoder.raw_decode(text, start)
            except ValueError:
                return found
            found.append(shown.get("status", {}))

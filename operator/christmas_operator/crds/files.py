"""The definitions as files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml

from christmas_operator.crds.definitions import definitions

_HEADER: Final = "# Generated from the models in christmas.resources by `make crds`.\n"


def rendered() -> dict[str, str]:
    """Text by file name; the same models give the same bytes."""
    return {
        name: _HEADER + yaml.safe_dump(definition, sort_keys=False, width=110, allow_unicode=True)
        for name, definition in definitions().items()
    }


def write(folder: Path) -> list[Path]:
    """Raises OSError."""
    folder.mkdir(exist_ok=True)
    written = []
    for name, text in rendered().items():
        (folder / name).write_text(text, encoding="utf-8")
        written.append(folder / name)
    return written

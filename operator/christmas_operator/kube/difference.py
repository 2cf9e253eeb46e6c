"""The first place where an object is not as it was applied, for a person to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def first_difference(wanted: Any, found: Any, path: str = "") -> str | None:
    """The path of a field in ``wanted`` that ``found`` lacks or has otherwise; None: all of it is there.

    Fields that are only in ``found`` are the API server's defaults, or others'. A Secret's content is told
    by its key, never by its value.
    """
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping):
            return path or "."
        for key, value in wanted.items():
            where = f"{path}.{key}" if path else str(key)
            if key not in found:
                if value in ({}, [], None):
                    continue
                return where
            different = first_difference(value, found[key], where)
            if different is not None:
                return different
        return None
    if isinstance(wanted, list | tuple):
        if not isinstance(found, list) or len(wanted) > len(found):
            return path
        named = _by_name(found)
        for index, item in enumerate(wanted):
            name = item.get("name") if isinstance(item, Mapping) else None
            where = f"{path}[{name or index}]"
            other = named.get(name) if name is not None and named else found[index]
            different = first_difference(item, other, where)
            if different is not None:
                return different
        return None
    return None if wanted == found or str(wanted) == str(found) else path


def _by_name(items: list[Any]) -> dict[str, Any]:
    return {item["name"]: item for item in items if isinstance(item, Mapping) and "name" in item}

"""Settings whose secrets lie in files of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from christmas.telemetry.settings import ProcessSettings, load_settings


def settings_file(folder: Path, **fields: object) -> Path:
    path = folder / "settings.json"
    path.write_text(json.dumps({"name": "x", "redis_url": "redis://r"} | fields))
    return path


def test_a_url_may_name_the_file_that_holds_it(tmp_path: Path) -> None:
    secret = tmp_path / "database-url"
    secret.write_text("postgresql://u:p@db/christmas\n")
    settings = load_settings(ProcessSettings, settings_file(tmp_path, database_url=f"file:{secret}"))
    assert settings.database_url == "postgresql://u:p@db/christmas"
    assert settings.redis_url == "redis://r"


@pytest.mark.parametrize("content", [None, "\n"])
def test_a_secret_that_is_missing_or_empty_is_named(tmp_path: Path, content: str | None) -> None:
    secret = tmp_path / "redis-url"
    if content is not None:
        secret.write_text(content)
    with pytest.raises(ValueError, match=r"settings\.json: redis_url: .*redis-url"):
        load_settings(ProcessSettings, settings_file(tmp_path, redis_url=f"file:{secret}"))

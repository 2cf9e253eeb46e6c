"""Logs are machine-readable, and hold no secret."""

from __future__ import annotations

import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from christmas.telemetry.logs import JsonFormatter, TextFormatter, hide_secrets

PERMIT = "eyJzdHJhdGVneSI6ImJ0YyJ9AAAAAAAA.c2lnbmF0dXJlLXNpZ25hdHVyZQ"


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "christmas.test", "levelname": "WARNING", "msg": message})
    vars(made).update(extra)
    return made


def test_a_json_line_carries_the_extra_fields() -> None:
    line = json.loads(JsonFormatter("gateway-paper").format(record("order accepted", client_order_id="x1", lots=3)))
    assert line["process"] == "gateway-paper"
    assert line["message"] == "order accepted"
    assert (line["client_order_id"], line["lots"], line["level"]) == ("x1", 3, "warning")


@pytest.mark.parametrize("formatter", [JsonFormatter("p"), TextFormatter()])
@pytest.mark.parametrize(
    ("message", "extra"),
    [
        ("cannot reach postgresql://christmas:hunter2@db:5432/x", {}),
        ("bad URL", {"url": "redis://:hunter2@127.0.0.1:6379/0"}),
        ("refused", {"permit": "hunter2"}),
        ("refused", {"api_key_value": "hunter2"}),
    ],
)
def test_no_formatter_shows_a_secret(formatter: logging.Formatter, message: str, extra: dict[str, object]) -> None:
    line = formatter.format(record(message, **extra))
    assert "hunter2" not in line
    assert "[hidden]" in line


def test_a_permit_in_a_message_is_hidden() -> None:
    assert PERMIT not in hide_secrets(f"hello with {PERMIT} failed")


def test_an_exception_is_part_of_the_line_and_without_its_password() -> None:
    try:
        raise ValueError("postgresql://u:hunter2@h/db is down")
    except ValueError:
        failed = record("failed", exc_info=sys.exc_info())
    line = json.loads(JsonFormatter("p").format(failed))
    assert "ValueError" in line["exception"]
    assert "hunter2" not in line["exception"]


@given(st.text())
def test_text_without_a_secret_stays_as_it_is(text: str) -> None:
    if "://" not in text and "eyJ" not in text:
        assert hide_secrets(text) == text

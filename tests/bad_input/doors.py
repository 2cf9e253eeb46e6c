"""How each section's input is given, as its user would, and what comes back: an exit code and words."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple
from unittest import mock

from christmas.brokers.feeds.error import FeedError
from christmas.brokers.feeds.replay import ReplayFeed
from christmas.cli.main import main
from christmas.market.instrument import Instrument

INSTRUMENT: Final = Instrument(symbol="BTC/USDT", price_increment=Decimal("0.01"), lot_size=Decimal("0.00001"))
STATE: Final = "state"
_ENDS_WITHIN_S: Final = 20


class Answer(NamedTuple):
    code: int
    message: str


@contextlib.contextmanager
def within(folder: Path) -> Iterator[None]:
    """Work in a folder, with a state folder of its own, as a shell does."""
    with contextlib.chdir(folder), mock.patch.dict(os.environ, {"CHRISTMAS_STATE": str(folder / STATE)}):
        yield


def christmas(folder: Path, arguments: Sequence[str]) -> Answer:
    """The command line, in this process: a new one for each case would take minutes."""
    out, errors = io.StringIO(), io.StringIO()
    code: object = 0
    with (
        within(folder),
        mock.patch.object(sys, "argv", ["christmas", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
    # Names are told in full; the folder is another each time.
    return Answer(code if isinstance(code, int) else 0, errors.getvalue().strip().replace(f"{folder}/", ""))


def manifest(folder: Path, text: str) -> Answer:
    (folder / "fleet.yaml").write_text(text, encoding="utf-8")
    return christmas(folder, ("apply", "--dry-run", "-f", "fleet.yaml"))


class Played(NamedTuple):
    prints: int
    message: str


def data_file(folder: Path, content: bytes) -> Played:
    """The replay feed's end, and how many prints it handed over before."""
    (folder / "data").write_bytes(content)
    return asyncio.run(_play(folder))


async def _play(folder: Path) -> Played:
    prints = 0
    with contextlib.chdir(folder):
        try:
            feed = ReplayFeed(
                [Path("data")], speed="max", symbol=INSTRUMENT.symbol, known={INSTRUMENT.symbol: INSTRUMENT}
            )
            async with asyncio.timeout(_ENDS_WITHIN_S):
                async for batch in feed.batches():
                    prints += len(batch)
        except FeedError as error:
            return Played(prints, str(error))
    return Played(prints, "")


def settings_file(folder: Path, content: bytes | tuple[str, ...]) -> Answer:
    if isinstance(content, bytes):
        (folder / "settings.json").write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", "christmas.brokers.gateway", "settings.json"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_ENDS_WITHIN_S,
        check=False,
    )
    return Answer(done.returncode, done.stderr.strip())

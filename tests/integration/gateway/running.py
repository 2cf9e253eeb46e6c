"""A real gateway process for tests."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from decimal import Decimal
from pathlib import Path

import msgspec

from christmas.brokers.gateway.settings import GatewaySettings, ReplayOverride
from christmas.brokers.permit import Limits, Permit, issue
from christmas.execution.order import OrderIntent, client_order_id
from christmas.resources.broker import (
    Broker,
    BrokerSpec,
    FeedSpec,
    InstrumentSpec,
    PaperSpec,
    SyntheticFeed,
)
from christmas.resources.meta import Metadata
from christmas.telemetry.settings import ProcessStatus
from tests.support.waiting import eventually

KEY = b"k" * 32
SYMBOL = "BTC/USDT"


def broker(*, feed: FeedSpec | None = None, paper: PaperSpec | None = None, lot_size: str = "0.00001") -> Broker:
    return Broker(
        metadata=Metadata(name="paper"),
        spec=BrokerSpec(
            instruments=(
                InstrumentSpec(symbol=SYMBOL, price_increment="0.01", lot_size=lot_size, minimum_notional="5"),
            ),
            feed=feed or FeedSpec(synthetic=SyntheticFeed(ticks_per_second=40.0)),
            paper=paper or PaperSpec(),
        ),
    )


def limits(**changes: object) -> Limits:
    return msgspec.structs.replace(
        Limits(
            symbols=(SYMBOL,),
            amount=Decimal(10_000),
            per_trade=Decimal(1_000),
            max_positions=5,
            max_orders_per_minute=60,
            max_open_orders=20,
            price_collar=Decimal("0.05"),
            stale_after_us=10_000_000,
        ),
        **changes,
    )


def raw_permit(strategy: str = "scalper", **changes: object) -> Permit:
    now_us = time.time_ns() // 1000
    return msgspec.structs.replace(
        Permit(
            strategy=strategy,
            strategy_uid=f"uid-{strategy}",
            broker="paper",
            epoch=1,
            issued_us=now_us,
            expires_us=now_us + 3_600_000_000,
            limits=limits(),
        ),
        **changes,
    )


def permit(strategy: str = "scalper", **changes: object) -> str:
    return issue(raw_permit(strategy, **changes), KEY)


class Running:
    """``python -m christmas.brokers.gateway`` in a folder of its own."""

    def __init__(self, folder: Path, redis_url: str, manifest: Broker, **settings: object) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.address = f"unix:{folder}/g.sock"
        key_file = folder / "permit.key"
        key_file.write_bytes(KEY)
        self.status_file = folder / "status.json"
        self.settings_file = folder / "settings.json"
        self.settings_file.write_bytes(
            msgspec.json.encode(
                GatewaySettings(
                    name="gateway-paper",
                    redis_url=redis_url,
                    broker=manifest,
                    listen=self.address,
                    state_directory=str(self.state),
                    permit_key_file=str(key_file),
                    status_file=str(self.status_file),
                    **settings,  # type: ignore[arg-type]
                )
            )
        )
        self.log = folder / "gateway.log"
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self.status_file.unlink(missing_ok=True)
        self._spawn()
        await eventually(self._is_listening, within_s=20.0, what=f"the gateway listens, see {self.log}")

    def _spawn(self) -> None:
        Path(self.address.removeprefix("unix:")).unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "christmas.brokers.gateway", str(self.settings_file)], stdout=log, stderr=log
            )

    def _is_listening(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        return self.status_file.exists() and Path(self.address.removeprefix("unix:")).exists()

    async def ready(self) -> None:
        await eventually(lambda: asyncio.to_thread(self._is_ready), within_s=20.0, what="/readyz")

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(self.url("/readyz"), timeout=2) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False

    def url(self, path: str) -> str:
        status = msgspec.json.decode(self.status_file.read_bytes(), type=ProcessStatus)
        return f"http://127.0.0.1:{status.http_port}{path}"

    async def not_ready(self) -> str:
        """Why, as soon as it has a reason."""
        return await eventually(lambda: asyncio.to_thread(self._not_ready), within_s=20.0, what="a reason at /readyz")

    def _not_ready(self) -> str:
        try:
            with urllib.request.urlopen(self.url("/readyz"), timeout=2):  # noqa: S310
                return ""
        except urllib.error.HTTPError as error:
            return error.read().decode().strip()
        except OSError:
            return ""

    async def metrics(self) -> dict[str, float]:
        """Samples by their name and labels."""
        text = await asyncio.to_thread(self._fetch_metrics)
        lines = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    def _fetch_metrics(self) -> str:
        with urllib.request.urlopen(self.url("/metrics"), timeout=5) as answer:  # noqa: S310
            return bytes(answer.read()).decode()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=10)

    async def wait_exit(self, within_s: float = 60.0) -> int:
        assert self.process is not None
        process = self.process
        code = await eventually(lambda: (process.poll() is not None) and [process.returncode], within_s=within_s)
        assert isinstance(code, list)
        return int(code[0])

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(timeout=10)


def replay(path: Path, *, speed: str = "max") -> ReplayOverride:
    return ReplayOverride(files=(str(path),), speed=speed, symbol=SYMBOL, until_end=True)


def buy(decided_us: int, *, number: int = 1, lots: int = 100, price: Decimal | None = None) -> OrderIntent:
    key = client_order_id("uid-scalper", decided_us, "buy", number)
    return OrderIntent(
        client_order_id=key,
        symbol=SYMBOL,
        side="buy",
        type="limit" if price is not None else "market",
        price=price,
        lots=lots,
        purpose="entry",
        position_id=key,
        decided_us=decided_us,
        reason="a test",
    )


def sell(decided_us: int, of: OrderIntent, *, price: Decimal) -> OrderIntent:
    """A limit that offers all that ``of`` bought."""
    return msgspec.structs.replace(
        of,
        client_order_id=client_order_id("uid-scalper", decided_us, "sell", 1),
        side="sell",
        type="limit",
        price=price,
        purpose="exit",
        position_id=of.position_id,
        decided_us=decided_us,
    )

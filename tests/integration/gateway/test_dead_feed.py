"""A gateway whose exchange goes silent, with its connection open or closed: who is told, and what waits."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Literal

import msgspec
import pytest
import redis.asyncio as redis_asyncio

from christmas.brokers.admin import Exposure
from christmas.execution.order import OrderReport, OrderStatus
from christmas.execution.protocol import Command, CommandResult, TradingState
from christmas.resources.broker import ExchangeFeed, FeedSpec
from christmas.telemetry.events import AlertEvent, Event, events_key
from tests.integration.feeds.binance import BinanceStandIn
from tests.integration.gateway.client import Client, command
from tests.integration.gateway.conftest import MakeGateway
from tests.integration.gateway.running import broker, buy, permit, sell
from tests.support.waiting import eventually


async def alerts(client: redis_asyncio.Redis) -> list[AlertEvent]:
    decoder = msgspec.json.Decoder(Event)
    found = [decoder.decode(fields[b"e"]) for _, fields in await client.xrange(events_key())]
    return [event for event in found if isinstance(event, AlertEvent) and event.reason in {"FeedSilent", "FeedBack"}]


async def trading_states(client: Client, count: int) -> list[TradingState]:
    def found() -> list[TradingState]:
        return [frame for frame in client.frames if isinstance(frame, TradingState)]

    await eventually(lambda: len(found()) >= count, what=f"{count} words on trading")
    return found()


@pytest.mark.parametrize("how", ["silent", "closed"])
async def test_a_dead_feed_is_told_and_holds_entries_until_it_is_back(
    how: Literal["silent", "closed"], gateway: MakeGateway, redis_client: redis_asyncio.Redis
) -> None:
    async with BinanceStandIn().running() as exchange:
        feed = ExchangeFeed(exchange="binanceusdm", urls=exchange.urls, silent_after="3s")
        running = gateway(manifest=broker(feed=FeedSpec(exchange=feed), lot_size="0.001"))
        await running.start()
        client = Client()
        await client.connect(running.address, permit())
        await client.wait_trading()
        await running.ready()

        def done(key: str, *statuses: OrderStatus) -> asyncio.Task[OrderReport]:
            return asyncio.create_task(
                client.wait_report(lambda report: report.client_order_id == key and report.status in statuses)
            )

        async def clock_us() -> int:
            return int((await running.metrics())["christmas_gateway_market_time_seconds"] * 1e6)

        first = buy(await clock_us(), lots=10)
        client.submit(first)
        await done(first.client_order_id, OrderStatus.FILLED)
        assert (await running.metrics())["christmas_gateway_feed_silent_seconds"] == 0
        assert await alerts(redis_client) == []
        client.frames.clear()

        if how == "silent":
            exchange.speaks = False
        else:
            exchange.refuses = True
            exchange.drop()
        state = (await trading_states(client, 1))[0]
        assert not state.enabled
        assert state.reason.startswith("feed silent since ")
        assert " UTC" in state.reason
        reason = await running.not_ready()
        assert reason.startswith("feed silent since ")
        assert (await running.metrics())["christmas_gateway_feed_silent_seconds"] >= 3
        answer = await command(running.address, Command(permit=permit(role="admin"), action="exposure"))
        assert isinstance(answer, CommandResult)
        exposure = msgspec.json.decode(answer.message, type=Exposure)
        assert (exposure.blocked, (exposure.feed_silent or "")[:17]) == (None, "feed silent since")

        entry, leave = buy(await clock_us(), number=2, lots=10), sell(await clock_us(), first, price=Decimal(70_000))
        client.submit(entry)
        denied = await done(entry.client_order_id, OrderStatus.DENIED)
        assert denied.reason.startswith("StaleMarketData: feed silent since ")
        client.submit(leave)
        await done(leave.client_order_id, OrderStatus.ACCEPTED)

        exchange.speaks, exchange.refuses = True, False
        await eventually(lambda: _is_trading(client), what="entries are taken again")
        await running.ready()
        assert (await running.metrics())["christmas_gateway_feed_silent_seconds"] == 0
        again = buy(await clock_us(), number=3, lots=10)
        client.submit(again)
        await done(again.client_order_id, OrderStatus.FILLED)
        told = await eventually(lambda: _as_many(redis_client, 2), what="both events")
        assert [(alert.reason, alert.severity) for alert in told] == [("FeedSilent", "warning"), ("FeedBack", "info")]
        assert told[0].message.startswith("feed silent since ")
        assert told[0].time_us < told[1].time_us
        await client.close()


def _is_trading(client: Client) -> bool:
    states = [frame for frame in client.frames if isinstance(frame, TradingState)]
    return states[-1].enabled


async def _as_many(client: redis_asyncio.Redis, count: int) -> list[AlertEvent]:
    found = await alerts(client)
    return found if len(found) >= count else []


async def test_an_exchange_that_never_spoke_holds_entries_from_the_start(gateway: MakeGateway) -> None:
    async with BinanceStandIn(speaks=False).running() as exchange:
        feed = ExchangeFeed(exchange="binanceusdm", urls=exchange.urls, silent_after="2s")
        running = gateway(manifest=broker(feed=FeedSpec(exchange=feed), lot_size="0.001"))
        await running.start()
        client = Client()
        await client.connect(running.address, permit())
        welcome = await client.welcome()
        assert not welcome.trading_enabled
        states = await trading_states(client, 1)
        assert not any(state.enabled for state in states)
        assert (await running.not_ready()).startswith("feed silent since ")
        await client.close()


async def test_a_market_of_the_gateways_own_is_never_silent(gateway: MakeGateway) -> None:
    running = gateway()
    await running.start()
    await running.ready()
    assert (await running.metrics())["christmas_gateway_feed_silent_seconds"] == 0

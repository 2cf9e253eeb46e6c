"""From manifests to the processes that they ask for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from christmas.fleet.adopt import digest_of
from christmas.fleet.decide import Key, Want
from christmas.resources.broker import Broker
from christmas.resources.strategy import Strategy

RECORDER: Final = Key("recorder", "recorder")
REDIS: Final = Key("store", "valkey")
DATABASE: Final = Key("store", "postgres")


def gateway(broker: str) -> Key:
    return Key("gateway", broker)


def runtime(strategy: str) -> Key:
    return Key("runtime", strategy)


def wants_of(
    strategies: Iterable[Strategy],
    brokers: Sequence[Broker],
    *,
    stores: Sequence[Key],
    deleting: frozenset[str] = frozenset(),
) -> list[Want]:
    """``stores``: the embedded ones. ``deleting``: strategies that are to be wound down and forgotten.

    The order is that of starting. Runtimes need no database, and gateways need only Redis: what only
    watches is not on the trading path.
    """
    redis = tuple(key for key in stores if key == REDIS)
    wants = [Want(key=key, digest="embedded") for key in stores]
    wants.append(
        Want(
            key=RECORDER,
            digest=digest_of([(broker.metadata.name, broker.spec.instruments) for broker in brokers]),
            needs=tuple(stores),
        )
    )
    for broker in brokers:
        digest = digest_of((broker.metadata.name, broker.spec))
        wants.append(Want(key=gateway(broker.metadata.name), digest=digest, needs=redis))
    known = {broker.metadata.name for broker in brokers}
    for strategy in strategies:
        spec, name = strategy.spec, strategy.metadata.name
        forget = name in deleting
        wants.append(
            Want(
                key=runtime(name),
                digest=strategy_digest(strategy),
                run=spec.state == "Running" and not forget,
                needs=(gateway(spec.broker_ref.name),),
                update=spec.update_policy,
                # What cannot be wound down at a gateway that no manifest asks for must not wait for it.
                on_stop=spec.on_suspend if spec.broker_ref.name in known else "KeepOrders",
                forget=forget,
            )
        )
    return wants


def strategy_digest(strategy: Strategy) -> str:
    """Of all that a runtime is started with; how it is stopped or replaced is no reason to restart it."""
    spec = msgspec.structs.replace(strategy.spec, state="Running", update_policy="WhenFlat", on_suspend="CancelOrders")
    return digest_of((strategy.metadata.uid, strategy.metadata.name, spec))

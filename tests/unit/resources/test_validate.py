from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from christmas.resources.broker import (
    Broker,
    BrokerSpec,
    FeedSpec,
    InstrumentSpec,
    ReplayFeed,
    SecretRef,
    SyntheticFeed,
)
from christmas.resources.meta import Metadata, cpu_cores, memory_bytes
from christmas.resources.problem import Finding, path_text
from christmas.resources.strategy import BrokerRef, Builtin, Capital, Code, Exit, Rules, Strategy, StrategySpec
from christmas.resources.validate import RuleFault, validate

INSTRUMENT = InstrumentSpec(symbol="BTC/USDT", price_increment="0.01", lot_size="0.00001", minimum_notional="5")
BROKER = Broker(metadata=Metadata(name="paper"), spec=BrokerSpec(instruments=(INSTRUMENT,)))
STRATEGY = Strategy(
    metadata=Metadata(name="scalper"),
    spec=StrategySpec(
        broker_ref=BrokerRef(name="paper"),
        symbols=("BTC/USDT",),
        rules=Rules(entry="ok"),
        capital=Capital(amount="1000", per_trade="100"),
    ),
)


def no_fault(_text: str, _role: str) -> list[RuleFault]:
    return []


def with_spec(**changes: object) -> Strategy:
    return msgspec.structs.replace(STRATEGY, spec=msgspec.structs.replace(STRATEGY.spec, **changes))


def broker_with(**changes: object) -> Broker:
    return msgspec.structs.replace(BROKER, spec=msgspec.structs.replace(BROKER.spec, **changes))


def findings(strategy: Strategy) -> list[Finding]:
    return validate([strategy], known=[BROKER], check_rule=no_fault)


def paths(found: list[Finding]) -> list[str]:
    return [path_text(finding.path) for finding in found]


def test_what_is_right_has_no_findings() -> None:
    assert validate([STRATEGY, BROKER], check_rule=no_fault) == []


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"rules": None}, "spec"),
        ({"builtin": Builtin(name="rsi-macd-bollinger")}, "spec.builtin"),
        ({"symbols": ("BTC/USDT", "BTC/USDT")}, "spec.symbols[1]"),
        ({"symbols": ("ETH/USDT",)}, "spec.symbols[0]"),
        ({"broker_ref": BrokerRef(name="papr")}, "spec.brokerRef.name"),
        ({"timeframe": "1500ms"}, "spec.timeframe"),
        ({"capital": Capital(amount="100", per_trade="101")}, "spec.capital.perTrade"),
        ({"capital": Capital(amount="100", per_trade="0")}, "spec.capital.perTrade"),
        ({"capital": Capital(amount="100", per_trade="4")}, "spec.capital.perTrade"),
        ({"exit": Exit(policy="StopLoss")}, "spec.exit"),
        ({"exit": Exit(policy="Trailing", stop_loss="1%")}, "spec.exit"),
        ({"exit": Exit(policy="NoLoss", stop_loss="1%")}, "spec.exit.stopLoss"),
        ({"exit": Exit(policy="StopLoss", stop_loss="1%", trailing_distance="1%")}, "spec.exit.trailingDistance"),
        ({"exit": Exit(policy="StopLoss", stop_loss="100%")}, "spec.exit.stopLoss"),
        ({"rules": None, "code": Code(class_="Mine")}, "spec.code"),
        ({"rules": None, "code": Code(class_="Mine", source="x = 1", module="m")}, "spec.code"),
    ],
)
def test_what_is_wrong_is_found_where_it_is(changes: dict[str, object], path: str) -> None:
    found = findings(with_spec(**changes))
    assert path in paths(found)
    assert all(finding.severity == "error" and (finding.mend or finding.what) for finding in found)


def test_positions_beyond_the_capital_are_a_warning() -> None:
    (finding,) = findings(with_spec(capital=Capital(amount="1000", per_trade="300", max_positions=5)))
    assert finding.severity == "warning"
    assert "3 at once" in finding.mend


def test_rule_faults_keep_their_offset_and_role() -> None:
    asked = []

    def check(text: str, role: str) -> list[RuleFault]:
        asked.append((text, role))
        return [RuleFault(what="no", offset=3)] if role == "exit" else []

    strategy = with_spec(rules=Rules(entry="a", exit="b"))
    (finding,) = validate([strategy], known=[BROKER], check_rule=check)
    assert asked == [("a", "entry"), ("b", "exit")]
    assert (path_text(finding.path), finding.offset) == ("spec.rules.exit", 3)


def test_builtin_parameters_are_judged_by_who_knows_them() -> None:
    def check(name: str, parameters: Mapping[str, object]) -> dict[str, str]:
        return dict.fromkeys(parameters, f"{name} has none")

    strategy = with_spec(rules=None, builtin=Builtin(name="rsi-macd-bollinger", parameters={"rs": 1}))
    (finding,) = validate([strategy], known=[BROKER], check_rule=no_fault, check_builtin=check)
    assert path_text(finding.path) == "spec.builtin.parameters.rs"


@pytest.mark.parametrize(
    ("broker", "path"),
    [
        (broker_with(type="ccxt", credentials_secret_ref=SecretRef(name="keys")), "spec.type"),
        (broker_with(type="kis"), "spec"),
        (
            broker_with(feed=FeedSpec(synthetic=SyntheticFeed(), replay=ReplayFeed(files=("x",)))),
            "spec.feed.synthetic",
        ),
        (broker_with(instruments=(INSTRUMENT, INSTRUMENT)), "spec.instruments[1].symbol"),
        (
            broker_with(instruments=(msgspec.structs.replace(INSTRUMENT, price_increment="0"),)),
            "spec.instruments[0].priceIncrement",
        ),
        (broker_with(feed=FeedSpec(replay=ReplayFeed(files=("x",), symbol="ETH/USDT"))), "spec.feed.replay.symbol"),
    ],
)
def test_what_is_wrong_with_a_broker(broker: Broker, path: str) -> None:
    found = validate([broker], check_rule=no_fault)
    assert path in paths(found)


def test_only_paper_is_traded_and_the_message_says_so() -> None:
    ccxt = broker_with(type="ccxt", credentials_secret_ref=SecretRef(name="keys"))
    (finding,) = validate([ccxt], check_rule=no_fault)
    assert "paper only" in finding.what
    assert finding.severity == "error"


def test_quantities() -> None:
    assert memory_bytes("128Mi") == 134_217_728
    assert str(cpu_cores("500m")) == "0.5"
    assert str(cpu_cores("2")) == "2"

"""Manifests that are wrong, and what is said of them: by the API server, or by the operator where only it can know.

``words`` are in the message of the local mode; the API server's message has the same, or ``server`` where the
structure itself is wrong and the API server has words of its own.
"""

from __future__ import annotations

import copy
from typing import Any, Final, Literal, NamedTuple

import yaml

from tests.unit.resources.manifests import BROKER, STRATEGY

_GONE: Final = object()


class Wrong(NamedTuple):
    what: str
    kind: Literal["Strategy", "Broker"]
    changes: dict[str, Any]
    """By dotted path: the value there, or _GONE."""
    words: str
    server: str = ""
    by: Literal["api", "condition"] = "api"

    def manifest(self) -> dict[str, Any]:
        return changed(self.kind, self.changes)


def changed(kind: str, changes: dict[str, Any]) -> dict[str, Any]:
    """The right manifest of the kind with these changes."""
    made: dict[str, Any] = copy.deepcopy(yaml.safe_load(STRATEGY if kind == "Strategy" else BROKER))
    for path, value in changes.items():
        *parents, last = path.split(".")
        place: Any = made
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
        if value is _GONE:
            del place[last]
        else:
            place[last] = value
    return made


_SOURCE: Final = "class A:\n    pass\n"
_NO_RULES: Final = {"spec.rules": _GONE}
_HOURS: Final = "spec.instruments.0"


def _strategy(what: str, changes: dict[str, Any], words: str, server: str = "") -> Wrong:
    return Wrong(what, "Strategy", changes, words, server)


def _broker(what: str, changes: dict[str, Any], words: str, server: str = "") -> Wrong:
    return Wrong(what, "Broker", changes, words, server)


_INSTRUMENT: Final = {"symbol": "BTC/USDT", "priceIncrement": "0.01", "lotSize": "0.001"}

WRONG: Final[tuple[Wrong, ...]] = (
    _strategy("no source", _NO_RULES, "nothing says what to trade on (add exactly one of rules, builtin and code)"),
    _strategy(
        "two sources",
        {"spec.builtin": {"name": "rsi-macd-bollinger"}},
        "rules and builtin exclude each other (keep exactly one of them)",
    ),
    _strategy(
        "rules and code",
        {"spec.code": {"source": _SOURCE, "class": "A"}},
        "rules and code exclude each other (keep exactly one of them)",
    ),
    _strategy(
        "code without code", {**_NO_RULES, "spec.code": {"class": "A"}}, "no code is named (give exactly one of file,"
    ),
    _strategy(
        "code twice",
        {**_NO_RULES, "spec.code": {"class": "A", "source": _SOURCE, "module": "a"}},
        "source and module exclude each other (give exactly one of file, source and module)",
    ),
    _strategy(
        "no class name",
        {**_NO_RULES, "spec.code": {"class": "1A", "source": _SOURCE}},
        "'1A' does not fit (The name of a class in the code)",
    ),
    _strategy(
        "a name too long",
        {"metadata.name": "a" * 41},
        f"'{'a' * 41}' does not fit (A DNS label of at most 40 characters)",
    ),
    _strategy("a symbol twice", {"spec.symbols": ["BTC/USDT", "BTC/USDT"]}, "BTC/USDT is there twice (keep one)"),
    _strategy("two currencies", {"spec.symbols": ["BTC/USDT", "ETH/EUR"]}, "symbols of different quote currencies"),
    _strategy("a symbol in small letters", {"spec.symbols": ["btc/usdt"]}, "'btc/usdt' does not fit (For example BTC"),
    _strategy("no symbol", {"spec.symbols": []}, "0 entries are too few", "spec.symbols"),
    _strategy(
        "a timeframe in words", {"spec.timeframe": "5 seconds"}, "'5 seconds' does not fit (A span of time: 500ms, 5s"
    ),
    _strategy("half a second", {"spec.timeframe": "500ms"}, "500ms is not a whole number of seconds (for example 5s)"),
    _strategy("an amount in words", {"spec.capital.amount": "1k USDT"}, "'1k USDT' does not fit (A decimal number as"),
    _strategy(
        "more per trade than there is",
        {"spec.capital.perTrade": "1000.01"},
        "perTrade 1000.01 is more than amount 1000 (lower it, or raise amount)",
    ),
    _strategy("a trade of nothing", {"spec.capital.perTrade": "0.00"}, "a trade of nothing (say how much of the"),
    _strategy("a negative amount", {"spec.capital.amount": "-5"}, "'-5' does not fit (A decimal number as text"),
    _strategy("no position allowed", {"spec.capital.maxPositions": 0}, "0 is too small", "greater than or equal to 1"),
    _strategy(
        "StopLoss without one",
        {"spec.exit": {"policy": "StopLoss"}},
        'StopLoss needs stopLoss (add stopLoss, for example "1%")',
    ),
    _strategy(
        "Trailing without a distance",
        {"spec.exit": {"policy": "Trailing", "stopLoss": "1%"}},
        'Trailing needs trailingDistance (add trailingDistance, for example "0.3%")',
    ),
    _strategy(
        "NoLoss with a stop",
        {"spec.exit": {"stopLoss": "1%"}},
        "NoLoss never closes below break-even, stopLoss closes there (remove it, or choose policy: StopLoss)",
    ),
    _strategy(
        "StopLoss that trails",
        {"spec.exit": {"policy": "StopLoss", "stopLoss": "1%", "trailingDistance": "1%"}},
        "StopLoss does not trail (remove it, or choose policy: Trailing)",
    ),
    _strategy(
        "a stop beyond everything",
        {"spec.exit": {"policy": "StopLoss", "stopLoss": "100%"}},
        "100% is not between 0% and 100%",
    ),
    _strategy("a percentage without %", {"spec.exit": {"minimumProfit": "0.05"}}, "'0.05' does not fit (A percentage"),
    _strategy(
        "a policy that is not there", {"spec.exit": {"policy": "NoLos"}}, "'NoLos' is not one of NoLoss", '"NoLos"'
    ),
    _strategy("a state that is not there", {"spec.state": "Paused"}, "'Paused' is not one of Running", '"Paused"'),
    _strategy("a field that is not there", {"spec.leverage": 5}, "unknown field", 'unknown field "spec.leverage"'),
    _strategy("no broker", {"spec.brokerRef": _GONE}, "brokerRef is missing", "spec.brokerRef: Required value"),
    _strategy(
        "a number for a text",
        {"spec.capital.amount": 1000},
        "a text is wanted, not the number 1000",
        'spec.capital.amount: Invalid value: "integer"',
    ),
    _strategy(
        "less memory than it takes",
        {"spec.resources": {"limits": {"memory": "32Mi"}}},
        "a runtime takes up to 45Mi, the limit is 32Mi (it would be killed when it starts: allow 64Mi or more)",
    ),
    _strategy(
        "memory without a unit", {"spec.resources": {"limits": {"memory": "128"}}}, "'128' does not fit (An amount of"
    ),
    _strategy("environment of nothing", {"spec.envFrom": [{}]}, "names nothing (give exactly one of secretRef and"),
    _strategy("an image with a space", {"spec.image": "my image"}, "'my image' does not fit (A container image, best"),
    _strategy(
        "more asked for than allowed",
        {"spec.resources": {"limits": {"cpu": "10m"}}},
        "requests.cpu 20m is more than limits.cpu 10m (lower the request, or raise the limit)",
    ),
    _strategy(
        "a toleration of nothing",
        {"spec.tolerations": [{"value": "trading"}]},
        "there is no key (add it, or write operator: Exists, which tolerates every taint)",
    ),
    _strategy(
        "a toleration for a while of what is not for a while",
        {"spec.tolerations": [{"key": "trading", "tolerationSeconds": 30}]},
        "tolerationSeconds is for effect: NoExecute alone (write that, or remove it)",
    ),
    _strategy(
        "a node's label with spaces",
        {"spec.nodeSelector": {"disk": "very fast"}},
        "'very fast' does not fit (The value of a label or taint: at most 63",
    ),
    _broker(
        "a live account",
        {"spec.type": "ccxt", "spec.credentialsSecretRef": {"name": "keys"}},
        "this version trades on paper only, ccxt accounts cannot be traded yet (use type: paper; feed.exchange takes",
    ),
    _broker("a live account without keys", {"spec.type": "kis"}, "a kis Broker needs credentialsSecretRef (name the"),
    _broker(
        "two feeds",
        {"spec.feed": {"synthetic": {}, "exchange": {"exchange": "binance"}}},
        "synthetic and exchange exclude each other (keep exactly one feed)",
    ),
    _broker("an instrument twice", {"spec.instruments": [_INSTRUMENT, _INSTRUMENT]}, "is there twice (keep one)"),
    _broker(
        "no price increment", {"spec.instruments.0.priceIncrement": "0"}, "must be more than 0 (as the venue publishes"
    ),
    _broker(
        "no lot that fits",
        {"spec.instruments.0.minimumLots": 5, "spec.instruments.0.maximumLots": 4},
        "maximumLots is below minimumLots",
    ),
    _broker(
        "a session past midnight",
        {
            "spec.instruments.0.tradingHours": {
                "timezone": "Asia/Seoul",
                "sessions": [{"opens": "22:00", "closes": "02:00"}],
            }
        },
        "closes at 02:00, before it opens at 22:00 (split a session that passes midnight)",
    ),
    _broker(
        "more than there is",
        {"spec.paper": {"participation": "101%"}},
        "101% of a print's volume cannot be taken (more than 0%, at most 100%)",
    ),
    _broker(
        "more memory asked for than allowed",
        {"spec.resources": {"requests": {"memory": "1Gi"}}},
        "requests.memory 1Gi is more than limits.memory 128Mi (lower the request, or raise the limit)",
    ),
    _broker(
        "a value where none is looked at",
        {"spec.tolerations": [{"key": "trading", "operator": "Exists", "value": "yes"}]},
        "Exists does not look at a value (remove it, or write operator: Equal)",
    ),
    _broker("a volume without a unit", {"spec.storage": {"size": "5"}}, "'5' does not fit (A size of a volume: 500Mi"),
    _broker("a volume of nothing", {"spec.storage": {"size": "0Gi"}}, "'0Gi' does not fit (A size of a volume: 500Mi"),
    _broker(
        "no name of a StorageClass",
        {"spec.storage": {"storageClassName": "Fast Disks"}},
        "'Fast Disks' does not fit (The name of a Kubernetes object: small letters",
    ),
    Wrong("a rule that does not compile", "Strategy", {"spec.rules.entry": "rsi(14) <"}, "ends", by="condition"),
    Wrong(
        "code that is not Python",
        "Strategy",
        {**_NO_RULES, "spec.code": {"class": "A", "source": "class A(:"}},
        "not Python",
        by="condition",
    ),
    Wrong(
        "a class that is not in the code",
        "Strategy",
        {**_NO_RULES, "spec.code": {"class": "B", "source": _SOURCE}},
        "there is no class B in the code (known: A)",
        by="condition",
    ),
    Wrong(
        "a parameter that is misspelt",
        "Strategy",
        {**_NO_RULES, "spec.builtin": {"name": "rsi-macd-bollinger", "parameters": {"rsi_entri": 25}}},
        "there is no parameter 'rsi_entri' (did you mean 'rsi_entry'?)",
        by="condition",
    ),
    Wrong("a Broker that is not there", "Strategy", {"spec.brokerRef.name": "papre"}, "there is no", by="condition"),
    Wrong(
        "a symbol the Broker does not know",
        "Strategy",
        {"spec.symbols": ["ETH/USDT"]},
        "Broker paper does not know ETH/USDT",
        by="condition",
    ),
)

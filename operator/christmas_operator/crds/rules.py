"""What a schema cannot say, in the API server's rule language, in the words of christmas.resources.validate.

A rule holds when its expression is true. Whatever could fail on a malformed value is guarded: the field's own rule
tells what is wrong with it, and nothing else is to be told then.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from christmas.market.hours import TradingSession
from christmas.resources.broker import BrokerSpec, FeedSpec, InstrumentSpec, PaperSpec
from christmas.resources.meta import Percent, Resources, Toleration
from christmas.resources.strategy import Capital, Code, EnvFromSource, Exit, StrategySpec


class Rule(NamedTuple):
    holds: str
    message: str = ""
    expression: str = ""
    """The message when it has values in it: an expression that makes a text."""
    at: str = ""
    """The field that it is about, below the one that has the rule."""

    def manifest(self) -> dict[str, Any]:
        made = {"rule": self.holds}
        if self.message:
            made["message"] = self.message
        if self.expression:
            made["messageExpression"] = self.expression
        if self.at:
            made["fieldPath"] = self.at
        return made


def text(value: str) -> str:
    """A CEL literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fits(pattern: str, described: str) -> Rule:
    """A text that has to match; `structure` says the same of it."""
    tail = text("' does not fit" + (f" ({described})" if described else ""))
    return Rule(f"self.matches(r'{pattern}')", expression=f'"\'" + self + {tail}')


def _excluding(fields: tuple[str, ...], mend: str) -> list[Rule]:
    """The first that is there excludes the others."""
    rules = []
    for index, later in enumerate(fields):
        for position, first in enumerate(fields[:index]):
            before = "".join(f" || has(self.{name})" for name in fields[:position])
            holds = f"!(has(self.{first}) && has(self.{later})){before}"
            rules.append(Rule(holds, f"{first} and {later} exclude each other ({mend})", at=f".{later}"))
    return rules


def _is(pattern_of: Any) -> str:
    (meta,) = pattern_of.__metadata__
    return str(meta.pattern)


_PERCENT: Final = _is(Percent)
_NUMBER_OF: Final = "double(self.substring(0, size(self) - 1))"
_SHARE: Final = Rule(
    f"!self.matches(r'{_PERCENT}') || ({_NUMBER_OF} > 0.0 && {_NUMBER_OF} < 100.0)",
    expression="self + ' is not between 0% and 100%'",
)
_QUOTE: Final = "(s.contains('/') ? s.substring(s.indexOf('/')) : '')"
_FIRST_QUOTE: Final = "(self[0].contains('/') ? self[0].substring(self[0].indexOf('/')) : '')"
_POSITIVE: Final = Rule(
    "!isQuantity(self) || quantity(self).compareTo(quantity('0')) > 0",
    "must be more than 0 (as the venue publishes it)",
)
_ONE_SOURCE: Final = "keep exactly one of them"
_ONE_CODE: Final = "give exactly one of file, source and module"


def _within_limit(name: str) -> Rule:
    request, limit = f"self.requests.{name}", f"self.limits.{name}"
    return Rule(
        f"!has({request}) || !has({limit}) || !isQuantity({request}) || !isQuantity({limit}) "
        f"|| quantity({request}).compareTo(quantity({limit})) <= 0",
        expression=f"'requests.{name} ' + {request} + ' is more than limits.{name} ' + {limit} "
        "+ ' (lower the request, or raise the limit)'",
    )


_SUSPENDED: Final = (
    "oldSelf.spec.state == 'Suspended' && (!has(oldSelf.status) || !has(oldSelf.status.phase) "
    "|| oldSelf.status.phase in ['', 'Pending', 'Suspended'])"
)
_NEVER_STARTED: Final = "!has(oldSelf.status) || !has(oldSelf.status.epoch) || oldSelf.status.epoch == 0"
"""An epoch is written before anything is started with it."""

OF_MODELS: Final[dict[type[msgspec.Struct], list[Rule]]] = {
    StrategySpec: [
        Rule(
            "has(self.rules) || has(self.builtin) || has(self.code)",
            "nothing says what to trade on (add exactly one of rules, builtin and code)",
        ),
        *_excluding(("rules", "builtin", "code"), _ONE_SOURCE),
        Rule(
            "!has(self.resources.limits.memory) || !isQuantity(self.resources.limits.memory) "
            "|| quantity(self.resources.limits.memory).compareTo(quantity('45Mi')) >= 0",
            expression="'a runtime takes up to 45Mi, the limit is ' + self.resources.limits.memory "
            "+ ' (it would be killed when it starts: allow 64Mi or more)'",
            at=".resources.limits.memory",
        ),
    ],
    Code: [
        Rule("has(self.file) || has(self.source) || has(self.module)", f"no code is named ({_ONE_CODE})"),
        *_excluding(("file", "source", "module"), _ONE_CODE),
        Rule(
            "!has(self.file) || has(self.source) || has(self.module)",
            "a cluster cannot read files of this machine (apply it with christmas apply, which sends the file's text, "
            "or write the text into source)",
            at=".file",
        ),
    ],
    Capital: [
        Rule(
            "!isQuantity(self.perTrade) || quantity(self.perTrade).compareTo(quantity('0')) != 0",
            "a trade of nothing (say how much of the quote currency one trade may take)",
            at=".perTrade",
        ),
        Rule(
            "!isQuantity(self.perTrade) || !isQuantity(self.amount) "
            "|| quantity(self.perTrade).compareTo(quantity(self.amount)) <= 0",
            expression="'perTrade ' + self.perTrade + ' is more than amount ' + self.amount "
            "+ ' (lower it, or raise amount)'",
            at=".perTrade",
        ),
    ],
    Exit: [
        Rule(
            "self.policy == 'NoLoss' || has(self.stopLoss)",
            expression="self.policy + ' needs stopLoss (add stopLoss, for example \"1%\")'",
        ),
        Rule(
            "self.policy != 'Trailing' || has(self.trailingDistance)",
            'Trailing needs trailingDistance (add trailingDistance, for example "0.3%")',
        ),
        Rule(
            "self.policy != 'NoLoss' || !has(self.stopLoss)",
            "NoLoss never closes below break-even, stopLoss closes there (remove it, or choose policy: StopLoss)",
            at=".stopLoss",
        ),
        Rule(
            "self.policy == 'Trailing' || !has(self.trailingDistance)",
            expression="self.policy + ' does not trail (remove it, or choose policy: Trailing)'",
            at=".trailingDistance",
        ),
    ],
    Resources: [_within_limit("cpu"), _within_limit("memory")],
    Toleration: [
        Rule(
            "has(self.key) || self.operator == 'Exists'",
            "there is no key (add it, or write operator: Exists, which tolerates every taint)",
        ),
        Rule(
            "!has(self.value) || self.value == '' || self.operator != 'Exists'",
            "Exists does not look at a value (remove it, or write operator: Equal)",
        ),
        Rule(
            "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            "tolerationSeconds is for effect: NoExecute alone (write that, or remove it)",
        ),
    ],
    EnvFromSource: [
        Rule(
            "has(self.secretRef) != has(self.configMapRef)",
            expression="(has(self.secretRef) ? 'secretRef and configMapRef exclude each other' : 'names nothing')"
            " + ' (give exactly one of secretRef and configMapRef)'",
        )
    ],
    BrokerSpec: [
        Rule(
            "self.type == 'paper' || has(self.credentialsSecretRef)",
            expression="'a ' + self.type + ' Broker needs credentialsSecretRef "
            "(name the secret with the account\\'s keys)'",
        ),
        Rule(
            "self.type == 'paper'",
            expression="'this version trades on paper only, ' + self.type + ' accounts cannot be traded yet "
            "(use type: paper; feed.exchange takes a real exchange\\'s public prices)'",
            at=".type",
        ),
        Rule(
            "!has(self.feed.replay) || !has(self.feed.replay.symbol) "
            "|| self.instruments.exists(i, i.symbol == self.feed.replay.symbol)",
            expression="self.feed.replay.symbol + ' is not among the instruments'",
            at=".feed.replay.symbol",
        ),
    ],
    FeedSpec: [
        *_excluding(("replay", "synthetic", "exchange"), "keep exactly one feed"),
        Rule(
            "!has(self.replay)",
            "a gateway in a cluster cannot read files of this machine "
            "(use feed.synthetic or feed.exchange; `christmas up --replay` replays files here)",
            at=".replay",
        ),
    ],
    InstrumentSpec: [
        Rule(
            "!has(self.maximumLots) || self.maximumLots >= self.minimumLots",
            "maximumLots is below minimumLots (one order could have no size)",
            at=".maximumLots",
        )
    ],
    TradingSession: [
        Rule(
            "self.opens < self.closes",
            expression="'closes at ' + self.closes + ', before it opens at ' + self.opens "
            "+ ' (split a session that passes midnight)'",
        )
    ],
}
OF_FIELDS: Final[dict[tuple[type[msgspec.Struct], str], list[Rule]]] = {
    (StrategySpec, "symbols"): [
        Rule(
            "self.all(s, self.exists_one(t, t == s))",
            expression="self.filter(s, !self.exists_one(t, t == s))[0] + ' is there twice (keep one)'",
        ),
        Rule(
            f"self.all(s, {_QUOTE} == {_FIRST_QUOTE})",
            "symbols of different quote currencies (capital is one sum in one currency: make a Strategy for each)",
        ),
    ],
    (StrategySpec, "timeframe"): [
        Rule(
            "!self.matches(r'^[1-9][0-9]{0,6}ms$') || self.matches(r'000ms$')",
            expression="self + ' is not a whole number of seconds (for example 5s)'",
        )
    ],
    (Exit, "stop_loss"): [_SHARE],
    (Exit, "trailing_distance"): [_SHARE],
    (Exit, "maximum_drawdown"): [_SHARE],
    (BrokerSpec, "instruments"): [
        Rule(
            "self.all(i, self.exists_one(j, j.symbol == i.symbol))",
            "a symbol is there twice (keep one)",
        )
    ],
    (BrokerSpec, "type"): [
        Rule("self == oldSelf", "the type of a Broker never changes (another account is another Broker: name it)")
    ],
    (InstrumentSpec, "price_increment"): [_POSITIVE],
    (InstrumentSpec, "lot_size"): [_POSITIVE],
    (PaperSpec, "participation"): [
        Rule(
            f"!self.matches(r'{_PERCENT}') || ({_NUMBER_OF} > 0.0 && {_NUMBER_OF} <= 100.0)",
            expression="self + ' of a print\\'s volume cannot be taken (more than 0%, at most 100%)'",
        )
    ],
}
_NAME: Final = Rule(
    "self.metadata.name.matches(r'^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$')",
    expression='"metadata.name: \'" + self.metadata.name + "\' does not fit (A DNS label of at most 40 characters)"',
)
OF_KINDS: Final[dict[str, list[Rule]]] = {
    "Strategy": [
        _NAME,
        Rule(
            f"self.spec.brokerRef.name == oldSelf.spec.brokerRef.name || ({_SUSPENDED}) || {_NEVER_STARTED}",
            "brokerRef changes only while the Strategy is suspended "
            "(its orders and positions are on the old account: apply state: Suspended first)",
            at=".spec.brokerRef",
        ),
    ],
    "Broker": [
        _NAME,
        Rule(
            "self.spec.storage == oldSelf.spec.storage",
            expression="'the storage of a Broker never changes (its volume is claimed once: where its StorageClass "
            "allows it, enlarge it with kubectl edit pvc state-gateway-' + self.metadata.name + '-0; for any other, "
            "make another Broker)'",
            at=".spec.storage",
        ),
    ],
}

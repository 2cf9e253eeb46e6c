"""What the structure of a manifest cannot say: fields that exclude each other, references, sums of money.

Pure: resources in, findings out. Nothing is read, and no strategy code runs.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from christmas.resources.broker import Broker, InstrumentSpec
from christmas.resources.meta import Resources, Toleration, cpu_cores, duration_us, fraction, memory_bytes
from christmas.resources.problem import FieldPath, Finding, Severity, did_you_mean
from christmas.resources.strategy import Code, Strategy

Resource = Strategy | Broker

_RUNTIME_NEEDS_BYTES: Final = 45 * 1024 * 1024


class RuleFault(NamedTuple):
    """Why a rule does not compile, at which character from 0."""

    what: str
    offset: int
    mend: str = ""


Role = Literal["entry", "exit"]
RuleCheck = Callable[[str, Role], Sequence[RuleFault]]
BuiltinCheck = Callable[[str, Mapping[str, int | float | str | bool]], Mapping[str, str]]
"""By parameter name (empty: all of them), what is wrong with it."""


def validate(
    resources: Iterable[Resource],
    *,
    known: Iterable[Resource] = (),
    unreadable: Collection[str] = (),
    check_rule: RuleCheck,
    check_builtin: BuiltinCheck | None = None,
) -> list[Finding]:
    """Findings in ``resources``; ``known`` are those that exist already and may be referred to.

    ``unreadable``: names of Brokers that are given and about which everything is said already.

    One of ``resources`` replaces the known one of its kind and name; what may not change is found, too.
    """
    given = list(resources)
    before = {(type(r), r.metadata.name): r for r in known}
    brokers = {r.metadata.name: r for r in (*before.values(), *given) if isinstance(r, Broker)}
    findings: list[Finding] = []
    for resource in given:
        old = before.get((type(resource), resource.metadata.name))
        if old is not None:
            findings.extend(_change(old, resource, brokers))
        if isinstance(resource, Broker):
            findings.extend(_broker(resource))
        else:
            findings.extend(_strategy(resource, brokers, unreadable, check_rule, check_builtin))
    return findings


def _finder(resource: Resource) -> Callable[..., Finding]:
    kind = "Strategy" if isinstance(resource, Strategy) else "Broker"

    def find(
        path: FieldPath,
        what: str,
        mend: str = "",
        *,
        severity: Severity = "error",
        offset: int | None = None,
        on_key: bool = False,
    ) -> Finding:
        return Finding(
            kind=kind,
            name=resource.metadata.name,
            path=path,
            what=what,
            mend=mend,
            severity=severity,
            offset=offset,
            on_key=on_key,
        )

    return find


def _change(old: Resource, new: Resource, brokers: Collection[str]) -> Iterator[Finding]:
    """``brokers``: names of those that there are; on another nothing was ever traded."""
    find = _finder(new)
    if isinstance(old, Strategy) and isinstance(new, Strategy):
        moves = old.spec.broker_ref != new.spec.broker_ref and old.spec.broker_ref.name in brokers
        if moves and old.spec.state != "Suspended":
            yield find(
                ("spec", "brokerRef"),
                "brokerRef changes only while the Strategy is suspended",
                "its orders and positions are on the old account: apply state: Suspended first",
            )
    elif isinstance(old, Broker) and isinstance(new, Broker) and old.spec.type != new.spec.type:
        yield find(("spec", "type"), "the type of a Broker never changes", "another account is another Broker: name it")


# --- Strategy --------------------------------------------------------------------------------


def _strategy(
    strategy: Strategy,
    brokers: Mapping[str, Broker],
    unreadable: Collection[str],
    check_rule: RuleCheck,
    check_builtin: BuiltinCheck | None,
) -> Iterator[Finding]:
    yield from _logic(strategy, check_rule, check_builtin)
    yield from _symbols(strategy, brokers, unreadable)
    yield from _capital(strategy)
    yield from _exit(strategy)
    yield from _process(strategy)


def _logic(strategy: Strategy, check_rule: RuleCheck, check_builtin: BuiltinCheck | None) -> Iterator[Finding]:
    find, spec = _finder(strategy), strategy.spec
    given = [name for name in ("rules", "builtin", "code") if getattr(spec, name) is not None]
    if not given:
        yield find(("spec",), "nothing says what to trade on", "add exactly one of rules, builtin and code")
    for name in given[1:]:
        yield find(("spec", name), f"{given[0]} and {name} exclude each other", "keep exactly one of them", on_key=True)
    if spec.rules is not None:
        rules: tuple[tuple[Role, str | None], ...] = (("entry", spec.rules.entry), ("exit", spec.rules.exit))
        for name, text in rules:
            for fault in check_rule(text, name) if text is not None else ():
                yield find(("spec", "rules", name), fault.what, fault.mend, offset=fault.offset)
    if spec.builtin is not None and check_builtin is not None:
        for parameter, what in check_builtin(spec.builtin.name, spec.builtin.parameters).items():
            path: FieldPath = ("spec", "builtin", "parameters")
            yield find((*path, parameter) if parameter else path, what, on_key=bool(parameter))
    if spec.code is not None:
        yield from _code(strategy, spec.code)


def _code(strategy: Strategy, code: Code) -> Iterator[Finding]:
    find = _finder(strategy)
    given = [name for name in ("file", "source", "module") if getattr(code, name) is not None]
    if len(given) != 1:
        found = f"{' and '.join(given)} exclude each other" if given else "no code is named"
        yield find(("spec", "code"), found, "give exactly one of file, source and module")
    if code.source is None:
        return
    try:
        tree = ast.parse(code.source)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        yield find(("spec", "code"), f"not Python: {error.args[0]}" + (f" (its line {line})" if line else ""))
        return
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    if code.class_ not in classes:
        mend = did_you_mean(code.class_, classes) or f"write class {code.class_}(Strategy): ... in it"
        yield find(("spec", "code", "class"), f"there is no class {code.class_} in the code", mend)


def _symbols(strategy: Strategy, brokers: Mapping[str, Broker], unreadable: Collection[str]) -> Iterator[Finding]:
    find, spec = _finder(strategy), strategy.spec
    for index, symbol in enumerate(spec.symbols):
        if symbol in spec.symbols[:index]:
            yield find(("spec", "symbols", index), f"{symbol} is there twice", "keep one")
    if len({symbol.partition("/")[2] for symbol in spec.symbols}) > 1:
        yield find(
            ("spec", "symbols"),
            "symbols of different quote currencies",
            "capital is one sum in one currency: make a Strategy for each",
        )
    broker = brokers.get(spec.broker_ref.name)
    if broker is not None and broker.spec.type != "paper" and "@sha256:" not in (spec.image or ""):
        yield find(
            ("spec",),
            f"a {broker.spec.type} account is traded only by a pinned image",
            "write image: name@sha256:digest, so that what trades is what was tested",
        )
    if spec.broker_ref.name in unreadable:
        return
    if broker is None:
        mend = did_you_mean(spec.broker_ref.name, {*brokers, *unreadable}) or "apply a Broker of that name with it"
        yield find(("spec", "brokerRef", "name"), f"there is no Broker {spec.broker_ref.name}", mend)
        return
    instruments = {instrument.symbol: instrument for instrument in broker.spec.instruments}
    for index, symbol in enumerate(spec.symbols):
        instrument = instruments.get(symbol)
        if instrument is None:
            mend = did_you_mean(symbol, instruments)
            yield find(("spec", "symbols", index), f"Broker {broker.metadata.name} does not know {symbol}", mend)
        elif Decimal(spec.capital.per_trade) < Decimal(instrument.minimum_notional):
            yield find(
                ("spec", "capital", "perTrade"),
                f"{spec.capital.per_trade} is below {symbol}'s minimum notional of {instrument.minimum_notional}",
                "every order would be denied: raise perTrade",
            )


def _capital(strategy: Strategy) -> Iterator[Finding]:
    find, capital = _finder(strategy), strategy.spec.capital
    amount, per_trade = Decimal(capital.amount), Decimal(capital.per_trade)
    path: FieldPath = ("spec", "capital", "perTrade")
    if per_trade == 0:
        yield find(path, "a trade of nothing", "say how much of the quote currency one trade may take")
    elif per_trade > amount:
        yield find(path, f"perTrade {per_trade} is more than amount {amount}", "lower it, or raise amount")
    elif per_trade * capital.max_positions > amount:
        positions = int(amount / per_trade)
        yield find(
            ("spec", "capital", "maxPositions"),
            f"{capital.max_positions} positions of {per_trade} are more than amount {amount}",
            f"the capital will hold {positions} at once",
            severity="warning",
        )


def _exit(strategy: Strategy) -> Iterator[Finding]:
    find, ends = _finder(strategy), strategy.spec.exit
    if ends.policy in {"StopLoss", "Trailing"} and ends.stop_loss is None:
        yield find(("spec", "exit"), f"{ends.policy} needs stopLoss", 'add stopLoss, for example "1%"')
    if ends.policy == "Trailing" and ends.trailing_distance is None:
        yield find(("spec", "exit"), "Trailing needs trailingDistance", 'add trailingDistance, for example "0.3%"')
    if ends.policy == "NoLoss" and ends.stop_loss is not None:
        yield find(
            ("spec", "exit", "stopLoss"),
            "NoLoss never closes below break-even, stopLoss closes there",
            "remove it, or choose policy: StopLoss",
            on_key=True,
        )
    if ends.policy != "Trailing" and ends.trailing_distance is not None:
        yield find(
            ("spec", "exit", "trailingDistance"),
            f"{ends.policy} does not trail",
            "remove it, or choose policy: Trailing",
            on_key=True,
        )
    for name, value in (
        ("stopLoss", ends.stop_loss),
        ("trailingDistance", ends.trailing_distance),
        ("maximumDrawdown", ends.maximum_drawdown),
    ):
        if value is not None and not 0 < fraction(value) < 1:
            yield find(("spec", "exit", name), f"{value} is not between 0% and 100%")


def _process(strategy: Strategy) -> Iterator[Finding]:
    find, spec = _finder(strategy), strategy.spec
    if duration_us(spec.timeframe) % 1_000_000:
        yield find(("spec", "timeframe"), f"{spec.timeframe} is not a whole number of seconds", "for example 5s")
    for index, source in enumerate(spec.env_from):
        if (source.secret_ref is None) is (source.config_map_ref is None):
            found = "names nothing" if source.secret_ref is None else "secretRef and configMapRef exclude each other"
            yield find(("spec", "envFrom", index), found, "give exactly one of secretRef and configMapRef")
    limit = spec.resources.limits.memory
    if limit is not None and memory_bytes(limit) < _RUNTIME_NEEDS_BYTES:
        yield find(
            ("spec", "resources", "limits", "memory"),
            f"a runtime takes up to 45Mi, the limit is {limit}",
            "it would be killed when it starts: allow 64Mi or more",
        )
    else:
        yield from _requests(find, spec.resources)
    yield from _tolerations(find, spec.tolerations)


def _requests(find: Callable[..., Finding], resources: Resources) -> Iterator[Finding]:
    requests, limits = resources.requests, resources.limits
    for name, size, wanted, most in (
        ("cpu", cpu_cores, requests.cpu, limits.cpu),
        ("memory", memory_bytes, requests.memory, limits.memory),
    ):
        if wanted is not None and most is not None and size(wanted) > size(most):
            yield find(
                ("spec", "resources"),
                f"requests.{name} {wanted} is more than limits.{name} {most}",
                "lower the request, or raise the limit",
            )


def _tolerations(find: Callable[..., Finding], tolerations: Sequence[Toleration]) -> Iterator[Finding]:
    for index, one in enumerate(tolerations):
        path: FieldPath = ("spec", "tolerations", index)
        if one.key is None and one.operator == "Equal":
            yield find(path, "there is no key", "add it, or write operator: Exists, which tolerates every taint")
        if one.value and one.operator == "Exists":
            yield find(path, "Exists does not look at a value", "remove it, or write operator: Equal")
        if one.toleration_seconds is not None and one.effect != "NoExecute":
            yield find(path, "tolerationSeconds is for effect: NoExecute alone", "write that, or remove it")


# --- Broker ----------------------------------------------------------------------------------


def _broker(broker: Broker) -> Iterator[Finding]:
    find, spec = _finder(broker), broker.spec
    if spec.type != "paper":
        if spec.credentials_secret_ref is None:
            yield find(
                ("spec",), f"a {spec.type} Broker needs credentialsSecretRef", "name the secret with the account's keys"
            )
        yield find(
            ("spec", "type"),
            f"this version trades on paper only, {spec.type} accounts cannot be traded yet",
            "use type: paper; feed.exchange takes a real exchange's public prices",
        )
    elif spec.credentials_secret_ref is not None:
        yield find(
            ("spec", "credentialsSecretRef"),
            "a paper account has no keys",
            "remove it",
            severity="warning",
            on_key=True,
        )
    feeds = [name for name in ("replay", "synthetic", "exchange") if getattr(spec.feed, name) is not None]
    for name in feeds[1:]:
        yield find(
            ("spec", "feed", name), f"{feeds[0]} and {name} exclude each other", "keep exactly one feed", on_key=True
        )
    seen: set[str] = set()
    for index, instrument in enumerate(spec.instruments):
        path: FieldPath = ("spec", "instruments", index)
        if instrument.symbol in seen:
            yield find((*path, "symbol"), f"{instrument.symbol} is there twice", "keep one")
        seen.add(instrument.symbol)
        yield from _instrument(find, path, instrument)
    replay = spec.feed.replay
    if replay is not None and replay.symbol is not None and replay.symbol not in seen:
        yield find(
            ("spec", "feed", "replay", "symbol"),
            f"{replay.symbol} is not among the instruments",
            did_you_mean(replay.symbol, seen),
        )
    yield from _requests(find, spec.resources)
    yield from _tolerations(find, spec.tolerations)
    if not 0 < fraction(spec.paper.participation) <= 1:
        yield find(
            ("spec", "paper", "participation"),
            f"{spec.paper.participation} of a print's volume cannot be taken",
            "more than 0%, at most 100%",
        )


def _instrument(find: Callable[..., Finding], path: FieldPath, instrument: InstrumentSpec) -> Iterator[Finding]:
    for name, value in (("priceIncrement", instrument.price_increment), ("lotSize", instrument.lot_size)):
        if Decimal(value) == 0:
            yield find((*path, name), "must be more than 0", "as the venue publishes it")
    if instrument.maximum_lots is not None and instrument.maximum_lots < instrument.minimum_lots:
        yield find((*path, "maximumLots"), "maximumLots is below minimumLots", "one order could have no size")
    hours = instrument.trading_hours
    if hours is None:
        return
    try:
        ZoneInfo(hours.timezone)
    except (ValueError, OSError):
        yield find((*path, "tradingHours", "timezone"), f"{hours.timezone} is no time zone", "for example Asia/Seoul")
    for index, session in enumerate(hours.sessions):
        if session.opens >= session.closes:
            yield find(
                (*path, "tradingHours", "sessions", index),
                f"closes at {session.closes}, before it opens at {session.opens}",
                "split a session that passes midnight",
            )

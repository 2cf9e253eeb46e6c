"""``christmas explain``."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from christmas.cli.client import running_fleet
from christmas.cli.names import parse_one
from christmas.cli.options import output_option, state_option, watch_option
from christmas.cli.output import Table, emit, repeat
from christmas.cli.resources import select
from christmas.cli.statistics import money, win_rate
from christmas.fleet.view import StrategyView
from christmas.telemetry.status import RuleStatus


@click.command()
@click.argument("what", nargs=-1, required=True)
@state_option
@output_option("table", "json", "yaml")
@watch_option
def explain(what: tuple[str, ...], state_path: Path | None, output: str, watch: bool) -> None:
    """Say why a strategy is not trading now: each term of its rules with its value and what it needs."""
    kind, name = parse_one(what)
    if kind != "Strategy":
        raise click.UsageError("only strategies are explained")

    def show() -> None:
        view = select(running_fleet(state_path), "Strategy", name)[0]
        assert isinstance(view, StrategyView)  # noqa: S101 (of this kind)
        if output == "table":
            for line in explanation(view):
                click.echo(line)
        else:
            data = {
                "strategy": view.name,
                "phase": view.process.phase,
                "why": view.why,
                "runtime": msgspec.to_builtins(view.runtime) if view.runtime is not None else None,
            }
            emit(output, data, Table((), ()))

    repeat(show, watch=watch)


def explanation(view: StrategyView) -> list[str]:
    """The lines of the answer: the sentence first, then rules, then what is open."""
    lines = [f"{click.style(view.name, bold=True)}: {view.why}"]
    status = view.runtime
    if status is None:
        return lines
    for rule in status.rules:
        lines += ["", *_rule(rule)]
    lines.append("")
    for symbol, price in sorted(status.last_price.items()):
        lines.append(f"last price {symbol}: {price}")
    for position in status.positions:
        offered = f", offered at {position.exit_price}" if position.exit_price is not None else ", not offered yet"
        lines.append(
            f"holds {position.quantity} {position.symbol} from {position.average_price:.8g}, "
            f"break-even {position.break_even_price}{offered}, now {money(position.unrealised_pnl)}"
        )
    lines.append(
        f"win rate {win_rate(status)}; {status.signals_skipped} signals skipped, {status.open_orders} orders open"
    )
    return lines


def _rule(rule: RuleStatus) -> list[str]:
    state = {None: "warming up", True: "holds", False: "does not hold"}[rule.holds]
    lines = [f"{rule.name} {rule.symbol} {state}: {rule.text}"]
    for term in rule.terms:
        mark = click.style("+", fg="green") if term.holds else click.style("-", fg="red")
        needs = "" if term.holds else f", needs {term.needs}"
        lines.append(f"  {mark} {term.text}: is {term.value}{needs}")
    return lines

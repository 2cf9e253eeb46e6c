"""What a strategy does, in lines for a person. Pure."""

from __future__ import annotations

import click

from christmas.cli.backend import Activity
from christmas.cli.statistics import money, win_rate
from christmas.telemetry.status import RuleStatus


def explanation(activity: Activity) -> list[str]:
    """The sentence first, then rules, then what is open."""
    lines = [f"{click.style(activity.name, bold=True)}: {activity.why}"]
    status = activity.runtime
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

"""The command ``christmas``. Subcommands are imported only when they are called: help must be quick."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Final, NamedTuple

import click

from christmas import __version__
from christmas.cli.options import cluster_options
from christmas.cli.place import Where


class _Verb(NamedTuple):
    module: str
    help: str
    group: str


_VERBS: Final[dict[str, _Verb]] = {
    "up": _Verb("christmas.cli.up", "Run a fleet on this machine, or replay recorded prints through one.", "Fleet"),
    "down": _Verb("christmas.cli.lifecycle", "Stop the fleet that runs from the state folder.", "Fleet"),
    "doctor": _Verb("christmas.cli.doctor", "Check stores, limits, clock, disk and versions, with mends.", "Fleet"),
    "apply": _Verb("christmas.cli.apply", "Create or change resources from manifests.", "Resources"),
    "get": _Verb("christmas.cli.get", "List resources, or show one.", "Resources"),
    "describe": _Verb("christmas.cli.describe", "Show everything about one resource.", "Resources"),
    "delete": _Verb("christmas.cli.lifecycle", "Delete resources; trades stay recorded.", "Resources"),
    "suspend": _Verb(
        "christmas.cli.lifecycle", "Stop a strategy; onSuspend says what becomes of its orders.", "Resources"
    ),
    "resume": _Verb("christmas.cli.lifecycle", "Let a suspended strategy run again.", "Resources"),
    "explain": _Verb("christmas.cli.explain", "Say why a strategy is not trading now.", "Trading"),
    "orders": _Verb("christmas.cli.trading", "List orders.", "Trading"),
    "positions": _Verb("christmas.cli.trading", "List open positions.", "Trading"),
    "stats": _Verb("christmas.cli.trading", "Show results, realised and marked to market.", "Trading"),
    "audit": _Verb("christmas.cli.audit", "Compare journal, venue and database, and tell every difference.", "Trading"),
    "kill": _Verb("christmas.cli.kill", "Halt an account or a strategy at once and cancel its orders.", "Trading"),
    "logs": _Verb("christmas.cli.logs", "Show what a process has logged.", "Trading"),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = _VERBS.get(cmd_name)
        if verb is None:
            return None
        command = getattr(importlib.import_module(verb.module), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 (each module has commands of these names)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _VERBS and not args[0].startswith("-"):
            from christmas.resources.problem import did_you_mean  # noqa: PLC0415

            raise click.UsageError(f"there is no command {args[0]} ({did_you_mean(args[0], _VERBS)})", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for group in dict.fromkeys(verb.group for verb in _VERBS.values()):
            with formatter.section(group):
                formatter.write_dl([(name, verb.help) for name, verb in _VERBS.items() if verb.group == group])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="christmas")
@cluster_options
@click.pass_context
def christmas(ctx: click.Context, context: str | None, kubeconfig: Path | None, namespace: str | None) -> None:
    """A fleet of scalping strategies, on this machine or in a Kubernetes cluster.

    `christmas up examples` runs the example fleet on this machine, on a synthetic market, with paper money.
    `christmas --context NAME get` asks a cluster, and so does every other verb.
    """
    if ctx.invoked_subcommand in {"up", "down", "audit"} and (context or kubeconfig or namespace):
        raise click.UsageError(
            f"{ctx.invoked_subcommand} is for this machine; in a cluster the operator runs the fleet"
        )
    ctx.obj = Where(context=context, kubeconfig=kubeconfig, namespace=namespace, plugin=bool(ctx.obj))


def plugin() -> None:
    """The console script ``kubectl-christmas``: `kubectl christmas get` works in kubectl's current context."""
    main(plugin=True)


def main(*, plugin: bool = False) -> None:
    """The console script: errors are one line on stderr, with what mends them."""
    try:
        christmas.main(prog_name="kubectl christmas" if plugin else None, standalone_mode=False, obj=plugin)
    except click.exceptions.Abort:
        click.echo("aborted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        mend = f" (see `{context.command_path} --help`)" if context is not None else ""
        click.echo(f"{click.style('error:', fg='red', bold=True)} {error.format_message()}{mend}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        from christmas.cli.errors import explain_failure  # noqa: PLC0415 (only when something failed)

        sys.exit(explain_failure(error))


if __name__ == "__main__":
    main()

"""Where a state folder keeps what an audit reads, by the settings files that its processes were started with."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from christmas.audit.books import Policy
from christmas.audit.journal_file import StoreUnreadable
from christmas.brokers.gateway.settings import GatewaySettings, broker_of, market_of
from christmas.ingestion.settings import RecorderSettings
from christmas.resources.strategy import Strategy
from christmas.telemetry.settings import load_settings

JOURNAL: Final = "journal.sqlite"
VENUE: Final = "venue.sqlite"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One gateway's account, and where its books lie."""

    broker: str
    market: str
    """Its name in the database."""
    journal: Path
    venue: Path | None = None
    """The paper venue's ledger; None for another venue, of which only its gateway can ask."""
    address: str = ""
    """Of the gateway."""
    permit_key_file: Path | None = None
    ended: Path | None = None
    """Written by the gateway of a replay that has come to its end."""
    database_url: str | None = None
    policies: dict[str, Policy] = {}
    """By strategy uid."""
    named_policies: dict[str, Policy] = {}
    """By the strategy's name, before those by uid."""
    assumed_policy: Policy | None = None
    """Of strategies whose manifest is not known; None: nothing is said of how their positions end."""


class _Ended(msgspec.Struct, frozen=True, kw_only=True):
    received: int


def find_accounts(state: Path) -> list[Account]:
    """The gateways that were started from a state folder. Raises StoreUnreadable for a damaged settings file."""
    try:
        database_url = _database_url(state)
        policies = _policies(state)
        return [
            _account(file, database_url, policies)
            for file in sorted((state / "processes").glob("gateway-*/settings.json"))
        ]
    except (ValueError, msgspec.MsgspecError, OSError) as error:
        raise StoreUnreadable(
            str(error), "was it written by another version? Start the fleet once, then audit"
        ) from error


def replays(state: Path) -> list[Path]:
    """The folders of the replays that were run with this state, the last one last."""
    found = [path for path in (state / "replays").glob("*") if (path / "processes").is_dir()]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def manifests_beside(journal: Path) -> dict[str, Policy]:
    """Policies by strategy uid, of the state folder that a journal lies in; none for a copy elsewhere.

    Raises StoreUnreadable for a damaged manifest.
    """
    folder = journal.resolve().parent
    try:
        return _policies(folder.parent.parent) if folder.parent.name == "data" else {}
    except (msgspec.MsgspecError, OSError) as error:
        raise StoreUnreadable(str(error), "copy the journal elsewhere, and name the policy with --policy") from error


def received_ticks(account: Account) -> int | None:
    """How many prints a replay's gateway took in; None while it has not come to its end."""
    try:
        return None if account.ended is None else msgspec.json.decode(account.ended.read_bytes(), type=_Ended).received
    except (OSError, msgspec.MsgspecError):
        return None


def _account(file: Path, database_url: str | None, policies: dict[str, Policy]) -> Account:
    settings = load_settings(GatewaySettings, file)
    broker = broker_of(settings)
    folder = Path(settings.state_directory)
    return Account(
        broker=broker.metadata.name,
        market=market_of(settings, broker),
        journal=folder / JOURNAL,
        venue=folder / VENUE if broker.spec.type == "paper" else None,
        address=settings.listen,
        permit_key_file=Path(settings.permit_key_file),
        ended=folder / "ended.json",
        database_url=database_url,
        policies=policies,
    )


def _database_url(state: Path) -> str | None:
    file = state / "processes" / "recorder-recorder" / "settings.json"
    return load_settings(RecorderSettings, file).database_url if file.exists() else None


def _policies(state: Path) -> dict[str, Policy]:
    found: dict[str, Policy] = {}
    for file in (state / "processes").glob("runtime-*/strategy.json"):
        strategy = msgspec.json.decode(file.read_bytes(), type=Strategy)
        found[strategy.metadata.uid] = Policy(policy=strategy.spec.exit.policy)
    return found

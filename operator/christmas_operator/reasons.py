"""The catalogue: every reason of a condition and of an event, in one place.

Reasons are stable words for machines; messages beside them are for people and name the mend.
"""

from __future__ import annotations

from typing import Final, Literal

ConditionType = Literal[
    "Accepted",
    "DependenciesReady",
    "PodReady",
    "TradingEnabled",
    "GatewayReady",
    "Reconciled",
    "Ready",
    "ConfigDrift",
    "EntriesHeld",
]

# --- Accepted
ACCEPTED: Final = "Accepted"
INVALID: Final = "Invalid"

# --- DependenciesReady
DEPENDENCIES_READY: Final = "DependenciesReady"
BROKER_MISSING: Final = "BrokerMissing"
BROKER_INVALID: Final = "BrokerInvalid"
BROKER_DELETING: Final = "BrokerDeleting"
PERMIT_KEY_MISSING: Final = "PermitKeyMissing"
GATEWAY_NOT_READY: Final = "GatewayNotReady"
STORES_MISSING: Final = "StoresMissing"

# --- PodReady, GatewayReady
POD_READY: Final = "PodReady"
POD_MISSING: Final = "PodMissing"
POD_TERMINATING: Final = "PodTerminating"
POD_STARTING: Final = "PodStarting"
POD_NOT_READY: Final = "PodNotReady"
UNSCHEDULABLE: Final = "Unschedulable"
OOM_KILLED: Final = "OOMKilled"
CRASH_LOOP: Final = "CrashLoopBackOff"
REFUSED: Final = "Refused"
"""The runtime ended with 3: its gateway refused it for good."""

# --- TradingEnabled
TRADING: Final = "Trading"
SUSPENDING: Final = "Suspending"
SUSPENDED: Final = "Suspended"
RESUMING: Final = "Resuming"
TERMINATING: Final = "Terminating"
HALTED: Final = "Halted"
BLOCKED: Final = "GatewayBlocked"
FEED_SILENT: Final = "FeedSilent"
"""A Broker's GatewayReady says so too."""
GATEWAY_SILENT: Final = "GatewaySilent"
NOT_TRADING: Final = "NotTrading"

# --- Reconciled (a Broker's)
RECONCILED: Final = "Reconciled"
NOT_RECONCILED: Final = "NotReconciled"

# --- Ready
READY: Final = "Ready"

# --- ConfigDrift
UP_TO_DATE: Final = "UpToDate"
WAITS_FOR_FLAT: Final = "WaitsForFlat"
WAITS_FOR_COMMAND: Final = "WaitsForCommand"
WAITS_FOR_TURN: Final = "WaitsForTurn"
"""Others of its Broker are being restarted: only so many at a time."""

# --- EntriesHeld: only while an update is about to restart a Strategy that waited for being flat
HELD_FOR_UPDATE: Final = "HeldForUpdate"
LIFTING_HOLD: Final = "LiftingHold"
NOT_FLAT_IN_TIME: Final = "NotFlatInTime"

# --- Events only
OTHER_INSTALLATION: Final = "OtherInstallation"
STARTED: Final = "Started"
UPDATED: Final = "Updated"
RESUMED: Final = "Resumed"
DRIFT_REPAIRED: Final = "DriftRepaired"
ORDERS_LEFT: Final = "OrdersLeft"
ORDERS_CANCELLED: Final = "OrdersCancelled"
FLATTENED: Final = "Flattened"
DELETED: Final = "Deleted"

EXIT_REFUSED: Final = 3
"""`christmas.runtime.settings.EXIT_REFUSED`, which the operator may not import."""

FAILING: Final = frozenset(
    {
        CRASH_LOOP,
        OOM_KILLED,
        REFUSED,
        "CreateContainerConfigError",
        "ImagePullBackOff",
        "ErrImagePull",
        "InvalidImageName",
        "CreateContainerError",
        "RunContainerError",
    }
)
"""Reasons of PodReady with which a pod will not come up by waiting alone."""

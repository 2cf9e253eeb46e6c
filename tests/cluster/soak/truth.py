"""Whether what the cluster says of the Strategies is so, and whether anything is there that nobody owns. Pure."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tests.cluster.soak.plan import Wish

Object = dict[str, Any]

KINDS: Final = "strategies,brokers,statefulsets,pods,secrets,configmaps,networkpolicies,services,poddisruptionbudgets"
"""Of which `untrue` wants all that are in the namespace."""
_EPOCH: Final = "christmas.dev/epoch"
_INPUT: Final = "christmas.dev/input-hash"
_MANAGED: Final = "app.kubernetes.io/managed-by"
_OF_STRATEGY: Final = ("StatefulSet", "Secret", "ConfigMap", "NetworkPolicy")


def untrue(wishes: Mapping[str, Wish], objects: Iterable[Object]) -> list[str]:
    """What is not as it is to be once everything has come to rest; one line each."""
    listed = list(objects)
    strategies = {_name(one): one for one in listed if one["kind"] == "Strategy"}
    owned: dict[str, dict[str, list[Object]]] = defaultdict(lambda: defaultdict(list))
    for one in listed:
        of = _labels(one).get("christmas.dev/strategy")
        if of is not None and _labels(one).get(_MANAGED) == "christmas-operator":
            owned[of][one["kind"]].append(one)
    found = orphans(listed)
    found += [f"{name} is wanted, and is not there" for name in wishes.keys() - strategies.keys()]
    for name, strategy in strategies.items():
        wish = wishes.get(name)
        if wish is None or "deletionTimestamp" in strategy["metadata"]:
            finalizers = strategy["metadata"].get("finalizers")
            found.append(f"{name} was deleted, and is there still; finalizers {finalizers}")
        else:
            found += [f"{name} ({_told(wish)}): {what}" for what in _of_one(wish, strategy, owned[name])]
    return found + [line for one in listed if one["kind"] == "Broker" for line in _of_broker(one, strategies)]


def orphans(objects: Iterable[Object]) -> list[str]:
    """Objects that the operator has made, or that were made of these, whose owner is not there."""
    listed = list(objects)
    alive = {one["metadata"]["uid"] for one in listed}
    return [
        f"{one['kind']} {_name(one)} is an orphan"
        for one in listed
        if _labels(one).get(_MANAGED) == "christmas-operator"
        and not any(owner["uid"] in alive for owner in one["metadata"].get("ownerReferences", ()))
    ]


def phases(objects: Iterable[Object]) -> dict[str, int]:
    counted: dict[str, int] = defaultdict(int)
    for one in objects:
        if one["kind"] == "Strategy":
            counted[one.get("status", {}).get("phase", "")] += 1
    return dict(counted)


def _of_one(wish: Wish, strategy: Object, owned: Mapping[str, list[Object]]) -> list[str]:
    status, generation = strategy.get("status", {}), strategy["metadata"]["generation"]
    conditions = {one["type"]: one for one in status.get("conditions", [])}
    seen = {status.get("observedGeneration"), *(one["observedGeneration"] for one in conditions.values())}
    if seen != {generation}:
        return [f"it is of generation {generation}, its status tells of {sorted(map(str, seen))}"]
    found = _objects(strategy, owned) + _pod(status, owned)
    phase = status.get("phase")
    if wish.fault:
        return found + _faulty(wish, conditions)
    if wish.state == "Suspended":
        if phase != "Suspended" or owned.get("Pod"):
            found.append(f"phase {phase}, {len(owned.get('Pod', ()))} pods, though it is to be suspended")
        return found
    if phase != "Running" or conditions["Ready"]["status"] != "True":
        found.append(f"phase {phase}: {conditions['Ready'].get('reason')}: {conditions['Ready'].get('message', '')}")
    if len(owned.get("Pod", ())) != 1:
        found.append(f"{len(owned.get('Pod', ()))} pods")
    return found + _drift(wish, strategy, conditions, owned)


def _objects(strategy: Object, owned: Mapping[str, list[Object]]) -> list[str]:
    """One of each kind, or none of any before its first start; all of the epoch that its status tells."""
    status = strategy.get("status", {})
    epoch, wanted = status.get("epoch", 0), 1 if status.get("epoch", 0) else 0
    found = []
    for kind in _OF_STRATEGY:
        there = owned.get(kind, [])
        if len(there) != wanted:
            found.append(f"{len(there)} of {kind}: {sorted(map(_name, there))}")
        for one in there:
            if kind in {"StatefulSet", "Secret"} and _annotations(one).get(_EPOCH) != str(epoch):
                found.append(f"{kind} is of epoch {_annotations(one).get(_EPOCH)}, its status tells {epoch}")
            owners = [owner["uid"] for owner in one["metadata"].get("ownerReferences", ())]
            if owners != [strategy["metadata"]["uid"]]:
                found.append(f"{kind} {_name(one)} belongs to another of that name")
    for secret in owned.get("Secret", []):
        permit = _permit(secret)
        if (permit["epoch"], permit["strategy_uid"]) != (epoch, strategy["metadata"]["uid"]):
            found.append(
                f"its permit is of epoch {permit['epoch']} for {permit['strategy_uid']}, the status says {epoch}"
            )
    for workload in owned.get("StatefulSet", []):
        volumes = workload["spec"]["template"]["spec"]["volumes"]
        mounted = {volume["configMap"]["name"] for volume in volumes if "configMap" in volume}
        configs = {_name(one) for one in owned.get("ConfigMap", ())}
        if mounted != configs:
            found.append(f"ConfigMaps {sorted(configs)}, its pods mount {sorted(mounted)}")
    return found


def _pod(status: Object, owned: Mapping[str, list[Object]]) -> list[str]:
    found = []
    for pod in owned.get("Pod", []):
        if _annotations(pod).get(_EPOCH) != str(status.get("epoch")):
            found.append(f"its pod is of epoch {_annotations(pod).get(_EPOCH)}, its status tells {status.get('epoch')}")
        for workload in owned.get("StatefulSet", []):
            template = workload["spec"]["template"]["metadata"]["annotations"][_INPUT]
            if _annotations(pod).get(_INPUT) != template:
                found.append("its pod is of another version than its StatefulSet")
        restarts = sum(one["restartCount"] for one in pod["status"].get("containerStatuses", ()))
        told = (status.get("pod"), status.get("node"), status.get("restarts", 0))
        if told != (_name(pod), pod["spec"].get("nodeName"), restarts):
            found.append(f"its status tells of {told}, there is {(_name(pod), pod['spec'].get('nodeName'), restarts)}")
    if not owned.get("Pod") and status.get("pod"):
        found.append(f"its status tells of pod {status['pod']}, there is none")
    return found


def _faulty(wish: Wish, conditions: Mapping[str, Object]) -> list[str]:
    kind, reason = ("DependenciesReady", "BrokerMissing") if wish.fault == "broker" else ("Accepted", "Invalid")
    told = conditions[kind]
    if (told["status"], told.get("reason"), conditions["Ready"]["status"]) != ("False", reason, "False"):
        return [
            f"its fault is not told: {kind} is {told['status']} ({told.get('reason')}), Ready {conditions['Ready']}"
        ]
    return []


def _drift(
    wish: Wish, strategy: Object, conditions: Mapping[str, Object], owned: Mapping[str, list[Object]]
) -> list[str]:
    drift = conditions.get("ConfigDrift")
    if drift is not None:
        reason = drift.get("reason")
        waits = wish.update_policy == "Manual" and reason == "WaitsForCommand"
        # One that never trades is flat: nothing is to be waited for.
        waits = waits or (wish.update_policy == "WhenFlat" and wish.kind != "idle" and reason == "WaitsForFlat")
        return [] if waits else [f"ConfigDrift {reason} under {wish.update_policy}"]
    if "EntriesHeld" in conditions:
        return [f"EntriesHeld ({conditions['EntriesHeld'].get('reason')}) though nothing waits"]
    for config in owned.get("ConfigMap", []):
        runs = json.loads(config["data"]["strategy.json"])["spec"]
        for part in ("capital", "risk"):
            differs = {key: value for key, value in runs[part].items() if strategy["spec"][part].get(key) != value}
            if any(key in strategy["spec"][part] for key in differs):
                return [f"no ConfigDrift, and it runs with another {part}: {differs}"]
    return []


def _of_broker(broker: Object, strategies: Mapping[str, Object]) -> list[str]:
    status = broker.get("status", {})
    users = sum(one["spec"]["brokerRef"]["name"] == _name(broker) for one in strategies.values())
    found = []
    if status.get("phase") != "Running" or status.get("observedGeneration") != broker["metadata"]["generation"]:
        found.append(f"Broker {_name(broker)} is {status.get('phase')}")
    if status.get("strategies", 0) != users:
        found.append(f"Broker {_name(broker)} tells of {status.get('strategies')} Strategies, there are {users}")
    return found


def _permit(secret: Object) -> Object:
    body = base64.b64decode(secret["data"]["permit"]).decode().partition(".")[0]
    permit: Object = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return permit


def _told(wish: Wish) -> str:
    said = [wish.kind, wish.state, wish.update_policy, wish.on_suspend, f"fault {wish.fault}" if wish.fault else ""]
    return " ".join(filter(None, said))


def _name(one: Object) -> str:
    return str(one["metadata"]["name"])


def _labels(one: Object) -> dict[str, str]:
    return one["metadata"].get("labels") or {}


def _annotations(one: Object) -> dict[str, str]:
    return one["metadata"].get("annotations") or {}

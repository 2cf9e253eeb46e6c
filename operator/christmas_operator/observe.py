"""From the cache to what `decide` wants to know about one resource. Asks nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from christmas.resources.broker import Broker
from christmas.resources.checks import check_builtin, check_rule
from christmas.resources.problem import did_you_mean, path_text
from christmas.resources.strategy import Strategy
from christmas.resources.structure import misfits
from christmas.resources.validate import validate
from christmas_operator import reasons
from christmas_operator.brokers import observed as of_broker
from christmas_operator.brokers.status import read_status as read_broker_status
from christmas_operator.cache import Cache
from christmas_operator.drift import DriftMemory
from christmas_operator.gateways import Gateways
from christmas_operator.keys import Key, ObjectName
from christmas_operator.kube.views import Resource
from christmas_operator.manifests.broker import broker_objects
from christmas_operator.manifests.context import BuildContext, OwnerRef
from christmas_operator.manifests.names import gateway_address, gateway_pod, runtime_pod
from christmas_operator.manifests.strategy import strategy_objects
from christmas_operator.permit_keys import PermitKeys
from christmas_operator.plan import Plan, plan
from christmas_operator.rolls import Rolls
from christmas_operator.settings import OperatorSettings
from christmas_operator.stores import StoresReader
from christmas_operator.strategies import observed as of_strategy
from christmas_operator.strategies.observed import Dependency
from christmas_operator.strategies.status import read_status as read_strategy_status

FINALIZER: Final = "christmas.dev/orders"
_FINDINGS_MAXIMUM: Final = 5
"""In one condition: who has mended these will see the next."""


class _Judged(NamedTuple):
    """Findings of one version of a Strategy against one version of its Broker."""

    versions: tuple[str, int, str, int]
    findings: tuple[str, ...]


class Observer:
    def __init__(
        self,
        *,
        settings: OperatorSettings,
        cache: Cache,
        stores: StoresReader,
        permit_keys: PermitKeys,
        gateways: Gateways,
        drift: DriftMemory,
        rolls: Rolls,
    ) -> None:
        self._settings = settings
        self._cache = cache
        self._stores = stores
        self._permit_keys = permit_keys
        self._gateways = gateways
        self._drift = drift
        self._rolls = rolls
        self._judged: dict[Key, _Judged] = {}
        self.pod_monitors = False
        """Whether the cluster knows PodMonitors."""
        self.failures: dict[Key, str] = {}
        """Why the last apply for a resource was refused."""

    def forget(self, key: Key) -> None:
        self._judged.pop(key, None)
        self.failures.pop(key, None)

    def context(self, namespace: str, broker: str) -> BuildContext | None:
        """None while the stores are not known."""
        stores, settings = self._stores.stores, self._settings
        if stores is None:
            return None
        return BuildContext(
            runtime_image=settings.runtime_image,
            redis_url_runtime=stores.redis_url_runtime,
            redis_url=stores.redis_url,
            database_url_reader=stores.database_url_reader,
            session_id=settings.session_id,
            pod_monitor=self.pod_monitors,
            stores_namespace=settings.stores_secret.namespace,
            operator_namespace=settings.namespace,
            gateway_address=gateway_address(broker, namespace),
            image_pull_policy=settings.image_pull_policy,
        )

    def other_installation(self, key: Key) -> str:
        """Whose workload the resource has, when it is another operator's; empty: ours, or nobody's."""
        name = f"strategy-{key.name}" if key.kind == "Strategy" else f"gateway-{key.name}"
        found = self._cache.owned("StatefulSet", key.namespace, name)
        mark = found.installation if found is not None and not found.deleting else ""
        return "" if mark == self._settings.installation else mark

    def strategy(self, key: Key) -> of_strategy.Observed | None:
        """None: there is no such Strategy."""
        resource = self._cache.resource(key)
        if resource is None:
            return None
        model, findings = read_model(resource, Strategy)
        status = read_strategy_status(resource.status)
        broker = Key("Broker", key.namespace, resource.broker)
        missing, reachable = self._dependencies(broker)
        if model is not None:
            findings = self._judge(key, resource, model)
        made: Plan | None = None
        context = self.context(key.namespace, resource.broker)
        permit_key = self._permit_keys.identity(broker)
        if model is not None and context is not None:
            objects = strategy_objects(model, context, permit="", owner=owner_ref("Strategy", resource))
            made = plan(objects, salt=permit_key, epochs=True, installation=self._settings.installation)
        owned = self._cache.owned_by(key.namespace, resource.uid)
        expected, repairable = self._drift_of(key.namespace, made)
        return of_strategy.Observed(
            namespace=key.namespace,
            name=key.name,
            uid=resource.uid,
            generation=resource.generation,
            has_finalizer=FINALIZER in resource.finalizers,
            deleted_at=resource.deleted_at,
            apply_now=resource.apply_now,
            spec=model.spec if model is not None else None,
            findings=findings,
            status=status,
            missing=missing,
            can_reach_gateway=reachable,
            plan=made,
            owned=owned,
            expected=expected,
            repairable=repairable,
            pod=self._cache.pod(key.namespace, runtime_pod(key.name)),
            gateway=self._gateways.word(key, broker, status.epoch),
            failure=self.failures.get(key, ""),
            turn=self._rolls.turn(key, broker),
            rolls_at_once=self._settings.rolls_per_broker,
            permit_key=permit_key,
        )

    def broker(self, key: Key) -> of_broker.Observed | None:
        """None: there is no such Broker."""
        resource = self._cache.resource(key)
        if resource is None:
            return None
        model, findings = read_model(resource, Broker)
        if model is not None:
            findings = _words(validate([model], check_rule=check_rule))
        made: Plan | None = None
        context = self.context(key.namespace, key.name)
        if model is not None and context is not None:
            objects = broker_objects(model, context, owner=owner_ref("Broker", resource))
            made = plan(objects, epochs=False, installation=self._settings.installation)
        expected, repairable = self._drift_of(key.namespace, made)
        return of_broker.Observed(
            namespace=key.namespace,
            name=key.name,
            uid=resource.uid,
            generation=resource.generation,
            deleted_at=resource.deleted_at,
            spec=model.spec if model is not None else None,
            findings=findings,
            status=read_broker_status(resource.status),
            plan=made,
            owned=self._cache.owned_by(key.namespace, resource.uid),
            expected=expected,
            repairable=repairable,
            pod=self._cache.pod(key.namespace, gateway_pod(key.name)),
            strategies=len(self._cache.strategies_of(key.namespace, key.name)),
            address=gateway_address(key.name, key.namespace),
            has_key=bool(self._permit_keys.identity(key)),
            blocked=self._gateways.blocked(key),
            feed_silent=self._gateways.feed_silent(key),
            failure=self.failures.get(key, "") or ("" if context is not None else self._stores.problem),
        )

    def repair_in_s(self, namespace: str, made: Plan | None) -> float | None:
        """When drift that has to wait may be repaired; None: none has to."""
        waits = [self._drift.wait_s((namespace, name)) for name in (made.objects if made is not None else ())]
        later = [wait for wait in waits if wait > 0]
        return min(later) if later else None

    def _drift_of(
        self, namespace: str, made: Plan | None
    ) -> tuple[Mapping[ObjectName, str | None], frozenset[ObjectName]]:
        if made is None:
            return {}, frozenset()
        expected = {name: self._drift.expected(wanted, name) for name, wanted in made.objects.items()}
        return expected, frozenset(name for name in made.objects if self._drift.wait_s((namespace, name)) <= 0)

    def _dependencies(self, broker: Key) -> tuple[Dependency | None, bool]:
        """The first thing that is missing; whether there is a gateway to talk to."""
        name, found = broker.name, self._cache.resource(broker)
        if found is None:
            # In the words of `validate`, which has it from the same names.
            others = [key.name for key in self._cache.keys("Broker") if key.namespace == broker.namespace]
            mend = did_you_mean(name, others) or "apply a Broker of that name with it"
            message = f"spec.brokerRef.name: there is no Broker {name} ({mend})"
            return Dependency(reason=reasons.BROKER_MISSING, message=message), False
        reachable = bool(self._permit_keys.identity(broker))
        if self._stores.stores is None:
            return Dependency(reason=reasons.STORES_MISSING, message=self._stores.problem), reachable
        if found.deleted_at is not None:
            message = f"Broker {name} is being deleted"
            return Dependency(reason=reasons.BROKER_DELETING, message=message), reachable
        if not reachable:
            message = f"Broker {name} has no key for permits yet; see kubectl describe broker {name}"
            return Dependency(reason=reasons.PERMIT_KEY_MISSING, message=message), False
        pod = self._cache.pod(broker.namespace, gateway_pod(name))
        if pod is None or not pod.ready:
            # Why is the Broker's to tell: a thousand Strategies must not be written for each word of it.
            message = f"the gateway of Broker {name} is not ready; see kubectl describe broker {name}"
            return Dependency(reason=reasons.GATEWAY_NOT_READY, message=message, blocks=False), True
        return None, True

    def _judge(self, key: Key, resource: Resource, model: Strategy) -> tuple[str, ...]:
        broker = self._cache.resource(Key("Broker", key.namespace, resource.broker))
        versions = (
            resource.uid,
            resource.generation,
            broker.uid if broker is not None else "",
            broker.generation if broker is not None else 0,
        )
        known = self._judged.get(key)
        if known is not None and known.versions == versions:
            return known.findings
        other = read_model(broker, Broker)[0] if broker is not None else None
        brokers = [other] if other is not None else []
        found = validate([model], known=brokers, check_rule=check_rule, check_builtin=check_builtin)
        # That there is no Broker is told as what is missing: it may come.
        findings = _words(finding for finding in found if finding.path != ("spec", "brokerRef", "name"))
        self._judged[key] = _Judged(versions, findings)
        return findings


def read_model(resource: Resource, kind: Any) -> tuple[Any, tuple[str, ...]]:
    """The model, or what is wrong with what should be one."""
    try:
        return msgspec.json.decode(resource.manifest, type=kind), ()
    except msgspec.ValidationError:
        # Rare, and slower: all that is wrong with it, in the words of the local mode.
        found = misfits(msgspec.json.decode(resource.manifest), kind)
        words = [
            f"{path_text(misfit.path)}: {misfit.what}" + (f" ({misfit.mend})" if misfit.mend else "")
            for misfit in found[:_FINDINGS_MAXIMUM]
        ]
        return None, tuple(words) or ("it cannot be read",)


def owner_ref(kind: str, resource: Resource) -> OwnerRef:
    return OwnerRef(kind=kind, name=resource.name, uid=resource.uid)


def _words(findings: Any) -> tuple[str, ...]:
    errors = [finding for finding in findings if finding.severity == "error"]
    return tuple(
        f"{path_text(finding.path)}: {finding.what}" + (f" ({finding.mend})" if finding.mend else "")
        for finding in errors[:_FINDINGS_MAXIMUM]
    )

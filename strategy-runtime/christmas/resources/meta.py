"""What all resources share: API group, metadata, and field types with their bounds."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

GROUP: Final = "christmas.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = "christmas.dev/v1alpha1"

Name = Annotated[
    str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$", description="A DNS label of at most 40 characters.")
]
ObjectName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$",
        max_length=253,
        description="The name of a Kubernetes object: small letters, digits, dashes and dots.",
    ),
]
Symbol = Annotated[
    str, Meta(pattern=r"^[A-Z0-9.]{1,20}(/[A-Z0-9]{1,10})?(:[A-Z0-9]{1,10})?$", description="For example BTC/USDT.")
]
DecimalText = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,20}(\.[0-9]{1,18})?$",
        description="A decimal number as text: binary floats are not exact.",
    ),
]
Percent = Annotated[
    str, Meta(pattern=r"^[0-9]{1,4}(\.[0-9]{1,8})?%$", description="A percentage as text, for example 0.05%.")
]
Duration = Annotated[
    str, Meta(pattern=r"^([1-9][0-9]{0,6})(ms|s|m|h|d)$", description="A span of time: 500ms, 5s, 1m, 2h, 1d.")
]
Cpu = Annotated[str, Meta(pattern=r"^[0-9]{1,6}m?$", description="Cores, or thousandths of one: 2, 500m.")]
Memory = Annotated[str, Meta(pattern=r"^[0-9]{1,8}(Ki|Mi|Gi)$", description="An amount of memory: 128Mi, 1Gi.")]
StorageSize = Annotated[
    str, Meta(pattern=r"^[1-9][0-9]{0,6}(Mi|Gi|Ti)$", description="A size of a volume: 500Mi, 1Gi.")
]
Image = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-zA-Z0-9._/:-]{0,250}(@sha256:[a-f0-9]{64})?$",
        max_length=330,
        description="A container image, best pinned: name@sha256:digest.",
    ),
]
LabelKey = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,315}$",
        max_length=316,
        description="The key of a label or taint: disk, example.com/disk.",
    ),
]
LabelValue = Annotated[
    str,
    Meta(
        pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$",
        description="The value of a label or taint: at most 63 letters, digits, dashes, dots and underscores.",
    ),
]

_DURATION_US: Final = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """Base of everything below ``spec``: camelCase outside, unknown fields refused."""


class Metadata(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    name: Name
    namespace: str = "default"
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    uid: str = ""
    generation: int = 0
    creation_timestamp: str = ""


class ResourceRequirements(Spec, frozen=True, kw_only=True):
    """Amounts of CPU and memory."""

    cpu: Cpu | None = None
    """Cores, or thousandths of one: 500m is half a core."""
    memory: Memory | None = None
    """With its unit: Ki, Mi or Gi."""


class Resources(Spec, frozen=True, kw_only=True):
    """What the process is promised, and what it may take at most."""

    requests: ResourceRequirements = ResourceRequirements(cpu="20m", memory="48Mi")
    """Set aside for it."""
    limits: ResourceRequirements = ResourceRequirements(cpu="500m", memory="128Mi")
    """CPU above it is withheld; memory above it ends the process."""


class Storage(Spec, frozen=True, kw_only=True):
    """A volume; it is claimed once and never claimed anew."""

    size: StorageSize = "1Gi"
    """How much it holds, with its unit: Mi, Gi or Ti."""
    storage_class_name: ObjectName | None = None
    """The StorageClass that provides it; none means the cluster's default one."""


class Toleration(Spec, frozen=True, kw_only=True):
    """A taint of nodes that the pod may run on nevertheless."""

    key: LabelKey | None = None
    """The taint's key; without one, with operator Exists, every taint."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """Exists does not look at the value."""
    value: LabelValue | None = None
    """The taint's value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Which effect of the taint; none means all."""
    toleration_seconds: Annotated[int, Meta(ge=0, le=86_400)] | None = None
    """How long a NoExecute taint is borne."""


def duration_us(text: str) -> int:
    """Microseconds of a `Duration`."""
    digits = text.rstrip("msdh")
    return int(digits) * _DURATION_US[text[len(digits) :]]


def fraction(percent: str) -> Decimal:
    """A `Percent` as a fraction: ``0.05%`` is ``0.0005``."""
    return Decimal(percent.removesuffix("%")) / 100


def memory_bytes(quantity: str) -> int:
    """Bytes of a `Memory`: ``128Mi`` is 134217728."""
    return int(quantity[:-2]) << {"Ki": 10, "Mi": 20, "Gi": 30}[quantity[-2:]]


def cpu_cores(quantity: str) -> Decimal:
    """Cores of a `Cpu`: ``500m`` is half a core."""
    return Decimal(quantity[:-1]) / 1000 if quantity.endswith("m") else Decimal(quantity)

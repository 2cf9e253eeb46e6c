"""What all resources share: API group, metadata, and field types with their bounds."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

import msgspec
from msgspec import Meta

GROUP: Final = "christmas.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = "christmas.dev/v1alpha1"

Name = Annotated[
    str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?$", description="A DNS label of at most 53 characters.")
]
Symbol = Annotated[
    str, Meta(pattern=r"^[A-Z0-9.]{1,20}(/[A-Z0-9]{1,10})?(:[A-Z0-9]{1,10})?$", description="For example BTC/USDT.")
]
DecimalText = Annotated[
    str, Meta(pattern=r"^\d{1,20}(\.\d{1,18})?$", description="A decimal number as text: binary floats are not exact.")
]
Percent = Annotated[
    str, Meta(pattern=r"^\d{1,4}(\.\d{1,8})?%$", description="A percentage as text, for example 0.05%.")
]
Duration = Annotated[
    str, Meta(pattern=r"^([1-9]\d{0,6})(ms|s|m|h|d)$", description="A span of time: 500ms, 5s, 1m, 2h, 1d.")
]
Cpu = Annotated[str, Meta(pattern=r"^\d{1,6}m?$")]
Memory = Annotated[str, Meta(pattern=r"^\d{1,8}(Ki|Mi|Gi)$")]

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
    cpu: Cpu | None = None
    memory: Memory | None = None


class Resources(Spec, frozen=True, kw_only=True):
    requests: ResourceRequirements = ResourceRequirements(cpu="20m", memory="48Mi")
    limits: ResourceRequirements = ResourceRequirements(cpu="500m", memory="128Mi")


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

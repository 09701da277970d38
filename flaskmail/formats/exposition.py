"""Figures as Prometheus reads them: its text format, version 0.0.4."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Sample:
    """One value. suffix: behind the family's name (``_bucket``)."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """The values of one figure. help: a sentence."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    samples: Iterable[Sample]


def histogram(
    bounds: Iterable[float], counts: Iterable[float], total: float, labels: Mapping[str, str]
) -> list[Sample]:
    """The samples of one histogram. counts: of each bucket alone, one more than bounds; total: the sum of all values."""
    found: list[Sample] = []
    so_far = 0.0
    for bound, count in zip((*bounds, math.inf), counts, strict=True):
        so_far += count
        found.append(Sample(so_far, {**labels, "le": _number(bound)}, "_bucket"))
    return [*found, Sample(total, labels, "_sum"), Sample(so_far, labels, "_count")]


def exposition(families: Iterable[Family]) -> bytes:
    """The text."""
    lines: list[str] = []
    for family in families:
        lines.append(f"# HELP {family.name} {_escaped(family.help)}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        for one in family.samples:
            labels = ",".join(f'{name}="{_escaped(value, quoted=True)}"' for name, value in one.labels.items())
            lines.append(f"{family.name}{one.suffix}{f'{{{labels}}}' if labels else ''} {_number(one.value)}")
    return "".join(f"{line}\n" for line in lines).encode()


def _escaped(text: str, quoted: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quoted else text


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)

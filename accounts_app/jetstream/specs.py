"""Frozen values: the streams, buckets and consumers that a document says of one account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Deletion = Literal["keep", "delete"]
StreamKind = Literal["stream", "kv", "object"]
Config = Mapping[str, Any]  # {setting: canonical value}, only what was said


@dataclass(frozen=True, slots=True)
class ConsumerSpec:
    """One durable consumer. deletion: what becomes of it when nobody asks for it any more."""

    name: str
    config: Config = field(default_factory=dict)
    deletion: Deletion = "keep"


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """One stream, or the stream under a bucket. name: the server's, KV_… and OBJ_… for buckets.

    consumers: exactly these; None: those that are there stay as they are.
    """

    kind: StreamKind
    name: str
    config: Config = field(default_factory=dict)
    deletion: Deletion = "keep"
    consumers: tuple[ConsumerSpec, ...] | None = None


AssetsSpec = tuple[StreamSpec, ...]

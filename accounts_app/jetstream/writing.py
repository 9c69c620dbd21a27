"""Specs of streams, buckets and consumers → what a document says of them; `reading` reads it back."""

from __future__ import annotations

from typing import Any

from accounts_app.jetstream.names import bucket_of
from accounts_app.jetstream.reading import KEYS
from accounts_app.jetstream.settings import settings_of
from accounts_app.jetstream.specs import AssetsSpec, Config, ConsumerSpec, StreamSpec
from accounts_app.jetstream.words import write_value


def write_assets(specs: AssetsSpec) -> dict[str, list[dict[str, Any]]]:
    """The fields of an account that say these; without any, an empty list of streams: it shall have none."""
    found = {key: [_stream(spec) for spec in specs if spec.kind == kind] for key, kind in KEYS.items()}
    return {key: those for key, those in found.items() if those} or {"streams": []}


def write_config(kind: str, config: Config) -> dict[str, Any]:
    """{setting: as people write it}, in the order of the settings."""
    return {name: write_value(setting, config[name]) for name, setting in settings_of(kind).items() if name in config}


def _stream(spec: StreamSpec) -> dict[str, Any]:
    consumers = {} if spec.consumers is None else {"consumers": [_named("consumer", each) for each in spec.consumers]}
    return {**_named(spec.kind, spec), **consumers}


def _named(kind: str, spec: StreamSpec | ConsumerSpec) -> dict[str, Any]:
    deletion = {} if spec.deletion == "keep" else {"deletion": spec.deletion}
    return {"name": bucket_of(kind, spec.name), **write_config(kind, spec.config), **deletion}

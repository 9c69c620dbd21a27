"""What a blueprint would make, as its page shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _

from accounts_app import units
from accounts_app.jetstream.differences import in_words
from accounts_app.jetstream.names import bucket_of
from accounts_app.jetstream.settings import UNLIMITED, settings_of
from provisioning.blueprints.submit import Look

SHOWN = 100  # changes in words
KINDS: dict[str, tuple[str, Any]] = {
    "stream": ("database", _("stream")),
    "kv": ("key_vertical", _("KV bucket")),
    "object": ("folder_zip", _("object bucket")),
}
_CREDENTIALS = {"nkey": _("nkey"), "password": _("password"), "certificate": _("certificate")}
_SIZES = ("max_file", "max_mem", "max_payload", "disk_max_stream_bytes", "mem_max_stream_bytes")
_TOLD = ("retention", "max_age", "ttl", "max_bytes", "max_msgs", "history", "replicas", "storage")  # of a stream


def told_look(look: Look) -> dict[str, Any]:
    """The context of `look.html`."""
    changes = list(look.preview.get("changes", ()))
    return {
        "looked": True,
        "good": look.good,
        "accounts": [_account(account) for account in look.accounts],
        "problems": list(look.problems),
        "notes": list(look.notes),
        "warned": sorted(look.preview.get("warnings", ()), key=lambda one: one["severity"] != "loses")[:SHOWN],
        "same": look.same,
        "all_new": all(account.get("new") for account in look.accounts),
        "said": [{"text": one["text"], "danger": one["removes_access"]} for one in _dangers_first(changes)[:SHOWN]],
        "unsaid": max(0, len(changes) - SHOWN),
    }


def _dangers_first(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(changes, key=lambda change: not change["removes_access"])


def _account(told: Mapping[str, Any]) -> dict[str, Any]:
    users = [{**user, "credential": _CREDENTIALS.get(user["credential"], user["credential"])} for user in told["users"]]
    jetstream = told.get("jetstream")
    return {
        **told,
        "users": users,
        "more_users": told["users_total"] - len(users),
        "kept": told["users_total"] - told["users_new"],
        "limits": list(_limits(told["limits"])),
        "jetstream": None if jetstream is None else list(_limits(jetstream)),
        "streams": [_stream(stream) for stream in told["streams"]],
    }


def _limits(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in told.items():
        if isinstance(value, bool) or not isinstance(value, int) or value in (UNLIMITED, 0):
            continue
        yield name.replace("_", " "), units.size(value) if name in _SIZES else units.count(value)


def _stream(told: Mapping[str, Any]) -> dict[str, Any]:
    kind, config = told["kind"], told["config"]
    known = settings_of(kind)
    said = []
    for name in _TOLD:
        setting = known.get(name)
        value = config.get(name)
        if setting is None or value is None or value == setting.default:
            continue
        shown = units.size(value) if setting.type == "bytes" else in_words(kind, name, value)
        said.append(f"{setting.title.lower()} {shown}")
    icon, word = KINDS.get(kind, ("database", kind))
    name = told["name"] if kind == "stream" else bucket_of(kind, told["name"])
    subjects = ", ".join(config.get("subjects") or ())
    consumers = told["consumers"]
    return {
        "icon": icon,
        "word": word,
        "name": name,
        "subjects": subjects,
        "said": ", ".join(said),
        "consumers": say("read by %s") % ", ".join(consumers) if consumers else "",
    }

"""The six figures of the overview as the first paint shows them; static/monitoring/overview.js moves them on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from accounts_app import units

NEAR = 90.0  # percent of a limit: from here on it is said


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure. page: the live page that tells more; values: [(word before it, text)]; small: what it means."""

    name: str
    title: Any
    page: str
    values: tuple[tuple[Any, str], ...]
    small: Any = ""
    alarm: bool = False


def figures(told: Mapping[str, Any] | None) -> list[Figure]:
    """Figures of an `overview` frame; all unknown without one."""
    f = told or {}
    get = f.get
    used = units.share(get("js_storage"), get("js_max_storage"))
    limit = units.size(get("js_max_storage"))
    into, out = _("in"), _("out")
    return [
        Figure(
            "connections",
            _("Connections"),
            "connections",
            (("", units.count(get("connections"))),),
            _("%s subscriptions") % units.count(get("subscriptions")),
        ),
        Figure(
            "messages",
            _("Messages"),
            "accounts",
            ((into, units.rate(get("in_msgs_rate"))), (out, units.rate(get("out_msgs_rate")))),
        ),
        Figure(
            "bytes",
            _("Bytes"),
            "accounts",
            ((into, units.size_rate(get("in_bytes_rate"))), (out, units.size_rate(get("out_bytes_rate")))),
        ),
        Figure(
            "jetstream",
            _("JetStream use"),
            "jetstream",
            (("", units.size(get("js_storage"))),),
            _("no limit known")
            if used is None
            else _("%(share)s of %(limit)s") % {"share": units.percent(used), "limit": limit},
            used is not None and used > NEAR,
        ),
        Figure(
            "refused",
            _("Refused logins"),
            "failures",
            (("", units.count(get("auth_failures"))),),
            _("in the last 10 minutes"),
            bool(get("auth_failures")),
        ),
        Figure(
            "slow",
            _("Slow consumers"),
            "servers",
            (("", units.count(get("slow_consumers"))),),
            _("fell behind in 10 minutes"),
            bool(get("slow_consumers")),
        ),
    ]

"""REST: systems, and the servers that were seen in them."""

from __future__ import annotations

from typing import Any

from accounts_app.api import filters
from accounts_app.api import serializers as told
from accounts_app.api.rows import (
    BY_NAME,
    ConfigResource,
    RowResource,
    Rows,
)
from accounts_app.models import (
    Server,
    System,
)
from accounts_app.servers import forget_server


class Systems(ConfigResource):
    """Servers that share one set of accounts. `up` makes the first; none can be made or deleted here."""

    model = System
    serializer_class = told.SystemSerializer
    http_method_names = ["get", "head", "options", "patch"]
    columns = {
        name: name for name in ("id", "name", "environment", "drift_policy", "conf_dir", "nats_url", "public_url")
    } | {
        "stage": "stage",
        "wanted": "wanted",
        "done": "done",
        "problem": "problem",
        "revision": "revision",
        "checked_at": "checked_at",
    }
    ordering = BY_NAME
    search_fields = ["name"]
    UNSTABLE = ("state", "stage", "problem", "revision", "checked_at")

    def finished(self, rows: Rows) -> Rows:
        for row in rows:
            behind = row.pop("wanted") != row.pop("done")
            row["state"] = "failed" if row["problem"] else "pending" if behind else "applied"
            if row["stage"] != System.Stage.MANAGED:
                row["state"] = row["stage"]
        return rows

    def home(self, row: Any) -> System:
        return System(pk=row.pk)


class Servers(RowResource):
    """What was last seen of each server. One that doesn't answer can be deleted: then nobody waits for it any more."""

    model = Server
    http_method_names = ["get", "head", "options", "delete"]
    UNSTABLE = ("state", "detail", "version", "host", "server_id", "revision", "config_digest", "seen_at")
    serializer_class = told.ServerSerializer
    filterset_class = filters.ServerFilter
    columns = {"id": "id", "system": "system__name"} | {
        name: name
        for name in ("name", "state", "detail", "version", "host", "server_id", "revision", "config_digest", "seen_at")
    }
    ordering = BY_NAME
    search_fields = ["name", "host"]

    def remove(self, row: Server) -> None:
        forget_server(row)

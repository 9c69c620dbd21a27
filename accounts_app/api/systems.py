"""REST: systems, and the servers that were seen in them."""

from __future__ import annotations

from typing import Any

from accounts_app.access import require_whole
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
from accounts_app.systems import add_system, check_lent


class Systems(ConfigResource):
    """Servers that share one set of accounts. `up` makes the first; one whose servers nunect didn't start is made here,
    and only observed until somebody says otherwise. One that nunect doesn't manage is removed by `remove/`."""

    model = System
    serializer_class = told.SystemSerializer
    http_method_names = ["get", "head", "options", "post", "patch"]
    columns = {
        name: name
        for name in (
            "id",
            "name",
            "environment",
            "drift_policy",
            "conf_dir",
            "nats_url",
            "public_url",
            "tls_ca",
            "tls_certificate",
            "tls_first",
            "login_user",
        )
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

    def make(self, data: dict[str, Any]) -> System:
        require_whole(self.request.user)
        return add_system(System(**{"drift_policy": System.DriftPolicy.ASK, **data}))

    def change(self, row: System, data: dict[str, Any]) -> System:
        if "nats_url" in data and "login_secret" not in data:
            check_lent(row, data["nats_url"])
        changed: System = super().change(row, data)
        return changed

    def system_of(self, data: dict[str, Any]) -> System:
        """Of the servers of no system anything changes: any may stand for the new one."""
        return System.objects.order_by("pk").first() or System()

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

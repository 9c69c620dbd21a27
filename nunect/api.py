"""Where each REST resource stands, and the schema of all."""

from __future__ import annotations

from functools import cache
from typing import Any, NoReturn

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path, re_path
from django.views.defaults import server_error
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer2, OpenApiYamlRenderer2
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.exceptions import NotFound
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView

from accounts_app.api import accounts, assets, documents, rights, sharing, systems, tokens, trail, users
from accounts_app.api.problems import MEDIA_TYPE, body_of
from monitoring import api as monitoring
from monitoring import events_api
from monitoring import live_acts_api as live_acts
from monitoring import live_api as live
from monitoring import live_tables_api as live_tables
from nunect.backup import api as backups
from provisioning.api import blueprints, connecting, decisions, hand_overs, jobs, retiring, stages, takeover


class SchemaView(SpectacularAPIView):
    """The schema, made once a process: JSON, or YAML for who accepts only that."""

    renderer_classes = [OpenApiJsonRenderer2, OpenApiYamlRenderer2]
    throttle_classes = []

    def _get_schema_response(self, request: Any) -> Response:
        return Response(_schema())


@cache
def _schema() -> Any:
    return SchemaGenerator().get_schema(request=None, public=True)


class Nowhere(APIView):
    """Any other address: a problem like all others, not a page."""

    schema = None

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> NoReturn:
        super().initial(request, *args, **kwargs)
        ends = "" if request.path.endswith("/") else " Addresses end with a slash."
        raise NotFound(f"There is no such address.{ends}")


def failed(request: HttpRequest) -> HttpResponse:
    """What is told of a fault of ours: a problem to programs, a page to people."""
    if not request.path.startswith("/api/"):
        return server_error(request)
    told = body_of(500, [("", "nunect has failed at this; its log says why.")])
    return JsonResponse(told, status=500, content_type=MEDIA_TYPE)


router = SimpleRouter(use_regex_path=True)
for name, view in (
    ("systems", systems.Systems),
    ("servers", systems.Servers),
    ("accounts", accounts.Accounts),
    ("roles", rights.Roles),
    ("users", users.Users),
    ("permissions", rights.Permissions),
    ("exports", sharing.Exports),
    ("imports", sharing.Imports),
    ("mappings", sharing.Mappings),
    ("streams", assets.Streams),
    ("kv-buckets", assets.KvBuckets),
    ("object-buckets", assets.ObjectBuckets),
    ("consumers", assets.Consumers),
    ("revisions", decisions.Revisions),
    ("holds", decisions.Holds),
    ("drifts", decisions.Drifts),
    ("jobs", jobs.Jobs),
    ("tokens", tokens.Tokens),
    ("audit", trail.Audit),
):
    router.register(name, view, basename=name)

urlpatterns = [
    path("apply/", documents.Apply.as_view(), name="apply"),
    path("import/", documents.Import.as_view(), name="import"),
    path("me/", trail.Me.as_view(), name="me"),
    path("health/", monitoring.Health.as_view(), name="health"),
    path("doctor/", monitoring.Doctor.as_view(), name="doctor"),
    path("live/servers/", live_tables.Servers.as_view(), name="live-servers"),
    path("live/accounts/", live_tables.Accounts.as_view(), name="live-accounts"),
    path("live/connections/", live_tables.Connections.as_view(), name="live-connections"),
    path("live/connections/kick/", live_acts.KickConnection.as_view(), name="live-kick"),
    path("live/connections/<str:server_id>/<int:cid>/", live_acts.OneConnection.as_view(), name="live-connection"),
    path("live/failures/", live_tables.Failures.as_view(), name="live-failures"),
    path("live/streams/", live_tables.Streams.as_view(), name="live-streams"),
    path("live/consumers/", live_tables.Consumers.as_view(), name="live-consumers"),
    path("live/topics/<str:topic>/", live.OneTopic.as_view(), name="live-topic"),
    path("live/series/", live.Series.as_view(), name="live-series"),
    path("live/events/", events_api.Events.as_view({"get": "list"}), name="live-events"),
    path("schema/", SchemaView.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("systems/<int:pk>/retry/", decisions.RetrySystem.as_view(), name="system-retry"),
    path("systems/connection/", connecting.TryNewConnection.as_view(), name="systems-connection"),
    path("systems/<int:pk>/connection/", connecting.TryConnection.as_view(), name="system-connection"),
    path("systems/<int:pk>/difference/", stages.LookAtDifference.as_view(), name="system-difference"),
    path("systems/<int:pk>/difference/adopt/", stages.AdoptDifference.as_view(), name="system-difference-adopt"),
    path("systems/<int:pk>/observe/", stages.Observe.as_view(), name="system-observe"),
    path("systems/<int:pk>/manage/", stages.Manage.as_view(), name="system-manage"),
    path("systems/<int:pk>/release/", stages.Release.as_view(), name="system-release"),
    path("systems/<int:pk>/remove/", stages.Remove.as_view(), name="system-remove"),
    path("systems/<int:pk>/release/undo/", stages.UndoRelease.as_view(), name="system-release-undo"),
    path("backups/", backups.Backups.as_view(), name="backups-kept"),
    path("backups/<str:name>/", backups.OneBackup.as_view(), name="backup-kept"),
    path("takeover/", takeover.TakeOvers.as_view(), name="takeover"),
    path("takeover/undo/", takeover.UndoTakeOver.as_view(), name="takeover-undo"),
    path("accounts/<int:pk>/retry/", decisions.RetryAccount.as_view(), name="account-retry"),
    path("accounts/<int:pk>/retire/", retiring.Retire.as_view(), name="account-retire"),
    path("blueprints/", blueprints.Blueprints.as_view(), name="blueprints"),
    path("blueprints/<slug:name>/", blueprints.OneOfThem.as_view(), name="blueprint"),
    path("blueprints/<slug:name>/enable/", blueprints.Enable.as_view(), name="blueprint-enable"),
    path("blueprints/<slug:name>/disable/", blueprints.Disable.as_view(), name="blueprint-disable"),
    path("blueprints/<slug:name>/provision/", blueprints.Provision.as_view(), name="blueprint-provision"),
    path("hand-overs/open/", hand_overs.Open.as_view(), name="hand-over-open"),
    *router.urls,
    re_path("", Nowhere.as_view()),
]

"""Where each door stands."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from monitoring.metrics_view import metrics
from nunect.backup import pages

admin.autodiscover()
handler500 = "nunect.api.failed"
urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/live/", include("monitoring.live_urls")),  # before the admin, which answers all the rest below it
    path("admin/backups/", admin.site.admin_view(pages.backups), name="backups"),
    path("admin/backups/<str:name>/", admin.site.admin_view(pages.download), name="backup"),
    path("admin/", admin.site.urls),
    path("", include("nunect.rest_urls")),
    path("metrics", metrics, name="metrics"),
    path("", include("monitoring.urls")),
]

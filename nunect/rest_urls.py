"""Where the doors stand that need no page of the admin: REST, and the links to credentials."""

from django.urls import include, path

handler500 = "nunect.api.failed"
urlpatterns = [
    path("api/v1/", include("nunect.api")),
    path("handover/", include("provisioning.handover_views")),  # no log-in: a one-time link is all that it takes
]

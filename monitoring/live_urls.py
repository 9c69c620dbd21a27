"""Where the live pages stand: below the admin, in its own shell."""

from django.urls import path

from monitoring import live_views

app_name = "live"
urlpatterns = [
    path("revision/<int:number>/", live_views.revision, name="revision"),
    path("server/<str:name>/", live_views.server, name="server"),
    path("account/<str:name>/", live_views.account, name="account"),
    path("stream/<str:account>/<str:name>/", live_views.stream, name="stream"),
    path("consumer/<str:account>/<str:stream>/<str:name>/", live_views.consumer, name="consumer"),
    path("<slug:name>/", live_views.page, name="page"),
]

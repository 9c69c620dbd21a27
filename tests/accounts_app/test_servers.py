"""Letting go of a server that is gone for good, through every door."""

import pytest
from django.core.exceptions import ValidationError

from accounts_app.models import AuditEntry, Server
from accounts_app.servers import forget_server
from tests import factories
from tests.api.conftest import Api, token_of


@pytest.fixture
def ada(db):
    return factories.admin()


@pytest.fixture
def servers(ada):
    system = factories.system()
    make = Server.objects.create
    there = make(system=system, name="n1", server_id="N1", state="in_sync", revision=3)
    return there, make(system=system, name="n2", server_id="N2", state="unreachable", revision=2)


def test_a_server_that_answers_stays(servers):
    there, gone = servers
    with pytest.raises(ValidationError, match="“n1” answers"):
        forget_server(there)
    forget_server(gone)
    with pytest.raises(ValidationError, match="forgotten already"):
        forget_server(gone)
    assert [server.name for server in Server.objects.all()] == ["n1"]


def test_rest_forgets_one_and_writes_it_down(ada, servers):
    there, gone = servers
    api = Api(token_of(ada))
    refused = api.delete(f"servers/{there.pk}/")
    assert (refused.status_code, "answers" in refused.data["detail"]) == (422, True)
    assert api.delete(f"servers/{gone.pk}/?dry_run=true").status_code == 200
    assert Server.objects.count() == 2
    told = api.delete(f"servers/{gone.pk}/")
    assert (told.status_code, told.data["id"]) == (200, gone.pk)
    assert api.delete(f"servers/{gone.pk}/").status_code == 404
    entry = AuditEntry.objects.get(act="server forgotten")
    assert (entry.person_name, entry.object_name, entry.detail["revision"]) == (ada.username, "n2", 2)
    assert api.post("servers/", {"name": "n3"}).status_code == 405


def test_only_a_token_of_administrators_may(ada, servers):
    _, gone = servers
    assert Api(token_of(ada, "write")).delete(f"servers/{gone.pk}/").status_code == 403
    assert Api(token_of(ada, "read")).delete(f"servers/{gone.pk}/").status_code == 403
    assert Server.objects.filter(pk=gone.pk).exists()


def test_the_admin_forgets_one_that_does_not_answer(client, ada, servers):
    there, gone = servers
    client.force_login(ada)
    page = "/admin/accounts_app/server/{}/delete/".format
    assert client.get(page(there.pk)).status_code == 403
    assert client.post(page(there.pk), {"post": "yes"}).status_code == 403
    assert "Nobody waits" in client.get(page(gone.pk)).content.decode()
    assert client.post(page(gone.pk), {"post": "yes"}).status_code == 302
    assert [server.name for server in Server.objects.all()] == ["n1"]


def test_who_may_not_delete_servers_may_not_in_the_admin(client, servers):
    client.force_login(factories.staff("sam", "accounts_app.view_server"))
    assert client.post(f"/admin/accounts_app/server/{servers[1].pk}/delete/", {"post": "yes"}).status_code == 403
    assert Server.objects.count() == 2

"""The path of a save on a cluster of three, whose servers come and go."""

import signal

from accounts_app.models import Server
from provisioning.models import Drift, Revision


def states():
    return {server.name: (server.state, server.revision) for server in Server.objects.all()}


def reloads(cluster):
    return [cluster.log_of(name).read_text().count("Reloaded server configuration") for name in cluster.names]


def test_a_server_that_was_away_is_told_once_and_is_no_drift(cluster):
    first = cluster.apply()
    assert [server["name"] for server in first.servers] == ["n1", "n2", "n3"]
    away = cluster.followers()[-1]
    cluster.stop(away)
    cluster.account("A", jetstream=True)
    second = cluster.apply()
    assert states()[away] == ("unreachable", first.number)
    cluster.start(away)
    cluster.apply(fresh=True)
    assert set(states().values()) == {("in_sync", second.number)}
    second.refresh_from_db()
    assert [server["name"] for server in second.servers] == ["n1", "n2", "n3"]
    before = reloads(cluster)
    cluster.apply(fresh=True)
    assert reloads(cluster) == before
    assert not Drift.objects.exists()
    assert Revision.objects.count() == 2


def test_a_server_that_slept_through_a_revision_follows_and_is_no_drift(cluster):
    cluster.system.drift_policy = "ask"
    cluster.system.save(update_fields=["drift_policy"])
    first = cluster.apply()
    away = cluster.followers()[-1]
    cluster.signal(signal.SIGSTOP, away)
    cluster.account("A")
    second = cluster.apply()
    assert states()[away] == ("unreachable", first.number)
    cluster.signal(signal.SIGCONT, away)
    cluster.until_led()
    cluster.apply(fresh=True)
    assert set(states().values()) == {("in_sync", second.number)}
    assert not Drift.objects.exists()


def test_a_main_file_that_was_edited_is_no_drift_whichever_it_is(cluster):
    cluster.apply()
    main = cluster.main_of("n2")
    main.write_text(main.read_text().replace("{ timeout: 2,", "{ timeout: 3,"))
    cluster.restart("n2")
    before = reloads(cluster)
    cluster.apply(fresh=True)
    assert (Drift.objects.count(), reloads(cluster)) == (0, before)

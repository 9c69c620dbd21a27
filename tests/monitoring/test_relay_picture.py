"""The picture: repeats are no events, rates survive restarts, what is gone is gone."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from monitoring.events import Event, Refusal
from monitoring.relay import feed
from monitoring.relay.accounts import AccountRow
from monitoring.relay.picture import Picture
from monitoring.relay.rates import Rates
from monitoring.relay.series import Sampler
from monitoring.relay.servers import Intended
from monitoring.relay.who import Who
from monitoring.sysevents import Connected, Disconnected, Refused, read_event, read_reply
from monitoring.tables import METRICS, TABLES
from tests.monitoring import said

NOW = 1795546800.0


def seen(picture, *messages, now=NOW):
    return [news for message in messages for news in picture.take_event(read_event(*message), now)]


def answered(picture, what, data, asked=NOW, now=NOW):
    return list(picture.take_reply(read_reply(what, data), asked, now))


def statsz(picture, now=NOW, **more):
    return answered(picture, "STATSZ", said.stats(**more), now=now)


def rows(picture, name, who=lambda login: Who(), now=NOW):
    return [dict(zip(TABLES[name], row, strict=True)) for row in picture.table(name, who, now)[name]]


def test_a_reload_repeats_every_login_and_nothing_has_happened():
    picture = Picture()
    first = seen(picture, said.connect(9), said.connect(10))
    assert [type(news) for news in first] == [Connected, Connected]
    assert seen(picture, said.connect(9, at="2026-11-24T19:05:00Z"), said.connect(10)) == []
    assert picture.counts["connect"] == 2


def test_a_repeat_of_a_login_before_our_time_is_none_either():
    picture = Picture()
    assert seen(picture, said.connect(9, at="2026-11-24T19:00:30Z")) == []
    assert len(rows(picture, "connections")) == 1


def test_a_login_that_a_page_has_shown_before_is_news_all_the_same():
    """The server's answer may overtake its event, and show a client that has not signed in yet."""
    picture = Picture()
    early, late = said.connection(9), said.connection(10, authorized_user=None)
    answered(picture, "CONNZ", said.page(early, late))
    assert len(seen(picture, said.connect(9), said.connect(10, at="2026-11-24T19:00:09Z"))) == 2
    assert seen(picture, said.connect(9), said.connect(10, at="2026-11-24T19:00:09Z")) == []
    assert picture.counts["connect"] == 2


def test_who_never_said_a_name_has_not_left_either():
    picture = Picture()
    answered(picture, "CONNZ", said.page(said.connection(9, authorized_user=None)))
    assert seen(picture, said.disconnect(9, "$G", user="")) == []


def test_the_same_number_at_a_server_that_was_started_anew_is_another_client():
    picture = Picture()
    seen(picture, said.connect(9))
    subject, data = said.connect(9)
    assert len(seen(picture, (subject, data.replace(b'"NA"', b'"NB"')))) == 1


def test_a_refusal_is_told_once_though_the_server_tells_twice():
    picture = Picture()
    news = seen(picture, said.refusal(11), said.disconnect(11, "$G", reason="Authentication Failure"))
    assert [type(one) for one in news] == [Refused]
    assert (picture.counts["auth_error"], picture.counts["disconnect"]) == (1, 0)


def test_who_was_kept_out_without_an_error_is_refused_and_who_had_signed_in_has_left():
    picture, full = Picture(), "Maximum Account Connections Exceeded"
    seen(picture, said.connect(9))
    late = said.disconnect(12, "$G", reason="Authentication Timeout")
    kept_out = seen(picture, said.disconnect(11, reason=full), late)
    assert [type(one) for one in kept_out] == [Refused, Refused]
    assert [type(one) for one in seen(picture, said.disconnect(9, reason=full))] == [Disconnected]
    assert (picture.counts["auth_error"], picture.counts["disconnect"]) == (2, 1)


def test_refusals_are_grouped_by_who_where_and_why():
    picture = Picture()
    seen(picture, *[said.refusal(cid) for cid in range(20, 25)], said.refusal(30, host="10.0.0.8"))
    found = {row["address"]: row["count"] for row in rows(picture, "failures")}
    assert found == {"10.0.0.7": 5, "10.0.0.8": 1}


def test_nunects_own_logins_are_no_news_and_are_marked():
    picture = Picture(own=frozenset({"UOWN"}))
    assert seen(picture, said.connect(9, user="UOWN"), said.connect(10)) != []
    assert picture.counts["connect"] == 1
    assert [row["own"] for row in rows(picture, "connections")] == [True, False]
    assert seen(picture, said.disconnect(9, user="UOWN")) == []
    assert [type(news) for news in seen(picture, said.disconnect(10))] == [Disconnected]


def test_what_a_page_of_connections_lacks_is_gone_if_it_was_there_when_it_was_asked():
    picture = Picture()
    statsz(picture)
    for cid in (3, 5, 9):
        seen(picture, said.connect(cid), now=NOW)
    seen(picture, said.connect(20), now=NOW + 5)  # after the question
    answered(picture, "CONNZ", said.page(said.connection(3), said.connection(9)), asked=NOW + 1, now=NOW + 6)
    assert sorted(row["cid"] for row in rows(picture, "connections")) == [3, 9, 20]


def test_a_page_judges_only_the_numbers_that_it_spans():
    picture = Picture()
    for cid in (1, 2, 3, 4, 5):
        seen(picture, said.connect(cid))
    answered(picture, "CONNZ", said.page(said.connection(2), said.connection(4), offset=1, total=9), asked=NOW + 1)
    assert sorted(row["cid"] for row in rows(picture, "connections")) == [1, 2, 4, 5]


def test_a_connection_shows_whose_it_is_and_what_changed_its_account_last():
    picture = Picture(known={"A": AccountRow(3, "ada", {}, 41)})
    answered(picture, "CONNZ", said.page(said.connection(4, in_msgs=10)), now=NOW)
    server = {**said.SERVER, "time": "2026-11-24T19:00:02.5Z"}
    answered(picture, "CONNZ", said.page(said.connection(4, in_msgs=30), server=server), now=NOW + 2)
    (row,) = rows(picture, "connections", who=lambda login: Who("svc", 12, "A", 3, "bo"), now=NOW + 2)
    assert (row["user"], row["user_pk"], row["owner"], row["revision"]) == ("svc", 12, "bo", 41)
    assert (row["in_msgs"], row["in_msgs_rate"], row["idle_s"]) == (30, 10.0, 62.0)


def test_a_server_is_in_sync_pending_foreign_or_silent():
    picture = Picture(intended=Intended(7, "abc"))
    statsz(picture, server=said.MARKED)
    assert rows(picture, "servers")[0]["state"] == "in_sync"
    picture.intended = Intended(8, "def", pending=True)
    assert rows(picture, "servers")[0]["state"] == "pending"
    assert rows(picture, "servers", now=NOW + 5)[0]["state"] == "reloading"
    picture.intended = Intended(8, "def")
    assert rows(picture, "servers", now=NOW + 5)[0]["state"] == "unreachable"
    statsz(picture, now=NOW + 6)
    assert rows(picture, "servers", now=NOW + 6)[0]["state"] == "foreign"


def test_a_silent_server_is_said_once_and_again_when_it_speaks():
    picture = Picture()
    statsz(picture)
    assert list(picture.look(NOW, blind=False)) == []
    (lost,) = picture.look(NOW + 5, blind=False)
    assert lost.level == "error" and "n1 doesn't answer" in lost.text
    assert list(picture.look(NOW + 6, blind=False)) == []
    (back,) = statsz(picture, now=NOW + 7)
    assert "answers again" in back.text


def test_when_we_hear_nobody_no_server_is_blamed():
    picture = Picture()
    statsz(picture)
    assert list(picture.look(NOW + 5, blind=True)) == []


def test_a_restarted_server_takes_its_connections_with_it():
    picture = Picture()
    statsz(picture)
    picture.look(NOW, blind=False)
    seen(picture, said.connect(9))
    (news,) = statsz(picture, server={**said.SERVER, "id": "NB"}, start="2026-11-24T19:10:00Z")
    assert "was started" in news.text
    assert rows(picture, "connections") == []


def test_a_configuration_that_was_read_anew_is_an_event():
    picture = Picture()
    statsz(picture, server=said.MARKED)

    def varz(loaded):
        data = {"config_digest": "sha256:1", "config_load_time": loaded}
        return answered(picture, "VARZ", said.packed({"server": said.MARKED, "data": data}))

    assert varz("2026-11-24T19:00:00Z") == []
    (news,) = varz("2026-11-24T19:00:09Z")
    assert (news.kind, news.revision) == ("reload", 7)
    assert varz("2026-11-24T19:00:09Z") == []


def test_a_relay_that_begins_anew_makes_no_leap_of_what_was_counted_before():
    picture, sums = Picture(), {"msgs": 1_000_000, "bytes": 1_000_000}

    def statz(more, at):
        grown = {"msgs": sums["msgs"] + more, "bytes": sums["bytes"]}
        server = {**said.SERVER, "time": f"2026-11-24T19:00:0{at}Z"}
        accounts = [{"acc": "A", "conns": 1, "received": grown, "sent": sums}]
        answered(picture, "STATZ", said.packed({"server": server, "data": {"account_statz": accounts}}))

    statz(0, 1)  # before the server has said when it was started
    statsz(picture)
    for more, at in ((10, 2), (20, 3)):
        statz(more, at)
        assert rows(picture, "accounts")[0]["in_msgs_rate"] <= 10.0


def test_what_was_refused_is_known_again_by_the_next_relay():
    first, second = Picture(), Picture()
    (news,) = seen(first, said.refusal(11))
    told = feed.refused(news, Refusal("password", "The password is wrong.", "Rotate it.", 12, "svc", "A", 3, "ada"))
    second.failures.restore(told)
    second.restore([(NOW - 30, tuple(3.0 if name == "auth_failures" else 0.0 for name in METRICS))])
    seen(second, said.refusal(12))
    (row,) = rows(second, "failures")
    assert (row["count"], row["user_pk"], row["why"], row["owner"]) == (2, 12, "The password is wrong.", "ada")
    second.point(NOW)
    assert second.overview(NOW, [])["figures"]["auth_failures"] == 4


def test_a_noisy_account_leaves_the_last_events_of_the_others():
    picture = Picture()
    picture.tell([Event(NOW, "q", "connect", "quiet", account="QUIET")])
    picture.tell([Event(NOW + n, str(n), "connect", "noise", account="NOISY") for n in range(500)])
    assert [event["text"] for event in picture.account("QUIET")["events"]] == ["quiet"]


def test_the_system_is_counted_without_nunects_own():
    picture = Picture(own=frozenset({"UOWN"}))
    statsz(picture)
    seen(picture, said.connect(9, user="UOWN", account="$SYS"), said.connect(10), said.connect(11))
    point = dict(zip(METRICS, picture.point(NOW)["system"], strict=True))
    assert point["connections"] == 2


def test_refusals_of_a_second_are_in_its_point_and_of_ten_minutes_in_the_figure():
    picture = Picture()
    statsz(picture)
    seen(picture, said.refusal(11), said.refusal(12))
    assert dict(zip(METRICS, picture.point(NOW)["system"], strict=True))["auth_failures"] == 2
    assert dict(zip(METRICS, picture.point(NOW + 1)["system"], strict=True))["auth_failures"] == 0
    assert picture.overview(NOW + 2, [])["figures"]["auth_failures"] == 2
    assert picture.overview(NOW + 700, [])["figures"]["auth_failures"] == 0


@given(
    st.lists(
        st.tuples(st.floats(0.01, 10), st.integers(0, 1000), st.booleans()),
        min_size=1,
        max_size=30,
    )
)
def test_no_rate_is_ever_negative_and_what_grew_adds_up(steps):
    """A counter that only grows but for restarts: the growths add up to all that was counted since the first look."""
    at, total, start, grown, all_counted = 0.0, 0, 0, 0, 0
    rates = Rates(at, (0,), "0")
    for passed, more, restarted in steps:
        at += passed
        if restarted:
            total, start = 0, start + 1
        total += more
        all_counted += more
        (each,) = rates.take(at, (total,), str(start))
        grown += each
        assert rates.values[0] >= 0 and each >= 0
    (rest,) = rates.take(at + 1, (total,), str(start))
    assert grown + rest <= all_counted
    if not any(restarted for _, _, restarted in steps):
        assert grown + rest == all_counted


def test_ten_seconds_are_the_mean_of_their_points_and_the_sum_of_what_is_counted():
    sampler, index = Sampler(), METRICS.index("auth_failures")
    done = None
    for second in range(11):
        point = [float(second)] * len(METRICS)
        point[index] = 1.0
        done, _ = sampler.take(NOW + second, {"system": tuple(point)})
    began, values = done
    assert began == NOW
    assert values["system"][0] == 4.5 and values["system"][index] == 10.0


def test_a_stream_is_told_once_as_its_leader_tells_it():
    picture = Picture()

    def jsz(name, leader, messages):
        state = {"messages": messages, "bytes": 5, "consumer_count": 0}
        stream = {"name": "S", "cluster": {"leader": leader}, "config": {"num_replicas": 3}, "state": state}
        detail = [{"name": "A", "storage": 5, "memory": 0, "stream_detail": [stream]}]
        server = {**said.SERVER, "name": name, "id": f"N{name}"}
        return said.packed({"server": server, "data": {"total": 1, "account_details": detail}})

    for name, messages in (("n1", 7), ("n2", 9), ("n3", 8)):
        answered(picture, "JSZ", jsz(name, "n2", messages))
    (row,) = rows(picture, "streams")
    assert (row["messages"], row["leader"], row["server"]) == (9, "n2", "n2")
    (account,) = rows(picture, "accounts")
    assert (account["streams"], account["js_storage"]) == (1, 15)


def test_who_speaks_is_replaced_never_edited():
    event = read_event(*said.connect(9))
    assert replace(event.server, revision=9).revision == 9 and event.server.revision is None

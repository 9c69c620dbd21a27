"""Differences and what is observed, in the admin: shown, and answered."""

import pytest

from accounts_app.jetstream.differences import drift_digest
from accounts_app.models import Stream
from tests import factories
from tests.admin.asset_rows import DAY_NS, STREAMS, address, observed, seen


def test_a_difference_is_shown_and_answered(page, of):
    row = seen(factories.stream(of, max_age=7 * DAY_NS), max_age=DAY_NS)
    text = page.get(address(row)).content.decode()
    assert row.state == "drifted"
    for words in ("Age", "7d", "1d", "Adopt what is there", "Revert to the row", "Ignore"):
        assert words in text, words
    shown = {"shown": drift_digest(row.drift)}
    page.post(address(row, "answer"), {**shown, "answer": "ignore", "days": "7"})
    row.refresh_from_db()
    assert (row.ignored, row.state) == (True, "applied")
    before = row.wanted
    page.post(address(row, "answer"), {**shown, "answer": "revert"})
    row.refresh_from_db()
    assert (row.wanted > before, row.config["max_age"]) == (True, 7 * DAY_NS)
    row = seen(row, max_age=DAY_NS)
    page.post(address(row, "answer"), {**shown, "answer": "adopt"})
    row.refresh_from_db()
    assert (row.config["max_age"], row.drift) == (DAY_NS, [])


def test_what_reverting_loses_is_said_before_and_never_done_to_many(page, of):
    row = seen(factories.stream(of, max_msgs=10), max_msgs=-1)
    factories.settled(row, counts={"messages": 50, "bytes": 500}, drift=row.drift, seen=row.seen)
    assert "40 of 50 messages go, the oldest ones." in page.get(address(row)).content.decode()
    asked = {"action": "revert_selected", "_selected_action": [row.pk]}
    told = [str(one) for one in page.post(STREAMS, asked, follow=True).context["messages"]]
    assert any("answer on its own page" in one for one in told), told
    row.refresh_from_db()
    assert row.state == "drifted"
    page.post(address(row, "answer"), {"answer": "revert", "shown": drift_digest(row.drift)})
    row.refresh_from_db()
    assert row.drift == []


@pytest.mark.parametrize(
    "said", [{"answer": "adopt", "shown": "of yesterday"}, {"answer": "burn"}, {"answer": "ignore", "days": "x"}, {}]
)
def test_an_answer_to_something_else_does_nothing(page, of, said):
    row = seen(factories.stream(of, max_age=7 * DAY_NS), max_age=DAY_NS)
    if "shown" not in said:
        said = {**said, "shown": drift_digest(row.drift)}
    answer = page.post(address(row, "answer"), said, follow=True)
    assert answer.status_code == 200
    assert list(answer.context["messages"])
    row.refresh_from_db()
    assert (row.state, row.config["max_age"], row.drift_ignored) == ("drifted", 7 * DAY_NS, "")


def test_what_is_gone_can_be_let_go(page, of):
    row = factories.settled(
        factories.stream(of), drift=[{"setting": "", "wanted": None, "seen": None, "words": "Gone."}]
    )
    assert "Let it be gone" in page.get(address(row)).content.decode()
    answer = page.post(address(row, "answer"), {"answer": "adopt", "shown": drift_digest(row.drift)})
    assert answer.url == STREAMS
    assert not Stream.objects.exists()


def test_what_is_observed_has_no_form_and_can_be_managed(page, of):
    row = observed(of)
    text = page.get(address(row)).content.decode()
    assert 'name="_save"' not in text
    for words in ("Adopt it", "old.&gt;", "memory", "word for word"):
        assert words in text, words
    assert page.post(address(row), {"subjects": "x.>"}).status_code == 403
    page.post(address(row, "answer"), {"answer": "manage"})
    row.refresh_from_db()
    assert row.managed
    assert row.config["subjects"] == ["old.>"]
    assert 'name="_save"' in page.get(address(row)).content.decode()


def test_many_are_answered_at_once_and_one_that_cannot_be_keeps_no_other_from_it(page, of):
    one, other = observed(of, "ONE"), observed(factories.account("PLAIN"), "OTHER")
    asked = {"action": "manage_selected", "_selected_action": [one.pk, other.pk]}
    answer = page.post(STREAMS, asked, follow=True)
    assert ["1 managed" in str(told) or "JetStream" in str(told) for told in answer.context["messages"]] == [True, True]
    assert set(Stream.objects.filter(managed=True).values_list("name", flat=True)) == {"ONE"}
    drifted = seen(factories.stream(of, "DRIFTED", max_age=DAY_NS), max_age=2 * DAY_NS)
    page.post(STREAMS, {"action": "adopt_selected", "_selected_action": [drifted.pk]})
    drifted.refresh_from_db()
    assert drifted.config["max_age"] == 2 * DAY_NS

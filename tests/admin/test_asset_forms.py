"""What the forms of streams, buckets and consumers say: each fault once, where it is, and before anything is saved."""

from django.db.models import QuerySet

from accounts_app.models import Consumer, Server, Stream
from tests import factories
from tests.admin.asset_rows import CHOSEN, CONSUMERS, OF_CONSUMER, STREAMS, add, address, errors, seen


def test_a_missing_account_says_nothing_of_subjects(page, of):
    assert set(errors(add(page, of, account="", subjects="orders.>"))) == {"account"}
    assert set(errors(add(page, of, account="", subjects=""))) == {"account", "subjects"}


def test_what_is_wrong_with_a_bucket_is_no_matter_of_subjects(page, of):
    data = {"account": of.pk, "name": "prices", "history": "99", **CHOSEN}
    assert set(errors(page.post(f"{STREAMS}add/?kind=kv", data))) == {"history"}


def test_a_bad_name_is_told_in_one_sentence(page, of):
    assert [len(found) for found in errors(add(page, of, name="a b", subjects="a.>")).values()] == [1]


def test_what_cannot_be_read_is_told_alone(page, of):
    found = errors(add(page, of, subjects="a.>", discard="new", discard_new_per_subject="on", max_msgs_per_subject="x"))
    assert set(found) == {"max_msgs_per_subject"}


def test_what_the_server_would_refuse_is_refused_at_its_field(page, of):
    factories.stream(of, "FIRST", subjects=["orders.>"])
    found = errors(add(page, of, name="SECOND", subjects="orders.new", description="x"))
    assert found == {"subjects": ["“orders.new” overlaps with “orders.>” of stream FIRST, which stores it already."]}
    assert not Stream.objects.filter(name="SECOND").exists()
    server = Server.objects.create(system=of.system, name="n1", server_id="N1", jetstream_max_file=2**30)
    found = errors(add(page, of, name="THIRD", subjects="x.>", replicas="3"))
    assert found == {"replicas": ["There is one server with JetStream, too few for 3 replicas."]}
    QuerySet(Server).filter(pk=server.pk).delete()
    assert add(page, of, name="THIRD", subjects="x.>", replicas="3").status_code == 302


def test_a_section_with_a_fault_in_it_is_not_folded(page, of):
    whole = add(page, of, subjects="a.>", replicas="x").content.decode()
    assert whole.count("<details><summary>") > 1
    opened = add(page, of, subjects="a.>", max_bytes="x").content.decode()
    assert opened.count("<details><summary>") == whole.count("<details><summary>") - 1


def test_the_outlook_still_tells_it_as_a_forecast(page, of):
    factories.stream(of, "FIRST", subjects=["orders.>"])
    data = {"account": of.pk, "name": "SECOND", "subjects": "orders.new", "retention": "limits", "discard": "old"}
    text = page.post(f"{STREAMS}outlook/", {**data, **CHOSEN}).content.decode()
    assert "The server refuses it." in text


def test_what_stays_as_it_is_stands_in_nobodys_way(page, of):
    row = seen(factories.stream(of, subjects=["orders.>"], replicas=3))
    Server.objects.create(system=of.system, name="n1", server_id="N1", jetstream_max_file=2**30)
    form = page.get(address(row)).context["adminform"].form
    data = {name: field.prepare_value(form.initial.get(name)) for name, field in form.setting_fields().items()}
    sent = {name: value for name, value in data.items() if value not in (None, False, [], {})}
    answer = page.post(address(row), {**sent, "deletion": "keep", "description": "what for"})
    assert answer.status_code == 302, errors(answer)
    assert Stream.objects.get().config["description"] == "what for"


def test_only_what_is_there_can_change_no_more(page, of):
    row = factories.stream(of)
    told = "can't change once it is there"
    assert told not in page.get(address(row)).content.decode()
    seen(row)
    assert told in page.get(address(row)).content.decode()


def test_streams_are_offered_with_their_accounts(page, of):
    stream = factories.stream(of)
    other = factories.stream(factories.account("OTHER", jetstream=True))
    asked = {"app_label": "accounts_app", "model_name": "consumer", "field_name": "stream", "term": "ORD"}
    told = page.get("/admin/autocomplete/", asked).json()["results"]
    assert {each["text"] for each in told} == {f"{of.name}/ORDERS", "OTHER/ORDERS"}
    assert f"{of.name}/ORDERS</option>" in page.get(f"{CONSUMERS}add/", {"stream": stream.pk}).content.decode()
    made = page.post(f"{CONSUMERS}add/", {"stream": other.pk, "name": "billing", **OF_CONSUMER})
    assert made.status_code == 302
    assert Consumer.objects.get().stream == other


def test_the_red_button_says_what_goes(page, of):
    row = factories.settled(factories.stream(of))
    text = page.get(address(row, "delete")).content.decode()
    assert 'nu-danger nu-if-keep">Let go of it<' in text
    assert 'nu-danger nu-if-delete">Delete it with its data<' in text

"""Streams, buckets and consumers in documents: read, applied, exported, and told before."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts_app.applying import apply_document, export_document
from accounts_app.documents_text import read_text
from accounts_app.jetstream.specs import ConsumerSpec, StreamSpec
from accounts_app.models import Account, Consumer, Stream
from accounts_app.natsconf.document import DocumentError, read_document, write_document
from accounts_app.natsconf.specs import AccountSpec, JetStreamSpec
from accounts_app.preview import preview
from accounts_app.reconcile import ReconcileError
from tests.jetstream.strategies import CONFIGS

SECOND = 1_000_000_000
TEXT = {
    "accounts": [
        {
            "name": "ORDERS",
            "jetstream": True,
            "streams": [
                {
                    "name": "ORDERS",
                    "subjects": ["orders.>"],
                    "max_age": "7d",
                    "max_bytes": "1GiB",
                    "deletion": "delete",
                    "consumers": [{"name": "billing", "filter_subjects": ["orders.paid"], "ack_wait": "1m"}],
                }
            ],
            "kv_buckets": [{"name": "settings", "history": 5}],
            "object_buckets": [{"name": "files", "max_bytes": "10GiB"}],
        }
    ]
}


def test_a_document_says_streams_and_buckets():
    assets = read_document(TEXT).assets["ORDERS"]
    assert assets == (
        StreamSpec(
            "stream",
            "ORDERS",
            {"subjects": ["orders.>"], "max_age": 7 * 86_400 * SECOND, "max_bytes": 2**30},
            "delete",
            (ConsumerSpec("billing", {"filter_subjects": ["orders.paid"], "ack_wait": 60 * SECOND}),),
        ),
        StreamSpec("kv", "KV_settings", {"history": 5}),
        StreamSpec("object", "OBJ_files", {"max_bytes": 10 * 2**30}),
    )


def test_the_document_of_the_docs_can_be_applied(system):
    page = (Path(__file__).parents[2] / "docs" / "documents.md").read_text("utf-8")
    text = page.split("```yaml\n")[1].split("```")[0]
    apply_document(system, read_document(read_text(text)))
    assert set(Stream.objects.values_list("name", flat=True)) == {"ORDERS", "KV_settings"}


@pytest.mark.parametrize(
    ("more", "where", "sentence"),
    [
        ({"streams": {}}, "streams", "This must be a list."),
        ({"streams": ["ORDERS"]}, "streams[0]", "This must be a map."),
        ({"streams": [{"subjects": ["a"]}]}, "streams[0].name", "This field is required."),
        ({"streams": [{"name": 5, "subjects": ["a"]}]}, "streams[0].name", "This must be text."),
        ({"streams": [{"name": "a.b", "subjects": ["a"]}]}, "streams[0].name", "A name holds no dot"),
        ({"streams": [{"name": "A"}]}, "streams[0].subjects", "A stream needs subjects"),
        (
            {"streams": [{"name": "A", "subjects": ["a"], "subject": "a"}]},
            "streams[0].subject",
            "There is no such field.",
        ),
        ({"streams": [{"name": "A", "subjects": ["a"], "max_age": 7}]}, "streams[0].max_age", "needs its unit"),
        ({"streams": [{"name": "A", "subjects": ["a"], "deletion": "burn"}]}, "streams[0].deletion", "keep, delete"),
        ({"streams": [{"name": "A", "subjects": ["a"]}] * 2}, "streams[1].name", "one of this name"),
        (
            {"streams": [{"name": "A", "subjects": ["a"], "consumers": [{"name": "c", "ack_wait": "soon"}]}]},
            "streams[0].consumers[0].ack_wait",
            "This must be a duration",
        ),
        (
            {"streams": [{"name": "A", "subjects": ["a"], "consumers": [{"name": "c"}, {"name": "c"}]}]},
            "streams[0].consumers[1].name",
            "a consumer of this name",
        ),
        ({"kv_buckets": [{"name": "a b"}]}, "kv_buckets[0].name", "letters, digits, - and _"),
        ({"kv_buckets": [{"name": "a", "history": 100}]}, "kv_buckets[0].history", "64 or less"),
        ({"kv_buckets": [{"name": "a", "consumers": []}]}, "kv_buckets[0].consumers", "There is no such field."),
        ({"kv_buckets": [{"name": "a"}], "jetstream": False}, "jetstream", "needs JetStream"),
        ({"kv_buckets": [{"name": "a"}], "jetstream_control": False}, "jetstream_control", "shown them"),
    ],
)
def test_each_wrong_place_is_told(more, where, sentence):
    with pytest.raises(DocumentError) as refused:
        read_document({"accounts": [{"name": "A", "jetstream": True, **more}]})
    (place,) = refused.value.places
    assert place.where == f"accounts[0].{where}"
    assert sentence in place.sentence


@st.composite
def assets(draw):
    found = []
    for kind, prefix in (("stream", "S"), ("kv", "KV_s"), ("object", "OBJ_s")):
        for number in range(draw(st.integers(0, 2))):
            consumers = None
            if kind == "stream" and draw(st.booleans()):
                consumers = tuple(
                    ConsumerSpec(f"c{at}", draw(CONFIGS["consumer"])) for at in range(draw(st.integers(0, 2)))
                )
            deletion = draw(st.sampled_from(["keep", "delete"]))
            found.append(StreamSpec(kind, f"{prefix}{number}", draw(CONFIGS[kind]), deletion, consumers))
    return tuple(found)


@given(assets())
def test_what_is_written_reads_back_the_same(specs):
    account = AccountSpec("A", jetstream=JetStreamSpec())
    written = write_document([account], assets={"A": specs})
    read = read_document(written)
    assert read.assets == {"A": specs}
    assert read.accounts == (account,)
    assert write_document([account]) == {"accounts": [{"name": "A", "jetstream": True}]}


def test_a_document_makes_rows_and_again_changes_nothing(system):
    done = apply_document(system, read_document(TEXT))
    assert done.changes.as_dict()["created"] == {"account": 1, "stream": 3, "consumer": 1}
    rows = {row.name: row for row in Stream.objects.all()}
    assert {name: (row.kind, row.managed, row.state) for name, row in rows.items()} == {
        "ORDERS": ("stream", True, "pending"),
        "KV_settings": ("kv", True, "pending"),
        "OBJ_files": ("object", True, "pending"),
    }
    wanted = list(Stream.objects.values_list("name", "wanted"))
    assert not apply_document(system, read_document(TEXT)).changes
    exported = export_document(system, Account.objects.filter(name="ORDERS"))
    assert exported["accounts"][0]["streams"][0]["max_age"] == "7d"
    assert not apply_document(system, read_document(exported)).changes
    assert list(Stream.objects.values_list("name", "wanted")) == wanted


def test_what_a_document_no_longer_names_is_let_go_as_its_policy_says(system):
    apply_document(system, read_document(TEXT))
    Stream.objects.filter(name="KV_settings").update(seen={"name": "KV_settings"})
    counts = {"messages": 1204, "bytes": 5_000_000, "consumers": 1}
    Stream.objects.filter(name="ORDERS").update(seen={"name": "ORDERS"}, counts=counts)
    less = {
        "accounts": [{"name": "ORDERS", "jetstream": True, "object_buckets": TEXT["accounts"][0]["object_buckets"]}]
    }
    seen = preview(system, lambda: apply_document(system, read_document(less)))
    told = [(change.account, str(change), change.removes_access) for change in seen.changes]
    assert told == [
        ("ORDERS", "KV bucket `settings` of account `ORDERS` is no longer managed; it stays with its data", False),
        ("ORDERS", "stream `ORDERS` of account `ORDERS` is deleted with its 1,204 messages and 1 consumer", True),
    ]
    apply_document(system, read_document(less))
    states = {row.name: row.state for row in Stream.objects.all()}
    assert states == {"ORDERS": "leaving", "KV_settings": "observed", "OBJ_files": "pending"}
    assert not apply_document(system, read_document(less)).changes


def test_an_account_that_says_nothing_of_streams_keeps_them(system):
    apply_document(system, read_document(TEXT))
    done = apply_document(system, read_document({"accounts": [{"name": "ORDERS", "jetstream": True}]}))
    assert not done.changes
    assert Stream.objects.filter(managed=True, leaving=False).count() == 3


def test_consumers_that_are_not_named_stay_and_an_empty_list_lets_them_go(system):
    apply_document(system, read_document(TEXT))
    stream = {"name": "ORDERS", "subjects": ["orders.>"], "deletion": "delete"}
    account = {"name": "ORDERS", "jetstream": True, "streams": [stream]}
    apply_document(system, read_document({"accounts": [account]}))
    assert Consumer.objects.filter(managed=True).count() == 1
    stream["consumers"] = []
    apply_document(system, read_document({"accounts": [account]}))
    assert not Consumer.objects.exists()  # nobody has ever seen it


def test_an_observed_object_that_a_document_names_is_managed_from_then_on(system, rows):
    account = rows.account("ORDERS", jetstream=True)
    seen = {"name": "ORDERS", "subjects": ["orders.>"], "storage": "file", "max_age": 0}
    Stream.objects.create(account=account, name="ORDERS", managed=False, seen=seen)
    document = read_document({"accounts": [{"name": "ORDERS", "jetstream": True, "streams": [
        {"name": "ORDERS", "subjects": ["orders.>"], "max_age": "1d"}]}]})  # fmt: skip
    told = [str(change) for change in preview(system, lambda: apply_document(system, document)).changes]
    assert told == [
        "stream `ORDERS` of account `ORDERS`, which is there already, is managed from now on: age no limit → 1d"
    ]
    apply_document(system, document)
    row = Stream.objects.get()
    assert row.managed and row.seen == seen and row.state == "pending"


def test_what_is_fixed_on_the_server_is_refused_with_its_place(system, rows):
    account = rows.account("A", jetstream=True)
    Stream.objects.create(account=account, name="S", managed=False, seen={"name": "S", "storage": "memory"})
    Stream.objects.create(account=account, name="KV_b", kind="stream", managed=False, seen={"name": "KV_b"})
    document = read_document({"accounts": [{"name": "A", "jetstream": True,
        "streams": [{"name": "S", "subjects": ["s"]}], "kv_buckets": [{"name": "b"}]}]})  # fmt: skip
    with pytest.raises(ReconcileError) as refused:
        apply_document(system, document)
    assert [str(place) for place in refused.value.places] == [
        "Account “A”, stream “S”: This can't change any more: it is memory on the server.",
        "Account “A”, KV bucket “b”: There is a stream of this name already.",
    ]


def test_a_preview_tells_what_the_server_would_refuse_or_lose(system):
    apply_document(system, read_document(TEXT))
    seen = {
        "name": "ORDERS",
        "subjects": ["orders.>"],
        "max_msgs": -1,
        "max_age": 7 * 86_400 * SECOND,
        "max_bytes": 2**30,
    }
    Stream.objects.filter(name="ORDERS").update(seen=seen, counts={"messages": 2000, "bytes": 2_000_000})
    account = TEXT["accounts"][0]
    stream = {**account["streams"][0], "max_msgs": 796}
    twin = {"name": "TWIN", "subjects": ["orders.new"]}
    later = {"accounts": [{**account, "streams": [stream, twin]}]}
    told = preview(system, lambda: apply_document(system, read_document(later))).as_dict()
    assert [change["text"] for change in told["changes"]] == [
        "stream `ORDERS` of account `ORDERS`: messages no limit → 796",
        "stream `TWIN` of account `ORDERS` is made, for orders.new",
    ]
    assert told["warnings"] == [
        {
            "account": "ORDERS",
            "object": "stream “ORDERS”",
            "setting": "max_msgs",
            "text": "1,204 of 2,000 messages go, the oldest ones.",
            "severity": "loses",
        },
        {
            "account": "ORDERS",
            "object": "stream “TWIN”",
            "setting": "subjects",
            "text": "“orders.new” overlaps with “orders.>” of stream ORDERS, which stores it already.",
            "severity": "refused",
        },
    ]
    assert not Stream.objects.filter(name="TWIN").exists()


def test_accounts_pruned_take_their_rows_along(system):
    apply_document(system, read_document(TEXT))
    other = read_document({"accounts": [{"name": "B"}]})
    apply_document(system, other, prune=True)
    assert not Stream.objects.exists()

"""Where there are several systems, lists say whose their rows are; where there is one, they don't."""

import csv
import io

import pytest
from django.contrib import admin
from django.urls import reverse

from accounts_app.models import Account, System
from accounts_app.systems import new_system
from tests import factories

LISTS = [
    "account", "natsuser", "role", "subjectpermission", "export", "exportaccess", "import", "mapping",
    "mappingdestination", "stream", "consumer",
]  # fmt: skip


def address(name):
    return reverse(f"admin:accounts_app_{name}_changelist")


def columns(answer):
    page = answer.context["cl"]
    return [each if isinstance(each, str) else each.__name__ for each in page.list_display]


def filters(answer):
    return [spec.parameter_name for spec in answer.context["cl"].filter_specs if hasattr(spec, "parameter_name")]


def fill(of):
    """A row of each kind in an account."""
    user = factories.user(of, f"svc-{of.system}", "publish orders.>")
    factories.role(of, "worker", "publish jobs.>")
    export = of.exports.create(kind="stream", subject="orders.>", public=False)
    other = factories.account("READER", system=of.system)
    export.accesses.create(account=other)
    other.imports.create(kind="stream", from_account=of, subject="orders.>")
    of.mappings.create(source="a").destinations.create(subject="b", weight=100)
    factories.consumer(factories.stream(of), "pull")
    return user


@pytest.fixture
def one(db):
    of = factories.account("ORDERS", jetstream=True)
    fill(of)
    return of


@pytest.fixture
def two(one):
    of = factories.account("ORDERS", jetstream=True, system=new_system("shop", stage=System.Stage.OBSERVED))
    fill(of)
    return one, of


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_one_system_names_none(page, one, name):
    answer = page.get(address(name))
    assert "of_system" not in columns(answer) and "system" not in filters(answer)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_two_says_whose_a_row_is_and_is_narrowed_and_ordered_by_it(page, two, name):
    answer = page.get(address(name))
    assert "of_system" in columns(answer) and "system" in filters(answer)
    narrowed = page.get(address(name), {"system": "shop"})
    rows = list(narrowed.context["cl"].result_list)
    assert rows and len(rows) < answer.context["cl"].result_count
    place = columns(answer).index("of_system")
    for order in (str(place), f"-{place}"):
        shown = page.get(address(name), {"o": order})
        of_system = shown.context["cl"].list_display[place]
        names = [str(of_system(row)) for row in shown.context["cl"].result_list]
        assert set(names) == {"default", "shop"} and names == sorted(names, reverse=order.startswith("-"))
    if getattr(admin.site.get_model_admin(answer.context["cl"].model), "LISTED", ()):
        told = list(csv.DictReader(io.StringIO(page.get(f"{address(name)}export.csv").content.decode())))
        assert {row["system"] for row in told} == {"default", "shop"}


def test_whose_a_row_is_costs_one_query_however_many_there_are(page, two, django_assert_max_num_queries):
    _, of = two
    for number in range(30):
        factories.user(of, f"u{number}", "publish a.>")
    page.get(address("natsuser"))
    for name in ("natsuser", "account", "subjectpermission"):
        with django_assert_max_num_queries(13):
            page.get(address(name))


def test_a_field_offers_accounts_that_are_called_the_same_with_their_systems(page, two):
    asked = {"app_label": "accounts_app", "model_name": "natsuser", "field_name": "account", "term": "ORDERS"}
    found = page.get(reverse("admin:autocomplete"), asked).json()["results"]
    assert [each["text"] for each in found] == ["ORDERS · default", "ORDERS · shop"]


@pytest.mark.parametrize(
    "kind, text", [("document", "accounts: [{name: NEW}]"), ("conf", "accounts: { NEW: { users: [{user: a}] } }")]
)
def test_a_document_is_for_the_system_that_is_chosen(page, two, kind, text):
    asked = {"step": "look", "kind": kind, "text": text}
    told = page.post(reverse("admin:accounts_app_account_apply"), asked)
    assert told.context["problems"] == [
        ("system", "There are several systems: say which one by “system”: default, shop.")
    ]
    assert '<option value="shop">' in told.content.decode()
    seen = page.post(reverse("admin:accounts_app_account_apply"), {**asked, "system": "shop"})
    done = page.post(reverse("admin:accounts_app_account_apply"), {"step": "apply", "sealed": seen.context["sealed"]})
    assert done.status_code == 200
    assert [row.system.name for row in Account.objects.filter(name="NEW")] == ["shop"]


def test_a_form_proposes_the_system_that_is_managed(page, two):
    System.objects.filter(name="default").update(stage=System.Stage.OBSERVED)
    System.objects.filter(name="shop").update(stage=System.Stage.MANAGED)
    form = page.get(reverse("admin:accounts_app_account_add")).context["adminform"].form
    assert form.initial["system"] == two[1].system_id

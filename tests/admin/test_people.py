"""People: what may be given to them is what some door asks for, and nothing else."""

import re
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.urls import reverse

from tests import factories

admin.autodiscover()  # whatever else has run before
ROOT = Path(__file__).parents[2]
_ASKED = re.compile(r'"(add|change|delete|view)", ([A-Z][A-Za-z]+)')


def offered(page, model, pk):
    form = page.get(reverse(f"admin:auth_{model}_change", args=[pk])).context["adminform"].form
    field = form.fields["user_permissions" if model == "user" else "permissions"]
    return {f"{one.content_type.app_label}.{one.codename}" for one in field.queryset}


@pytest.mark.parametrize("model", ["user", "group"])
def test_what_is_offered_is_what_is_asked_for(page, db, model):
    row = factories.staff("vera") if model == "user" else Group.objects.create(name="auditors")
    found = offered(page, model, row.pk)
    models = {each.__name__: each._meta for each in apps.get_models() if each._meta.app_label != "auth"}
    asked = set()
    for room in ("accounts_app", "provisioning", "monitoring", "nunect"):
        for file in (ROOT / room).rglob("*.py"):
            for act, name in _ASKED.findall(file.read_text()):
                if name in models:
                    asked.add(f"{models[name].app_label}.{act}_{models[name].model_name}")
    assert len(asked) > 15 and asked <= found
    assert "provisioning.take_over_server" in found and "auth.change_user" in found
    assert not [
        name for name in found if re.search(r"historical|session|claim|revisionblock|logentry|difference$", name)
    ]
    assert len(found) < 90


def test_a_permission_that_somebody_has_already_stays_at_a_save(page, db):
    person = factories.staff("vera")
    old = Permission.objects.get(codename="view_historicalaccount")
    person.user_permissions.add(old)
    assert "accounts_app.view_historicalaccount" in offered(page, "user", person.pk)


def test_a_page_that_is_refused_says_why(client, db):
    client.force_login(factories.staff("vera"))
    text = client.get("/admin/backups/").content.decode()
    assert "Backups are for superusers." in text
    assert "some rows are only there to be read" in client.get("/admin/auth/user/add/").content.decode()

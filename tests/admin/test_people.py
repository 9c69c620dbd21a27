"""People: what may be given to them is what some door asks for, and nothing else."""

import re
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
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


def words(answer):
    """What a person reads of a page, without its menu."""
    text = answer.content.decode()
    text = text[text.index('id="content"') if 'id="content"' in text else 0 :]
    return re.sub(r"\s+", " ", re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", text, flags=re.S))


def test_people_are_called_people_on_all_their_pages(page, db):
    vera = factories.staff("vera", "accounts_app.view_account")
    of = {act: reverse(f"admin:auth_user_{act}", args=[vera.pk]) for act in ("change", "delete", "history")}
    listed, added = reverse("admin:auth_user_changelist"), reverse("admin:auth_user_add")
    chosen = {"action": "delete_selected", "_selected_action": [vera.pk]}
    pages = {
        "list": page.get(listed),
        "add": page.get(added),
        "change": page.get(of["change"]),
        "delete": page.get(of["delete"]),
        "history": page.get(of["history"]),
        "password": page.get(reverse("admin:auth_user_password_change", args=[vera.pk])),
        "several": page.post(listed, chosen),
    }
    for name, answer in pages.items():
        text = re.sub(r"Access \| user \| Can \w+ user|Username|User.permission\S*|User_user_\S*", "", words(answer))
        assert not re.search(r"\busers?\b", text, re.IGNORECASE), (name, text)
        assert not re.search(r"\busers?\b", f"{answer.context['title']}", re.IGNORECASE), name
        assert re.search(r">\s*People\s*</a>", answer.content.decode()), name
    assert "Add person" in pages["list"].content.decode()
    assert "Are you sure you want to delete the person" in words(pages["delete"])
    done = page.post(of["delete"], {"post": "yes"}, follow=True)
    assert "The person “vera” was deleted successfully." in done.content.decode()


def test_a_person_is_made_and_given_another_password(page, db):
    given = {"username": "vera", "password1": "staple-battery-9", "password2": "staple-battery-9"}
    page.post(reverse("admin:auth_user_add"), {**given, "usable_password": "true"})
    vera = User.objects.get(username="vera")
    other = {"password1": "correct-horse-9", "password2": "correct-horse-9"}
    page.post(reverse("admin:auth_user_password_change", args=[vera.pk]), other)
    vera.refresh_from_db()
    assert vera.check_password("correct-horse-9")

"""Who may hear answers under a prefix of their own alone is told to set it."""

import json

import pytest

from accounts_app import services
from accounts_app.inboxes import private_inbox
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    return factories.account("SHOP")


@pytest.mark.parametrize(
    ("rules", "prefix"),
    [
        (["subscribe _INBOX.>"], ""),
        (["subscribe >"], ""),
        (["subscribe _INBOX.svc.>"], "_INBOX.svc"),
        (["subscribe _INBOX_svc.>", "subscribe orders.>"], "_INBOX_svc"),
        (["subscribe _INBOX.svc.>", "subscribe _INBOX.>"], ""),
        (["subscribe _INBOX.*.>"], ""),
        (["subscribe _INBOX.svc.> workers"], ""),
        (["deny subscribe _INBOX.svc.>", "subscribe orders.>"], ""),
        (["publish _INBOX.svc.>"], ""),
        ([], ""),
    ],
)
def test_its_own_permissions_say_it(shop, rules, prefix):
    assert private_inbox(factories.user(shop, "svc", *rules)) == prefix


def test_a_role_says_it_for_each_of_its_users(shop):
    role = factories.role(shop, "worker", "subscribe _INBOX.{{name()}}.>")
    assert private_inbox(factories.user(shop, "w1", access="role", role=role)) == "_INBOX.w1"
    assert private_inbox(factories.user(shop, "a.b", access="role", role=role)) == ""  # the renderer refuses it
    assert private_inbox(factories.user(shop, "w2", access="inherit")) == ""
    shop.default_role = role
    shop.save()
    assert private_inbox(factories.user(shop, "w3", access="inherit")) == "_INBOX.w3"
    assert private_inbox(factories.user(shop, "w4", access="all")) == ""


def test_contexts_and_snippets_set_it(shop):
    user = factories.user(shop, "svc", "subscribe _INBOX.svc.>")
    told = services.connection_help(user, "SEED")
    assert json.loads(told.context_json)["inbox_prefix"] == "_INBOX.svc"
    assert 'inbox_prefix="_INBOX.svc"' in told.snippet
    assert told.env.splitlines()[0].startswith("# The nats command reads no inbox prefix")
    assert "NATS_INBOX_PREFIX=_INBOX.svc\n" in told.env
    assert told.files == (("svc.nk", "SEED\n"),)
    compile(told.snippet, "snippet", "exec")
    usual = services.connection_help(factories.user(shop, "other", "subscribe >"))
    assert "inbox" not in (usual.context_json + usual.snippet + usual.env).lower()
    assert usual.files == ()

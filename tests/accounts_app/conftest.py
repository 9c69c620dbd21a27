"""Fixtures of this room: a system as the first start makes it, and quick ways to rows."""

import pytest

from accounts_app import credentials
from accounts_app.models import Account, NatsUser, Role, SubjectPermission, System
from accounts_app.natsconf.specs import CONTROL_ACCOUNT


class Rows:
    """Short words for making rows of one system."""

    def __init__(self, system):
        self.system = system

    def account(self, name="ACME", **fields):
        return Account.objects.create(system=self.system, name=name, **fields)

    def role(self, account, name="worker", *permissions):
        role = Role.objects.create(system=self.system, account=account, name=name)
        for text in permissions:
            self.permit(text, role=role)
        return role

    def user(self, account, name="svc", *permissions, **fields):
        if fields.setdefault("credential", "nkey") == "nkey":
            fields.setdefault("nkey", credentials.new_nkey()[0])
        user = NatsUser.objects.create(account=account, name=name, **fields)
        for text in permissions:
            self.permit(text, user=user)
        return user

    @staticmethod
    def permit(text, **owner):
        effect = "deny" if text.startswith("deny ") else "allow"
        action, subject = text.removeprefix("deny ").split(" ")
        return SubjectPermission.objects.create(action=action, effect=effect, subject=subject, **owner)

    def counters(self):
        """(the system's, {account: its}) `wanted`."""
        self.system.refresh_from_db()
        return self.system.wanted, dict(Account.objects.filter(system=self.system).values_list("name", "wanted"))

    def moved(self, act):
        """The accounts whose counter moved while `act` ran, and by how much the system's did."""
        before, accounts = self.counters()
        act()
        after, now = self.counters()
        return {name for name, wanted in now.items() if wanted != accounts.get(name, 0)}, after - before


def new_system(name="default"):
    keys = {}
    for each in ("guard", "control", "relay", "jetstream"):
        keys[f"{each}_nkey"], seed = credentials.new_nkey()
        if each != "guard":
            keys[f"{each}_seed"] = seed
    system = System.objects.create(name=name, **keys)
    Account.objects.create(system=system, name=system.system_account)
    Account.objects.create(system=system, name=CONTROL_ACCOUNT)
    return system


@pytest.fixture
def system(db):
    return new_system()


@pytest.fixture
def rows(system):
    return Rows(system)

"""Whatever a person types into a field of words: it is refused at its field, or kept and written so that
a server takes the file and reads the very same text."""

import os
import random

import pytest

from accounts_app.models import Account, Export, Mapping, NatsUser, Role, SubjectPermission
from accounts_app.natsconf.parse import parse
from accounts_app.natsconf.render import assemble, render_account
from accounts_app.snapshot import take_snapshot
from provisioning.binary import Judging
from tests import factories

ADD = "/admin/accounts_app/{}/add/"
ASKED = os.environ.get("FUZZ_EXAMPLES", "")  # `make fuzz` asks for more: every text in every form
ROUNDS, PART = (int(ASKED), 1) if ASKED else (3, 4)
LETTERS = (
    "abcZ019-_.*> \t\n\r\x00\x01\x1b\x7f\"'\\/#{}[]():;,=$%&<`|~^!?@+"
    "äßéñøÅİı\u0301\u200b\u200d\u200e\u202e\u2028\u2029\ufeff\ufffd\ue000漢字かなאבعربिहिन्दी𝔘😀👩🏽\U0001f3f3️\U000e0041"
)
WHOLE = [
    "include x",
    "$HOME",
    "true",
    "1k",
    "2a$",
    "$2a$04$",
    "{{name()}}",
    "a..b",
    "_INBOX.>",
    "$SYS.>",
    "\ud7ff",
    "﷽",
]


def texts():
    yield from WHOLE
    dice = random.Random(4222)
    for _ in range(ROUNDS):
        yield "".join(dice.choice(LETTERS) for _ in range(dice.randint(1, 12)))


def inline(prefix, **row):
    data = {f"{prefix}-TOTAL_FORMS": 1 if row else 0, f"{prefix}-INITIAL_FORMS": 0}
    return data | {f"{prefix}-0-{name}": value for name, value in row.items()}


def forms(of, number, text):
    """(model, what is posted) with the text in each of its fields of words, alone and together."""
    user = {"account": of.pk, "enabled": "on", "way": "nkey", "access": "own", "responses_max": 0}
    rule = {"effect": "allow", "action": "subscribe"}
    yield "account", {"system": of.system_id, "name": text, "description": text, "enabled": "on"}
    yield "natsuser", {**user, "name": text, "description": text, "owner": text, **inline("permissions")}
    for subject, queue in ((text, ""), (f"a.{text}", text), ("a.>", text)):
        rules = inline("permissions", **rule, subject=subject, queue=queue)
        yield "natsuser", {**user, "name": f"u{number}.{len(subject)}.{len(queue)}", **rules}
        yield "role", {"account": of.pk, "name": f"r{number}.{len(subject)}.{len(queue)}", "responses_max": 0, **rules}
    named = {"account": of.pk, "name": text, "description": text, "responses_max": 0, "responses_expires": text}
    yield "role", {**named, **inline("permissions")}
    yield "role", {**named, "responses_expires": "", **inline("permissions")}
    yield (
        "natsuser",
        {**user, "name": f"c{number}", "way": "certificate", "own_certificate": text, **inline("permissions")},
    )
    export = {"account": of.pk, "kind": "service", "public": "on", **inline("accesses")}
    yield "export", {**export, "subject": text}
    yield "export", {**export, "subject": f"e{number}.x", "latency_subject": text, "latency_sampling": text}
    yield (
        "mapping",
        {"account": of.pk, "source": text, **inline("destinations", subject="to", weight=100, cluster=text)},
    )
    yield "mapping", {"account": of.pk, "source": f"m{number}", **inline("destinations", subject=text, weight=100)}


@pytest.mark.long
def test_any_text_is_refused_at_its_field_or_reaches_the_server_as_it_is(page):
    of = factories.account()
    kept = 0
    for number, text in enumerate(texts()):
        for model, data in list(forms(of, number, text))[number % PART :: PART]:
            answer = page.post(ADD.format(model), data)
            assert answer.status_code in (200, 302), (model, text, answer.status_code)
            kept += answer.status_code == 302
            if answer.status_code == 200 and "adminform" in answer.context:  # else it shows a secret once
                assert answer.context["adminform"].form.errors or answer.context["errors"], (model, text)
        for name in ("account", "natsuser", "role", "subjectpermission"):
            assert page.get(f"/admin/accounts_app/{name}/", {"q": text}).status_code == 200, (name, text)
    assert kept > 40 // PART
    for row in (*Account.objects.all(), *NatsUser.objects.all()[:40], *Role.objects.all()[:40]):
        assert page.get(f"/admin/accounts_app/{row._meta.model_name}/{row.pk}/change/").status_code == 200

    taken = take_snapshot(of.system_id)
    present = {spec.name for spec in taken.moved.values()}
    blocks = {spec.name: render_account(spec, taken.shared, taken.identity, present) for spec in taken.moved.values()}
    text = assemble(blocks, 1).text
    if "$G" not in blocks:
        text += f'authorization: {{ users: [ {{ nkey: "{taken.identity.guard}" }} ] }}\n'
    text += f'system_account: "{taken.identity.system_account}"\n'
    with Judging(text) as judging:
        assert judging.digest()
    accounts = parse(text).tree["accounts"]
    assert set(accounts) == set(blocks) - {"$G"}
    users = [user for account in accounts.values() for user in account.get("users", ())]
    certificates = NatsUser.objects.filter(credential="certificate").values_list("certificate", flat=True)
    assert {user["user"] for user in users if "user" in user} == set(certificates)
    rights = [user.get("permissions", {}).get("subscribe", {}) for user in users]
    allowed = {subject for right in rights for subject in right.get("allow", ())}
    rules = SubjectPermission.objects.filter(user__isnull=False)
    assert {f"{rule.subject} {rule.queue}" if rule.queue else rule.subject for rule in rules} <= allowed
    assert set(accounts["ORDERS"]["mappings"]) == set(Mapping.objects.values_list("source", flat=True))
    services = {export["service"] for export in accounts["ORDERS"]["exports"]}
    assert services == set(Export.objects.values_list("subject", flat=True))

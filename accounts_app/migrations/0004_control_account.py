"""nunect's control account `$NUNECT`, with the key by which nunect signs in to it."""

from django.db import migrations, models
from django.db.models import F
from django.utils import timezone

import accounts_app.fields
import accounts_app.validators
from accounts_app.credentials import new_nkey

NAME = "$NUNECT"
DESCRIPTION = "nunect's own: it sees and manages JetStream of the others."


def make_control_accounts(apps, schema_editor):
    """A key and an account for each system that is there. The rows count as changed, so that a run follows."""
    System, Account = apps.get_model("accounts_app", "System"), apps.get_model("accounts_app", "Account")
    past = apps.get_model("accounts_app", "HistoricalAccount")
    for system in System.objects.filter(jetstream_nkey=""):
        system.jetstream_nkey, system.jetstream_seed = new_nkey()
        system.wanted = F("wanted") + 1
        system.save(update_fields=["jetstream_nkey", "jetstream_seed", "wanted"])
        account, made = Account.objects.get_or_create(
            system=system, name=NAME, defaults={"description": DESCRIPTION, "wanted": 1}
        )
        if made:
            columns = {field.attname for field in past._meta.concrete_fields}
            values = {
                field.attname: getattr(account, field.attname)
                for field in Account._meta.concrete_fields
                if field.attname in columns
            }
            past.objects.create(
                **values,
                history_date=timezone.now(),
                history_type="+",
                history_change_reason="upgrade",
                door="command",
            )


class Migration(migrations.Migration):
    dependencies = [
        ("accounts_app", "0003_user_indexes"),
    ]

    operations = [
        migrations.AddField(
            model_name="account",
            name="jetstream_control",
            field=models.BooleanField(
                default=True,
                help_text="nunect hears what happens to this account's streams through its control account, and can manage them; off: it only sees what the servers report of them.",
                verbose_name="JetStream shown to nunect",
            ),
        ),
        migrations.AddField(
            model_name="historicalaccount",
            name="jetstream_control",
            field=models.BooleanField(
                default=True,
                help_text="nunect hears what happens to this account's streams through its control account, and can manage them; off: it only sees what the servers report of them.",
                verbose_name="JetStream shown to nunect",
            ),
        ),
        migrations.AddField(
            model_name="historicalsystem",
            name="jetstream_nkey",
            field=models.CharField(
                default="", editable=False, max_length=56, validators=[accounts_app.validators.user_nkey]
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="system",
            name="jetstream_nkey",
            field=models.CharField(
                default="", editable=False, max_length=56, validators=[accounts_app.validators.user_nkey]
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="system",
            name="jetstream_seed",
            field=accounts_app.fields.EncryptedTextField(default="", editable=False),
        ),
        migrations.RunPython(make_control_accounts, migrations.RunPython.noop, elidable=False),
    ]

"""What each resource takes and answers; the schema is made of these."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from rest_framework import serializers

from accounts_app import validators
from accounts_app.api.fields import (
    Choice,
    Moment,
    NamedAccount,
    NamedPerson,
    NamedRole,
    NamedSystem,
    NamedUser,
    RowSerializer,
    Strict,
    Text,
    Words,
)
from accounts_app.api.rows import only_system
from accounts_app.api.shapes import Sync
from accounts_app.models import (
    Account,
    Export,
    Import,
    Kind,
    Mapping,
    MappingDestination,
    NatsUser,
    Role,
    Server,
    SubjectPermission,
    System,
    Token,
)
from accounts_app.stages import CHANGEABLE
from accounts_app.systems import WAY


def role_of(name: str | None, account: Account | None, person: Any, field: str = "role") -> Role | None:
    """The role of that name. Raises ValidationError at the field."""
    if not name:
        return None
    try:
        validators.text(name)
    except ValidationError as refused:
        raise ValidationError({field: refused.messages}) from refused
    rows = Role.objects.visible_to(person).filter(name=name.removeprefix("*/"))
    if account is None or account.pk is None or name.startswith("*/"):
        system = account.system if account is not None else only_system(person, stages=CHANGEABLE)
        found = rows.filter(system=system, account=None).first()
    else:
        found = rows.filter(account=account).first()
    if found is None:
        raise ValidationError({field: f"There is no role “{name[:80]}” in this account; a shared one is “*/name”."})
    return found


class Rule(Strict, serializers.Serializer[Any]):
    """One permission."""

    action = Choice(SubjectPermission.Action.choices)
    effect = Choice(SubjectPermission.Effect.choices, default="allow")
    subject = Text(trim_whitespace=False)
    queue = Text(required=False, allow_blank=True, trim_whitespace=False)


class SystemSerializer(RowSerializer):
    environment = Choice(System.Environment.choices, required=False)
    drift_policy = Choice(System.DriftPolicy.choices, required=False)
    state = serializers.CharField(read_only=True)

    class Meta:
        model = System
        fields = (
            "id", "name", "environment", "drift_policy", "conf_dir", "nats_url", "public_url", "tls_ca",
            "tls_certificate", "tls_key", "tls_first", "login_user", "login_secret", "stage", "state", "problem",
            "revision", "checked_at",
        )  # fmt: skip
        read_only_fields = ("stage", "problem", "revision", "checked_at")
        extra_kwargs = {name: {"write_only": True} for name in ("tls_key", "login_secret")}


class WaySerializer(RowSerializer):
    """How nunect would get to the servers of a system."""

    class Meta:
        model = System
        fields = WAY
        extra_kwargs = {name: {"write_only": True} for name in WAY}


class ServerSerializer(RowSerializer):
    system = serializers.CharField()

    class Meta:
        model = Server
        fields = (
            "id", "system", "name", "state", "detail", "version", "host", "server_id", "revision", "config_digest",
            "seen_at",
        )  # fmt: skip


class Leaving(serializers.Serializer[Any]):
    """An account that is being retired."""

    job = serializers.IntegerField(help_text="The job that retires it.")
    until = serializers.DateTimeField(allow_null=True, help_text="When it goes; null before the undo window begins.")
    text = serializers.CharField(help_text="The same in words.")


class AccountSerializer(RowSerializer):
    system = NamedSystem("system", required=False)
    owner = NamedPerson("person", required=False, allow_null=True)
    default_role = NamedRole(required=False, allow_null=True)
    jetstream_cluster_traffic = Choice([("", ""), ("system", ""), ("owner", "")], required=False, allow_blank=True)
    retiring = Leaving(read_only=True, allow_null=True, help_text="null: it stays.")
    sync = Sync(read_only=True)

    class Meta:
        model = Account
        fields = (
            "id", "system", "name", "description", "owner", "enabled", "default_role", "max_connections",
            "max_subscriptions", "max_payload", "max_leafnodes", "jetstream", "jetstream_control",
            "jetstream_max_mem", "jetstream_max_file", "jetstream_max_streams", "jetstream_max_consumers",
            "jetstream_max_ack_pending", "jetstream_mem_max_stream_bytes", "jetstream_disk_max_stream_bytes",
            "jetstream_max_bytes_required", "jetstream_cluster_traffic", "created_at", "retiring", "sync",
        )  # fmt: skip
        read_only_fields = ("created_at",)


class RoleSerializer(RowSerializer):
    system = NamedSystem("system", required=False)
    account = NamedAccount("account", required=False, allow_null=True, help_text="null: shared by all accounts.")
    connection_types = Words(required=False)
    permissions = Rule(many=True, required=False)
    sync = Sync(read_only=True)

    class Meta:
        model = Role
        fields = (
            "id", "system", "account", "name", "description", "allow_responses", "responses_max",
            "responses_expires", "connection_types", "permissions", "sync",
        )  # fmt: skip


class UserSerializer(RowSerializer):
    system = NamedSystem("system", required=False)
    account = NamedAccount("account")
    owner = NamedPerson("person", required=False, allow_null=True)
    credential = Choice(NatsUser.Credential.choices, required=False)
    password = Text(
        write_only=True, required=False, trim_whitespace=False, help_text="Without one it is generated, and told once."
    )
    access = Choice(NatsUser.Access.choices, required=False)
    role = NamedRole(required=False, allow_null=True, help_text='A role of the account, or "*/name" for a shared one.')
    connection_types = Words(required=False)
    permissions = Rule(many=True, required=False)
    sync = Sync(read_only=True)

    class Meta:
        model = NatsUser
        fields = (
            "id", "system", "account", "name", "description", "owner", "credential", "password", "nkey",
            "certificate", "access", "role", "permissions", "allow_responses", "responses_max", "responses_expires",
            "connection_types", "expires_at", "enabled", "created_at", "sync",
        )  # fmt: skip
        read_only_fields = ("created_at",)


class Secret(serializers.Serializer[Any]):
    """What is told once; the one of the two that was made."""

    password = serializers.CharField(required=False)
    seed = serializers.CharField(required=False)


class UserWithSecret(UserSerializer):
    secret = Secret(required=False)

    class Meta(UserSerializer.Meta):
        fields = (*UserSerializer.Meta.fields, "secret")  # type: ignore[assignment]


class PermissionSerializer(RowSerializer):
    system = NamedSystem("system", required=False)
    account = serializers.CharField(read_only=True, allow_null=True)
    role = NamedRole(required=False, allow_null=True)
    user = NamedUser("user", required=False, allow_null=True)
    action = Choice(SubjectPermission.Action.choices)
    effect = Choice(SubjectPermission.Effect.choices, required=False)
    sync = Sync(read_only=True)

    class Meta:
        model = SubjectPermission
        fields = ("id", "system", "account", "role", "user", "action", "effect", "subject", "queue", "sync")


class PermissionInput(PermissionSerializer):
    account = NamedAccount("account", required=False, allow_null=True, help_text="Of the role; null for a shared one.")


class ExportSerializer(RowSerializer):
    system = NamedSystem("system", required=False)
    account = NamedAccount("account")
    kind = Choice(Kind.choices)
    response_type = Choice(Export.ResponseType.choices, required=False, allow_blank=True)
    accounts = Words(required=False, help_text="Who may import it, when it is not public.")
    sync = Sync(read_only=True)

    class Meta:
        model = Export
        fields = (
            "id", "system", "account", "kind", "subject", "public", "accounts", "account_token_position",
            "response_type", "response_threshold", "latency_subject", "latency_sampling", "allow_trace", "sync",
        )  # fmt: skip


class ImportSerializer(RowSerializer):
    system = NamedSystem("system", required=False)
    account = NamedAccount("account")
    from_account = NamedAccount("account")
    kind = Choice(Kind.choices)
    sync = Sync(read_only=True)

    class Meta:
        model = Import
        fields = (
            "id", "system", "account", "kind", "from_account", "subject", "to", "prefix", "share", "allow_trace",
            "sync",
        )  # fmt: skip


class DestinationSerializer(RowSerializer):
    class Meta:
        model = MappingDestination
        fields = ("subject", "weight", "cluster")


class MappingSerializer(RowSerializer):
    system = NamedSystem("system", required=False)
    account = NamedAccount("account")
    destinations = DestinationSerializer(many=True)
    sync = Sync(read_only=True)

    class Meta:
        model = Mapping
        fields = ("id", "system", "account", "source", "destinations", "sync")


class TokenSerializer(RowSerializer):
    person = NamedPerson("person", required=False)
    scope = Choice(Token.Scope.choices, required=False)
    accounts = Words(required=False)
    prefix = serializers.CharField(read_only=True)

    class Meta:
        model = Token
        fields = (
            "id", "name", "person", "scope", "accounts", "expires_at", "prefix", "created_at", "last_used_at",
            "revoked_at",
        )  # fmt: skip
        read_only_fields = ("created_at", "last_used_at", "revoked_at")


class TokenWithSecret(TokenSerializer):
    token = serializers.CharField(read_only=True, help_text="Told once.")

    class Meta(TokenSerializer.Meta):
        fields = (*TokenSerializer.Meta.fields, "token")  # type: ignore[assignment]


class Rotation(Strict, serializers.Serializer[Any]):
    overlap_until = Moment(required=False, help_text="Until then the former one works, too.")


class Conf(serializers.Serializer[Any]):
    """A block of the conf."""

    conf = serializers.CharField()
    problem = serializers.CharField(help_text='Why there is none; else "".')


class Help(serializers.Serializer[Any]):
    """How a client connects; a placeholder stands where the secret belongs."""

    url = serializers.CharField()
    context = serializers.DictField(  # type: ignore[assignment]
        help_text="A context file of the nats command line."
    )
    snippet = serializers.CharField()
    env = serializers.CharField()

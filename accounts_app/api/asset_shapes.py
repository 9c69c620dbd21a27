"""What streams, buckets and consumers take and answer: their settings as fields, made of the table of settings."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from rest_framework import serializers

from accounts_app.api.fields import Choice, Moment, NamedAccount, NamedSystem, RowSerializer, Strict, Text
from accounts_app.api.shapes import Sync
from accounts_app.jetstream.settings import Kind, Setting, settings_of
from accounts_app.jetstream.words import read_value
from accounts_app.models import Consumer, Stream

STATES = ("observed", "leaving", "pending", "waits", "failed", "drifted", "applied")
_TOLD: dict[str, dict[str, Any]] = {  # {type of a setting: how it is answered}
    "text": {"type": "string"},
    "texts": {"type": "array", "items": {"type": "string"}},
    "whole": {"type": "integer"},
    "bytes": {"type": "integer"},
    "duration": {"type": "string"},
    "durations": {"type": "array", "items": {"type": "string"}},
    "flag": {"type": "boolean"},
    "time": {"type": "string", "format": "date-time"},
    "map": {"type": "object", "additionalProperties": {"type": "string"}},
}
_NUMBER_OR_WORD = {"type": ["integer", "string"]}
_TAKEN = _TOLD | {  # {type of a setting: how it may be given}
    "whole": _NUMBER_OR_WORD,
    "bytes": _NUMBER_OR_WORD,
    "duration": _NUMBER_OR_WORD,
    "durations": {"type": "array", "items": _NUMBER_OR_WORD},
}


_JSON: dict[str, tuple[type, str]] = {  # {type of a setting: what its value must be in JSON, and what is said else}
    "texts": (list, "This must be a list of texts."),
    "durations": (list, "This must be a list of durations, such as 1s, 5s, 1m."),
    "objects": (list, "This must be a list of maps."),
    "object": (dict, "This must be a map."),
    "map": (dict, "This must be a map of texts."),
    "flag": (bool, "This must be true or false."),
}


class SettingField(serializers.Field[Any, Any, Any, Any]):
    """One setting as people write it; what it must be is said by `accounts_app.jetstream.words`. null: the default."""

    def __init__(self, kind: Kind, name: str, **options: Any) -> None:
        self.setting = settings_of(kind)[name]
        super().__init__(required=False, help_text=_help(self.setting), **options)

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        # not by `allow_null`: that would say of answers, too, that they may be null
        return (True, None) if data is None else super().validate_empty_values(data)

    def to_internal_value(self, data: Any) -> Any:
        try:
            _check_type(self.setting, data)
            return read_value(self.setting, data)
        except ValueError as refused:
            raise serializers.ValidationError(str(refused)) from None


def _check_type(setting: Setting, value: Any) -> None:
    """Raise ValueError for a text where JSON has something better: forms may write lists in lines, programs don't."""
    kind, sentence = _JSON.get(setting.type, (object, ""))
    if value is not None and not isinstance(value, kind):
        raise ValueError(sentence)
    if setting.fields:
        known = {field.name: field for field in setting.fields}
        each: Any
        for each in value if isinstance(value, list) else [value]:
            for name, part in each.items() if isinstance(each, dict) else ():
                if name in known:
                    _check_type(known[name], part)


def _help(setting: Setting) -> str:
    """What the schema tells of a setting."""
    words = [f"{setting.title}.", setting.help]
    if setting.type in ("duration", "durations"):
        words.append("Such as 500ms, 90s, 1h30m or 7d.")
    elif setting.type == "bytes":
        words.append("Bytes, or a text such as 10MB or 1GiB.")
    if setting.fixed:
        words.append("It can't change once it is there.")
    return " ".join(filter(None, words))


class SettingSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """How the schema tells of a setting."""

    target_class = SettingField

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        setting: Setting = self.target.setting
        found = schema_of(setting, _TAKEN if direction == "request" else _TOLD)
        empty = direction == "request" or setting.default is None
        return _or_null(found) if empty else found


def schema_of(setting: Setting, types: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The JSON Schema of a setting's value."""
    if setting.type == "choice":
        return {"type": "string", "enum": list(setting.choices)}
    if setting.type in ("object", "objects"):
        one: dict[str, Any] = {
            "type": "object",
            "properties": {field.name: schema_of(field, types) for field in setting.fields},
            "additionalProperties": False,
        }
        if needed := [field.name for field in setting.fields if field.needed]:
            one["required"] = needed
        return one if setting.type == "object" else {"type": "array", "items": one}
    return dict(types[setting.type])


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if "enum" in schema:
        schema = {**schema, "enum": [*schema["enum"], None]}
    kinds = schema["type"]
    return {**schema, "type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]}


class SettingDrift(serializers.Serializer[Any]):
    """One setting that nunect did not make so."""

    setting = serializers.CharField()
    wanted = serializers.JSONField(allow_null=True)
    seen = serializers.JSONField(allow_null=True)
    words = serializers.CharField()


class AssetSync(Sync):
    """Whether the servers keep it as the row says."""

    field = serializers.CharField(required=False, help_text='The setting that the servers refuse; "" for none.')


class AssetWarning(serializers.Serializer[Any]):
    """What comes of a write, in one sentence."""

    setting = serializers.CharField(help_text='The setting that it is about; "" for the whole.')
    text = serializers.CharField()
    severity = serializers.ChoiceField(["loses", "note"])


class AssetSerializer(RowSerializer):
    """What streams, buckets and consumers have in common."""

    system = NamedSystem("system", required=False)
    account = NamedAccount("account")
    deletion = Choice(Stream.Deletion.choices, required=False)
    state = serializers.ChoiceField(STATES, read_only=True)
    counts = serializers.DictField(read_only=True, help_text="Messages, bytes and the like, as last seen.")
    drift = SettingDrift(many=True, read_only=True)
    seen = serializers.DictField(read_only=True, allow_null=True, help_text="The servers' own configuration.")
    sync = AssetSync(read_only=True)
    warnings = AssetWarning(many=True, read_only=True, help_text="Only of what was just written: what comes of it.")


_BEFORE = ("id", "system", "account", "name", "deletion")
_AFTER = ("managed", "state", "counts", "drift", "ignored_until", "seen", "seen_at", "created_at", "sync", "warnings")
SEEN_ONLY = ("managed", "counts", "drift", "ignored_until", "seen", "seen_at", "created_at")  # nobody writes them


def serializer_of(kind: Kind, name: str) -> type[AssetSerializer]:
    """The serializer of one kind of asset. name: of the component in the schema."""
    settings: dict[str, Any] = {setting: SettingField(kind, setting) for setting in settings_of(kind)}
    model: Any = Consumer if kind == "consumer" else Stream
    before: tuple[str, ...] = _BEFORE
    if kind == "consumer":
        before = ("id", "system", "account", "stream", "name", "deletion")
        settings["stream"] = Text(trim_whitespace=False, help_text="Its name; KV_… and OBJ_… of buckets.")
    elif kind != "stream":
        settings["name"] = Text(trim_whitespace=False, help_text="Of the bucket, without KV_ or OBJ_ before it.")
    meta = type(
        "Meta", (), {"model": model, "fields": (*before, *settings_of(kind), *_AFTER), "read_only_fields": SEEN_ONLY}
    )
    return type(f"{name}Serializer", (AssetSerializer,), {**settings, "Meta": meta, "__module__": __name__})


StreamSerializer = serializer_of("stream", "Stream")
KvBucketSerializer = serializer_of("kv", "KvBucket")
ObjectBucketSerializer = serializer_of("object", "ObjectBucket")
ConsumerSerializer = serializer_of("consumer", "Consumer")


class Silence(Strict, serializers.Serializer[Any]):
    """How long a difference is nobody's business."""

    until = Moment(required=False, allow_null=True, help_text="null: until it is another difference.")

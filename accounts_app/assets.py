"""Acts on streams, buckets and consumers that every door calls: one transaction each, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts_app.asset_reconcile import read_assets, reconcile_assets
from accounts_app.jetstream.checks import read_config
from accounts_app.jetstream.differences import drift_digest
from accounts_app.jetstream.forecast import fixed_changes
from accounts_app.jetstream.names import check_name
from accounts_app.jetstream.wire import from_server
from accounts_app.models import Account, Asset, Consumer, Stream, record

__all__ = [
    "accept",
    "adopt",
    "check_keeps_streams",
    "ignore",
    "make_consumer",
    "make_stream",
    "manage",
    "read_assets",
    "reconcile_assets",
    "remove",
    "revert",
    "save_asset",
]
Data = Literal["keep", "delete"]


@transaction.atomic
def make_stream(
    account: Account, kind: str, name: str, config: Mapping[str, Any] | None = None, deletion: str = "keep"
) -> Stream:
    """A new managed stream or bucket. name: the server's (KV_…, OBJ_…); config: settings as people write them.

    Raises ValidationError by field, settings by their own names.
    """
    check_keeps_streams(account)
    _check_name(kind, name)
    there = Stream.objects.filter(account=account, name=name).first()
    if there is not None:
        raise ValidationError({"name": _in_the_way(there)})
    row = Stream(account=account, kind=kind, name=name, config=_read(kind, config or {}), deletion=deletion)
    row.full_clean()
    row.save()
    record("stream created", row, account=account.name, kind=kind)
    return row


@transaction.atomic
def make_consumer(
    stream: Stream, name: str, config: Mapping[str, Any] | None = None, deletion: str = "keep"
) -> Consumer:
    """A new managed consumer of a stream, managed or not. config: settings as people write them."""
    check_keeps_streams(stream.account)
    _check_name("consumer", name)
    if stream.leaving:
        raise ValidationError({"stream": _("This stream is being deleted.")})
    there = Consumer.objects.filter(stream=stream, name=name).first()
    if there is not None:
        raise ValidationError({"name": _in_the_way(there)})
    row = Consumer(stream=stream, name=name, config=_read("consumer", config or {}), deletion=deletion)
    row.full_clean()
    row.save()
    record("consumer created", row, account=stream.account.name, stream=stream.name)
    return row


@transaction.atomic
def save_asset(row: Asset, config: Mapping[str, Any] | None = None, **fields: Any) -> Asset:
    """Change settings of a managed object, and its `deletion`. config: {setting: as people write it, None: default}.

    Settings that aren't named stay. Raises ValidationError by field, settings by their own names.
    """
    _lock(row)
    if not row.managed:
        raise ValidationError(_("nunect only observes it: manage it first."))
    _check_stays(row)
    unknown = sorted(fields.keys() - {"deletion"})
    if unknown:
        raise ValidationError({unknown[0]: _("This can't change.")})
    kind, before = row.settings_kind, row.config
    said = _read(kind, config or {})
    row.config = {**{name: value for name, value in before.items() if name not in (config or {})}, **said}
    for name, value in fields.items():
        setattr(row, name, value)
    if row.seen is not None and (refused := fixed_changes(kind, row.config, row.seen)):
        raise ValidationError({setting: [sentence] for setting, sentence in refused.items()})
    row.full_clean()
    row.save()
    return row


@transaction.atomic
def remove(row: Asset, data: Data | None = None) -> None:
    """Let go of a managed object, or delete any with its data. data None: as its own `deletion` says.

    keep: it stays on the server and becomes observed at once, with its consumers. delete: the row goes as soon as
    the server has forgotten the object.
    """
    _lock(row)
    what, choice = str(row._meta.verbose_name), data or row.deletion
    if choice not in Asset.Deletion.values:
        raise ValidationError({"data": _("This must be keep or delete.")})
    if choice == "keep" and not row.managed:
        raise ValidationError({"data": _("nunect only observes it; it can be deleted with its data.")})
    if choice == "delete":
        check_keeps_streams(row.home)
        row.managed, row.leaving = True, True
        row.save()
        record(f"{what} deleted with its data", row, account=row.home.name, **_counts(row))
        return
    record(f"{what} no longer managed", row, account=row.home.name)
    if isinstance(row, Stream):
        for consumer in row.consumers.filter(managed=True):
            let_go(consumer)
    let_go(row)


def let_go(row: Asset) -> None:
    """The row only tells what is there from now on; without anything there, it goes."""
    if row.seen is None:
        type(row).count([row])
        row.delete()
        return
    row.managed, row.leaving, row.config = False, False, {}
    row.save()
    _forget_drift(row)


def adopt(row: Asset) -> Asset | None:
    """Take what is there: what nunect only observes becomes managed, a managed row takes the difference.

    None when the object is gone, and its row with it.
    """
    return accept(row) if row.managed else manage(row)


@transaction.atomic
def manage(row: Asset) -> Asset:
    """Make an observed object a managed one that is exactly what was seen."""
    _lock(row)
    if row.managed:
        raise ValidationError(_("nunect manages it already."))
    check_keeps_streams(row.home)
    if row.seen is None:
        raise ValidationError(_("It isn't there any more."))
    row.managed, row.config = True, from_server(row.settings_kind, row.seen)
    row.full_clean()
    row.save()
    record(f"{row._meta.verbose_name} adopted", row, account=row.home.name)
    return row


@transaction.atomic
def accept(row: Asset) -> Asset | None:
    """Answer a drift: the row takes what was seen. None when the object is gone, and its row goes, too."""
    _lock(row)
    _check_drift(row)
    record("drift accepted", row, account=row.home.name, settings=_drifted(row))
    if row.seen is None:
        type(row).count([row])
        row.delete()
        return None
    row.config = from_server(row.settings_kind, row.seen)
    row.full_clean()
    row.save()
    _forget_drift(row)
    return row


@transaction.atomic
def revert(row: Asset) -> Asset:
    """Answer a drift: the server is brought back to what the row says. A stream that is gone comes back with the
    consumers that went with it."""
    _lock(row)
    _check_drift(row)
    record("drift reverted", row, account=row.home.name, settings=_drifted(row))
    gone = _is_gone(row)
    row.save()
    _forget_drift(row)  # what stood in the way of the row is answered
    if gone and isinstance(row, Stream):
        for consumer in Consumer.objects.filter(stream=row, managed=True, leaving=False).order_by("name"):
            if _is_gone(consumer):
                revert(consumer)
    return row


def _is_gone(row: Asset) -> bool:
    """Whether the drift of a row is that the server has it no more."""
    return bool(row.drift) and row.seen is None


@transaction.atomic
def ignore(row: Asset, until: datetime | None = None) -> Asset:
    """Answer a drift: leave just this one alone, until a moment or (None) for good."""
    _lock(row)
    _check_drift(row)
    if row.problem_kind == Asset.Problem.FAILED and row.problem_wanted == row.wanted:
        raise ValidationError(_("It stands in the place of what the row says: adopt it, or revert it."))
    if until is not None:
        if timezone.is_naive(until):
            until = timezone.make_aware(until)
        if until <= timezone.now():
            raise ValidationError({"until": _("This must lie ahead.")})
    row.drift_ignored, row.ignored_until = drift_digest(row.drift), until
    QuerySet(type(row)).filter(pk=row.pk).update(drift_ignored=row.drift_ignored, ignored_until=until)
    record("drift ignored", row, account=row.home.name, settings=_drifted(row), until=until and until.isoformat())
    return row


def check_keeps_streams(account: Account) -> None:
    """Raise ValidationError unless nunect can manage streams of this account."""
    if not account.jetstream:
        raise ValidationError({"account": _("Account “%s” has no JetStream: switch it on first.") % account.name})
    if not account.jetstream_control:
        told = _("Account “%s” doesn't show its streams to nunect: switch “JetStream shown to nunect” on first.")
        raise ValidationError({"account": told % account.name})


def _check_name(kind: str, name: str) -> None:
    try:
        check_name(kind, name)
    except ValueError as refused:
        raise ValidationError({"name": str(refused)}) from None


def _read(kind: str, said: Mapping[str, Any]) -> dict[str, Any]:
    config, wrong = read_config(kind, said)
    if wrong:
        raise ValidationError({setting: [sentence] for setting, sentence in wrong.items()})
    return config


def _in_the_way(there: Asset) -> str:
    if there.leaving:
        return _("One of this name is being deleted: wait until it is gone.")
    if not there.managed:
        return _("There is one of this name that nunect doesn't manage: adopt it instead.")
    return _("There is one of this name already.")


def _lock(row: Asset) -> None:
    """Look again, and keep others from it: what was read earlier must not undo what they did meanwhile."""
    try:
        row.refresh_from_db(from_queryset=type(row).objects.select_for_update())
    except type(row).DoesNotExist:
        raise ValidationError({"name": _("It is gone.")}) from None


def _check_stays(row: Asset) -> None:
    if row.leaving:
        raise ValidationError(_("It is being deleted."))


def _check_drift(row: Asset) -> None:
    _check_stays(row)
    if not row.managed or not row.drift:
        raise ValidationError(_("The server has it as the row says: there is nothing to answer."))


def _forget_drift(row: Asset) -> None:
    row.drift, row.drift_ignored, row.ignored_until = [], "", None
    QuerySet(type(row)).filter(pk=row.pk).update(drift=[], drift_ignored="", ignored_until=None)


def _drifted(row: Asset) -> list[str]:
    return [str(each.get("setting") or "gone") for each in row.drift]


def _counts(row: Asset) -> dict[str, Any]:
    return {name: row.counts[name] for name in ("messages", "bytes") if name in row.counts}

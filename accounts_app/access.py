"""Who may see and do what: the one place that every door asks.

A person's rights are Django's permissions; a token narrows them for the request that it came with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest

from accounts_app.models import Account, Export, Import, Mapping, NatsUser, Role, SubjectPermission, System, Token
from accounts_app.wanted import asset_accounts, counted, shared_counted

Act = Literal["view", "add", "change", "delete"]
ACTS: tuple[Act, ...] = ("view", "add", "change", "delete")
ADMINISTERS = frozenset(  # beyond what the scope "write" reaches
    ("system", "server", "token", "revision", "hold", "drift", "blueprint")
)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What a token leaves of its person's rights.

    accounts: primary keys, None for all; name: for the trail; looks: the request is a dry run, in which nothing
    is written, so that a token to read may ask what a write would do.
    """

    scope: str
    accounts: frozenset[int] | None
    name: str = ""
    looks: bool = False


def narrow(person: Any, token: Token, *, looks: bool = False) -> Any:
    """The token's person, who for this request has no more rights than the token."""
    accounts = frozenset(token.accounts.values_list("pk", flat=True)) if token.restricted else None
    person.nunect_token = Narrowed(token.scope, accounts, f"{token.name} ({token.prefix})", looks)
    return person


def may(person: Any, act: Act, model: type[models.Model]) -> bool:
    """Whether a person may do this to rows of a model, as far as they see them."""
    if not (getattr(person, "is_active", False) and person.is_staff):
        return False
    name = model._meta.model_name or ""
    token: Narrowed | None = getattr(person, "nunect_token", None)
    if token is not None and act != "view" and not token.looks:
        if token.scope == Token.Scope.READ:
            return False
        if token.scope == Token.Scope.WRITE and name in ADMINISTERS:
            return False
    return bool(person.has_perm(_permission(act, model)))


def require(person: Any, act: Act, model: type[models.Model]) -> None:
    """Raise PermissionDenied unless they may."""
    if may(person, act, model):
        return
    token: Narrowed | None = getattr(person, "nunect_token", None)
    if token is not None and person.has_perm(_permission(act, model)) and person.is_staff:
        raise PermissionDenied(f"This token's scope is “{token.scope}”: it may not {act} {_many(model)}.")
    raise PermissionDenied(f"You have no right to {act} {_many(model)}.")


def _permission(act: Act, model: type[models.Model]) -> str:
    return f"{model._meta.app_label}.{act}_{model._meta.model_name}"


def _many(model: type[models.Model]) -> str:
    return str(model._meta.verbose_name_plural)


def reaches_all(person: Any) -> bool:
    """Whether they are not kept to single accounts."""
    token: Narrowed | None = getattr(person, "nunect_token", None)
    return token is None or token.accounts is None


def require_whole(person: Any) -> None:
    """Raise PermissionDenied for a token that reaches single accounts only."""
    if not reaches_all(person):
        raise PermissionDenied("This token is for single accounts; this is about the whole system.")


def require_all(person: Any) -> None:
    """Raise PermissionDenied unless they may make, change and delete whatever a document or a conf names."""
    for model in (Account, Role, NatsUser, SubjectPermission, Export, Import, Mapping):
        for act in ACTS[1:]:
            require(person, act, model)


def require_reach(person: Any, system: System) -> None:
    """Raise PermissionDenied when the transaction under way has changed what is beyond a token's reach."""
    token: Narrowed | None = getattr(person, "nunect_token", None)
    if token is None or token.accounts is None:
        return
    if not counted(system.pk) | asset_accounts(system.pk) <= token.accounts:
        raise PermissionDenied("This token may not change other accounts, and this would.")
    if shared_counted(system.pk):
        raise PermissionDenied("This token may not change what all accounts share, and this would.")


def visible(queryset: models.QuerySet[Any], person: Any) -> models.QuerySet[Any]:
    """The rows of `queryset` that a person may see; rows without a rule of their own follow their system.

    What concerns a whole system is not for who sees single accounts.
    """
    if hasattr(queryset, "visible_to"):
        return queryset.visible_to(person)
    fields = {field.name: field for field in queryset.model._meta.fields}
    token: Narrowed | None = getattr(person, "nunect_token", None)
    if token is not None and token.accounts is not None:
        if "account" not in fields:
            return queryset.none()
        names = Account.objects.filter(pk__in=token.accounts).values("name")
        return queryset.filter(account__in=token.accounts if fields["account"].is_relation else names)
    if "system" in fields:
        return queryset.filter(system__in=System.objects.visible_to(person))
    return queryset if getattr(person, "is_active", False) and person.is_staff else queryset.none()


def systems_of(request: HttpRequest) -> list[System]:
    """The systems that the person may see; asked once a request."""
    if not hasattr(request, "nu_systems"):
        request.nu_systems = list(visible(System._default_manager.order_by("pk"), request.user))  # type: ignore[attr-defined]
    return request.nu_systems  # type: ignore[attr-defined,no-any-return]

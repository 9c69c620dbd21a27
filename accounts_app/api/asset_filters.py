"""What lists of streams, buckets and consumers can be narrowed by."""

from __future__ import annotations

from typing import Any

import django_filters as filters
from django.db.models import QuerySet

from accounts_app.api.asset_shapes import STATES
from accounts_app.api.filters import AccountName, OneOf, YesNo, text
from accounts_app.asset_states import in_state
from accounts_app.jetstream.names import KV_PREFIX, OBJECT_PREFIX
from accounts_app.models import Account, Consumer, Stream


class AssetState(OneOf):
    """Rows by what `Asset.state` says of them."""

    def __init__(self) -> None:
        super().__init__(choices=[(state, state) for state in STATES])

    def filter(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(in_state(value)) if value else queryset


class BucketName(filters.CharFilter):
    """Buckets by the name that people know them by."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        super().__init__()

    def filter(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(name=self.prefix + value) if value else queryset


class OfConsumer(AccountName):
    """Consumers of the streams of an account."""

    def filter(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        accounts = Account.objects.filter(name=value).values("pk")
        return queryset.filter(stream__account__in=accounts) if value else queryset


class StreamFilter(filters.FilterSet):
    system, account, name = text("account__system__name"), AccountName(), text("name")
    managed, state = YesNo("managed"), AssetState()

    class Meta:
        model = Stream
        fields: list[str] = []


class KvBucketFilter(StreamFilter):
    name = BucketName(KV_PREFIX)


class ObjectBucketFilter(StreamFilter):
    name = BucketName(OBJECT_PREFIX)


class ConsumerFilter(filters.FilterSet):
    system, account, name = text("stream__account__system__name"), OfConsumer(), text("name")
    stream = text("stream__name")
    managed, state = YesNo("managed"), AssetState()

    class Meta:
        model = Consumer
        fields: list[str] = []

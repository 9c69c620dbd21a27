"""One-time links: credentials sealed to a key that only the link holds, opened exactly once.

The link's token is an X25519 private key; kept are its public key and the SHA-256 of the token. So neither the
database nor nunect itself can open what waits for its owner (ADR 16).
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets as chance
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.db import transaction
from django.utils import timezone

from accounts_app.credentials import NewSecret
from accounts_app.models import System, record
from provisioning.blueprints.connecting import connections
from provisioning.events import job_changed
from provisioning.models import HandOver, JobLine

LIFETIME_S = 3 * 86_400.0
SHORTEST_S, LONGEST_S = 60.0, 30 * 86_400.0
_USERS_TOLD = 100
_PURPOSE = b"nunect hand-over 1"
_NONCE = bytes(12)  # each key seals one thing only
Reason = Literal["unknown", "used", "over", "withdrawn", "not_ready"]
_SENTENCES: dict[Reason, str] = {
    "unknown": "This link opens nothing: check that it is whole, or ask for a new one.",
    "used": "These credentials were picked up already. If it wasn't you, ask for new ones at once.",
    "over": "This link is over: ask for a new one.",
    "withdrawn": "This link was withdrawn: ask for a new one.",
    "not_ready": "These credentials aren't ready yet: the job is still at work. The link stays good; try again soon.",
}


class HandOverError(Exception):
    """Why a link doesn't open, in one sentence; `reason` is for programs."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(_SENTENCES[reason])


@dataclass(frozen=True, slots=True)
class Opener:
    """Who opens a link, as far as the door knows. person: a name, "" when nobody is signed in."""

    person: str = ""
    address: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a link will open. users: names."""

    title: str
    users: tuple[str, ...]
    expires_at: str


def new_link(lifetime_s: float = LIFETIME_S) -> tuple[str, HandOver]:
    """(the link's token, a hand-over that isn't saved): the token is nowhere else.

    lifetime_s: the hand-over begins to age when it is ready (`make_ready`).
    """
    raw = chance.token_bytes(32)
    public = X25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw()
    token = _text(raw)
    ends = timezone.now() + timedelta(seconds=lifetime_s)
    return token, HandOver(public_key=_text(public), token_sha256=_digest(token), expires_at=ends)


def seal(hand_over: HandOver, secrets: Mapping[str, NewSecret | Mapping[str, Any]]) -> None:
    """Put {user: secret} where only the link gets at it, in the transaction under way.

    A mapping in place of a NewSecret holds "kind" and "secret". What was sealed before is gone.
    """
    payload = {
        name: {"kind": one.kind, "secret": one.secret} if isinstance(one, NewSecret) else dict(one)
        for name, one in secrets.items()
    }
    link = _raw(hand_over.public_key)
    ours = X25519PrivateKey.generate()
    fresh = ours.public_key().public_bytes_raw()
    shared = ours.exchange(X25519PublicKey.from_public_bytes(link))
    text = zlib.compress(json.dumps(payload, ensure_ascii=False).encode())
    closed = _box(shared, fresh, link).encrypt(_NONCE, text, hand_over.token_sha256.encode())
    hand_over.sealed, hand_over.users = _text(fresh + closed), sorted(payload)
    if hand_over.pk is not None:
        hand_over.save(update_fields=["sealed", "users"])


def make_ready(hand_over: HandOver, lifetime_s: float = LIFETIME_S) -> None:
    """From now on its link opens it, for so long."""
    hand_over.ready_at = timezone.now()
    hand_over.expires_at = hand_over.ready_at + timedelta(seconds=lifetime_s)
    hand_over.save(update_fields=["ready_at", "expires_at"])


def withdraw(hand_over: HandOver) -> bool:
    """Let the link open nothing any more; False when it was opened or withdrawn before."""
    standing = HandOver.objects.filter(pk=hand_over.pk, opened_at=None, withdrawn_at=None)
    return bool(standing.update(withdrawn_at=timezone.now(), sealed=""))


def forget_over() -> int:
    """Forget what is sealed in hand-overs whose time is over; how many."""
    over = HandOver.objects.filter(expires_at__lte=timezone.now(), ready_at__isnull=False)
    return over.filter(opened_at=None, withdrawn_at=None).update(withdrawn_at=timezone.now(), sealed="")


def look(token: str) -> Waiting:
    """What a link will open, without opening it. Raises HandOverError."""
    row = _standing(HandOver.objects.select_related("job").filter(token_sha256=_digest(token)).first())
    return Waiting(row.job.title, tuple(row.users), row.expires_at.isoformat())


def open_once(token: str, opener: Opener = Opener()) -> dict[str, Any]:
    """{user: {"kind", "secret", "connect"}}, exactly once; who took it, when and from where is kept.

    connect: how a client of the user connects, as `connections` says it; None when the user is gone.
    Raises HandOverError; then nothing changes.
    """
    with transaction.atomic():
        rows = HandOver.objects.select_for_update(of=("self",)).select_related("job__system")
        row = _standing(rows.filter(token_sha256=_digest(token)).first())
        payload = _opened(row, token)
        now = timezone.now()
        taken = HandOver.objects.filter(pk=row.pk, opened_at=None, withdrawn_at=None).update(
            opened_at=now,
            opened_by=opener.person[:200],
            opened_from=opener.address[:64],
            opened_with=opener.agent[:300],
            sealed="",
        )
        if not taken:  # a database without row locks
            raise HandOverError("used")
        _tell(row, opener)
        return _with_help(row.job.system, payload)


def _standing(row: HandOver | None) -> HandOver:
    """The row, if its link opens it now. Raises HandOverError."""
    if row is None:
        raise HandOverError("unknown")
    if row.opened_at is not None:
        raise HandOverError("used")
    if row.ready_at is not None and row.expires_at <= timezone.now():
        raise HandOverError("over")
    if row.withdrawn_at is not None:
        raise HandOverError("withdrawn")
    if row.ready_at is None:
        raise HandOverError("not_ready")
    return row


def _opened(row: HandOver, token: str) -> dict[str, dict[str, Any]]:
    if not row.sealed:
        return {}
    closed, key = _raw(row.sealed), X25519PrivateKey.from_private_bytes(_raw(token))
    shared = key.exchange(X25519PublicKey.from_public_bytes(closed[:32]))
    try:
        text = _box(shared, closed[:32], _raw(row.public_key)).decrypt(_NONCE, closed[32:], row.token_sha256.encode())
    except InvalidTag:  # somebody wrote into the table
        raise HandOverError("unknown") from None
    found: dict[str, dict[str, Any]] = json.loads(zlib.decompress(text))
    return found


def _with_help(system: System, payload: dict[str, dict[str, Any]]) -> dict[str, Any]:
    help_ = connections(system, {name: one["secret"] for name, one in payload.items()})
    return {name: {**one, "connect": help_.get(name)} for name, one in payload.items()}


def _tell(row: HandOver, opener: Opener) -> None:
    who = opener.person or "Somebody with the link"
    JobLine.objects.create(job=row.job, step="credentials", text=f"{who} picked up the credentials.")
    told = {key: value[:300] for key, value in asdict(opener).items() if value}
    record("hand-over opened", row.job, count=len(row.users), users=row.users[:_USERS_TOLD], **told)
    send = partial(job_changed.send, sender=HandOver, job_id=row.job_id, system_id=row.job.system_id)
    transaction.on_commit(send, robust=True)


def _box(shared: bytes, fresh: bytes, link: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(HKDF(SHA256(), 32, salt=fresh + link, info=_PURPOSE).derive(shared))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

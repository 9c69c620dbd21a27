"""Frozen values of the core: what one system's rows say, free of Django.

The same values travel everywhere: the snapshot fills them from rows, the renderer makes
the conf tree of them, the importer makes them of a conf tree, a revision keeps them, and
`reconcile` makes rows equal to them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Access = Literal["inherit", "all", "role", "own"]
Credential = Literal["password", "nkey", "certificate", "none"]
Action = Literal["publish", "subscribe"]
Effect = Literal["allow", "deny"]
CONTROL_ACCOUNT = "$NUNECT"


class RuleSpec(NamedTuple):
    """One permission: may (or may not) publish or subscribe `subject`. A tuple, since there are so many.

    queue: only for subscribe; the second word of the server's subject, "" for none.
    """

    action: Action
    effect: Effect
    subject: str
    queue: str = ""


@dataclass(frozen=True, slots=True)
class ResponseSpec:
    """`allow_responses`: how many replies (0 = the server's default of 1, negative = no limit)
    and for how long (a Go duration such as "2s"; "" = the server's default of 2 minutes)."""

    max: int = 0
    expires: str = ""


@dataclass(frozen=True, slots=True)
class RoleSpec:
    """A named set of permissions. Subjects may hold `{{name()}}` and `{{account-name()}}`."""

    name: str
    rules: tuple[RuleSpec, ...] = ()
    responses: ResponseSpec | None = None
    connection_types: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class SecretSpec:
    """How a user proves itself, as the server sees it.

    identity: a bcrypt hash (password), a public nkey "U…" (nkey), the name found in a
    certificate (certificate), or "" (none: such a user is never rendered). It is never in a repr.
    plain: identity is a password as it was found in a conf; whoever takes it in has to hash it
    first, it is never rendered.
    """

    kind: Credential
    identity: str = field(default="", repr=False)
    plain: bool = False


@dataclass(frozen=True, slots=True)
class UserSpec:
    """One NATS user. `retiring` is the credential that still works until an overlap ends.

    enabled is False for a user that is disabled or expired: it is kept, but not rendered. expires: when
    (ISO 8601), "" for never; only the rows know it, a conf can't say it.
    role: name of a role of its account, or of a shared role of the system as "*/name".
    """

    name: str
    secret: SecretSpec
    access: Access = "own"
    role: str = ""
    rules: tuple[RuleSpec, ...] = ()
    responses: ResponseSpec | None = None
    connection_types: tuple[str, ...] = ()
    enabled: bool = True
    retiring: SecretSpec | None = None
    description: str = ""
    expires: str = ""


@dataclass(frozen=True, slots=True)
class LimitsSpec:
    """`limits` of an account; None: the key is not written, so the server's own default holds.

    payload in bytes, the others are counts; -1 is no limit.
    """

    max_connections: int | None = None
    max_subscriptions: int | None = None
    max_payload: int | None = None
    max_leafnodes: int | None = None


@dataclass(frozen=True, slots=True)
class JetStreamSpec:
    """`jetstream` of an account that may use it; sizes in bytes, None: not written, -1: no limit."""

    max_mem: int | None = None
    max_file: int | None = None
    max_streams: int | None = None
    max_consumers: int | None = None
    max_ack_pending: int | None = None
    mem_max_stream_bytes: int | None = None
    disk_max_stream_bytes: int | None = None
    max_bytes_required: bool | None = None
    cluster_traffic: str = ""


@dataclass(frozen=True, slots=True)
class ExportSpec:
    """A subject that other accounts may import. accounts None: public; (): nobody yet.

    response_type: "", "single", "stream" or "chunked"; response_threshold: a Go duration;
    latency_sampling: "" , "headers" or "1".."100".
    """

    kind: Literal["stream", "service"]
    subject: str
    accounts: tuple[str, ...] | None = None
    account_token_position: int | None = None
    response_type: str = ""
    response_threshold: str = ""
    latency_subject: str = ""
    latency_sampling: str = ""
    allow_trace: bool | None = None


@dataclass(frozen=True, slots=True)
class ImportSpec:
    """A subject taken from another account. At most one of `prefix` (streams) and `to`."""

    kind: Literal["stream", "service"]
    account: str
    subject: str
    to: str = ""
    prefix: str = ""
    share: bool | None = None
    allow_trace: bool | None = None


@dataclass(frozen=True, slots=True)
class DestinationSpec:
    """Where a mapped subject goes; weight in percent (1..100), cluster "" for any."""

    subject: str
    weight: int = 100
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class MappingSpec:
    """`mappings` of one source subject."""

    source: str
    destinations: tuple[DestinationSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """One account with everything in it. default_role: role whose permissions are the
    account's `default_permissions` ("*/name" for a shared one), "" for none.

    jetstream None: the account has no JetStream. enabled False: kept, but not rendered.
    jetstream_control: it shows its streams to nunect's control account, as long as it has JetStream.
    """

    name: str
    users: tuple[UserSpec, ...] = ()
    roles: tuple[RoleSpec, ...] = ()
    default_role: str = ""
    limits: LimitsSpec = field(default_factory=LimitsSpec)
    jetstream: JetStreamSpec | None = None
    exports: tuple[ExportSpec, ...] = ()
    imports: tuple[ImportSpec, ...] = ()
    mappings: tuple[MappingSpec, ...] = ()
    enabled: bool = True
    description: str = ""
    jetstream_control: bool = True


@dataclass(frozen=True, slots=True)
class IdentitySpec:
    """nunect's own public nkeys in one system: the guard's seed was thrown away, `control` may
    reload and kick, `relay` may only read; both live in system_account. `jetstream` lives in the
    control account, by which nunect reaches JetStream of the others."""

    guard: str
    control: str
    relay: str
    jetstream: str
    system_account: str = "$SYS"

    @property
    def control_account(self) -> str:
        """The account of nunect's own: its name is the same in every system."""
        return CONTROL_ACCOUNT

    @property
    def nkeys(self) -> tuple[str, ...]:
        """All of them: no other user may have one."""
        return tuple(key for key in (self.guard, self.control, self.relay, self.jetstream) if key)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that one run renders. An account named "$G" carries the users that belong to no
    named account; they are written in `authorization`."""

    identity: IdentitySpec
    accounts: tuple[AccountSpec, ...] = ()
    roles: tuple[RoleSpec, ...] = ()

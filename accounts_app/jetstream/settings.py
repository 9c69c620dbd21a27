"""The settings of streams, consumers and buckets that nunect knows: every door and the documents are made of these.

Values are written as the server writes them: durations in nanoseconds, sizes in bytes, times as RFC 3339 text. What
people read and write ("7d", "1GiB") is made of them by `accounts_app.jetstream.words`. Settings that are not here are
left as they stand on an object that is there already.
Source: `server/stream.go` StreamConfig, `server/consumer.go` ConsumerConfig, NATS ADR-8 (KV), ADR-20 (object store).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["stream", "kv", "object", "consumer"]
Type = Literal[
    "text", "texts", "choice", "whole", "bytes", "duration", "durations", "flag", "time", "map", "object", "objects"
]
SECOND_NS = 1_000_000_000
UNLIMITED = -1
MAX_INT64, MAX_INT32 = 2**63 - 1, 2**31 - 1


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. default: what the server takes when nothing is said, so that it needn't be written.

    wire: its name in the server's config, where that is another one. fixed: it can't change once the object is
    there. least, most: of a number. fields: of type object (a map of these) and objects (a list of such maps).
    section: under which heading a form shows it. needed: must be said (of a field of an object).
    """

    name: str
    type: Type
    title: str
    help: str = ""
    default: Any = None
    choices: tuple[str, ...] = ()
    fixed: bool = False
    least: int = UNLIMITED
    most: int = MAX_INT64
    fields: tuple[Setting, ...] = ()
    section: str = "More"
    wire: str = ""
    needed: bool = False

    @property
    def key(self) -> str:
        """Its name in the server's config."""
        return self.wire or self.name


_TRANSFORM = (
    Setting("src", "text", "From", "Subjects that it is about; empty: all.", ""),
    Setting("dest", "text", "To", "Where they go: orders.$1 or {{wildcard(1)}}.", "", needed=True),
)
_SOURCE = (
    Setting("name", "text", "Stream", "The stream that it copies.", "", needed=True),
    Setting("opt_start_seq", "whole", "First sequence", "Begin with this message.", 0, least=0),
    Setting("opt_start_time", "time", "Since", "Begin with messages of this time."),
    Setting("filter_subject", "text", "Only", "Only these subjects.", ""),
    Setting("subject_transforms", "objects", "Renames", fields=_TRANSFORM, default=[]),
    Setting(
        "external",
        "object",
        "In another account or domain",
        "Where its API stands here, and where messages are delivered.",
        fields=(
            Setting("api", "text", "API prefix", "", "", needed=True),
            Setting("deliver", "text", "Delivery prefix", "", ""),
        ),
    ),
)
_PLACEMENT = Setting(
    "placement",
    "object",
    "Placement",
    "The cluster and the tags of the servers that may keep it.",
    fields=(Setting("cluster", "text", "Cluster", "", ""), Setting("tags", "texts", "Tags", "", [])),
)
_REPUBLISH = Setting(
    "republish",
    "object",
    "Republish",
    "Publish what is stored once more, under another subject.",
    fields=(*_TRANSFORM, Setting("headers_only", "flag", "Headers only", "", False)),
)
_DESCRIPTION = Setting("description", "text", "Description", "", "", section="")
_STORAGE = Setting("storage", "choice", "Storage", "", "file", ("file", "memory"), fixed=True, section="")
_REPLICAS = Setting(
    "replicas",
    "whole",
    "Replicas",
    "Servers that keep a copy: 1, 3 or 5.",
    1,
    least=1,
    most=5,
    section="",
    wire="num_replicas",
)
_METADATA = Setting("metadata", "map", "Metadata", "Any texts; names that begin with _nats are the server's own.", {})

STREAM: tuple[Setting, ...] = (
    _DESCRIPTION,
    Setting("subjects", "texts", "Subjects", "What it stores: orders.>", [], section=""),
    Setting(
        "retention",
        "choice",
        "Retention",
        "limits: until a limit is reached; interest: until every consumer has it; workqueue: until one has it.",
        "limits",
        ("limits", "interest", "workqueue"),
        section="",
    ),
    _STORAGE,
    _REPLICAS,
    Setting(
        "discard",
        "choice",
        "When full",
        "old: the oldest go; new: new ones are refused.",
        "old",
        ("old", "new"),
        section="Limits",
    ),
    Setting("max_age", "duration", "Age", "How long a message is kept.", 0, least=0, section="Limits"),
    Setting("max_bytes", "bytes", "Size", "All messages together.", UNLIMITED, section="Limits"),
    Setting("max_msgs", "whole", "Messages", "", UNLIMITED, section="Limits"),
    Setting("max_msgs_per_subject", "whole", "Messages of a subject", "", UNLIMITED, section="Limits"),
    Setting(
        "discard_new_per_subject",
        "flag",
        "Refuse new ones of a full subject",
        "Goes with discard: new.",
        False,
        section="Limits",
    ),
    Setting("max_msg_size", "bytes", "Size of a message", "", UNLIMITED, most=MAX_INT32, section="Limits"),
    Setting("max_consumers", "whole", "Consumers", "", UNLIMITED, section="Limits"),
    Setting(
        "duplicate_window",
        "duration",
        "Duplicates",
        "How long a message id is remembered.",
        120 * SECOND_NS,
        least=0,
        section="Limits",
    ),
    Setting(
        "mirror",
        "object",
        "Mirror",
        "It is a copy of one other stream, and has no subjects.",
        fields=_SOURCE,
        section="Copies",
    ),
    Setting("sources", "objects", "Sources", "It gathers other streams.", [], fields=_SOURCE, section="Copies"),
    Setting(
        "subject_transform",
        "object",
        "Rename",
        "Subjects are renamed as they are stored.",
        fields=_TRANSFORM,
        section="Copies",
    ),
    _REPUBLISH,
    _PLACEMENT,
    Setting("compression", "choice", "Compression", "", "none", ("none", "s2")),
    Setting("allow_direct", "flag", "Direct reads", "Any copy answers a read.", False),
    Setting("mirror_direct", "flag", "Direct reads of the mirror", "", False),
    Setting("allow_rollup_hdrs", "flag", "Roll-ups", "A message may replace all before it.", False),
    Setting("allow_msg_ttl", "flag", "Messages with an age of their own", "Can't be taken back.", False),
    Setting("deny_delete", "flag", "No deleting of messages", "Can't be taken back.", False),
    Setting("deny_purge", "flag", "No purging", "Can't be taken back.", False),
    Setting("sealed", "flag", "Sealed", "Nothing is stored or deleted any more. Can't be taken back.", False),
    Setting("no_ack", "flag", "No acknowledgement to publishers", "", False),
    Setting("first_seq", "whole", "First sequence", "", 0, least=0, fixed=True),
    _METADATA,
)

KV: tuple[Setting, ...] = (
    _DESCRIPTION,
    Setting(
        "history",
        "whole",
        "History",
        "Values of a key that are kept: 1 to 64.",
        1,
        least=1,
        most=64,
        section="",
        wire="max_msgs_per_subject",
    ),
    Setting("ttl", "duration", "Time to live", "How long a value is kept.", 0, least=0, section="", wire="max_age"),
    _STORAGE,
    _REPLICAS,
    Setting("max_bytes", "bytes", "Size", "The whole bucket.", UNLIMITED, section="Limits"),
    Setting(
        "max_value_size",
        "bytes",
        "Size of a value",
        "",
        UNLIMITED,
        most=MAX_INT32,
        section="Limits",
        wire="max_msg_size",
    ),
    Setting("compression", "choice", "Compression", "", "none", ("none", "s2")),
    _REPUBLISH,
    Setting(
        "mirror", "object", "Mirror", "A copy of the stream of another bucket: KV_….", fields=_SOURCE, section="Copies"
    ),
    Setting("sources", "objects", "Sources", "Streams of other buckets: KV_….", [], fields=_SOURCE, section="Copies"),
    _PLACEMENT,
    _METADATA,
)

OBJECT: tuple[Setting, ...] = (
    _DESCRIPTION,
    Setting("ttl", "duration", "Time to live", "How long an object is kept.", 0, least=0, section="", wire="max_age"),
    _STORAGE,
    _REPLICAS,
    Setting("max_bytes", "bytes", "Size", "The whole bucket.", UNLIMITED, section="Limits"),
    Setting("compression", "choice", "Compression", "", "none", ("none", "s2")),
    _PLACEMENT,
    _METADATA,
)

CONSUMER: tuple[Setting, ...] = (
    _DESCRIPTION,
    Setting("filter_subjects", "texts", "Only", "Only these subjects; none: all.", [], section=""),
    Setting(
        "ack_policy", "choice", "Acknowledgement", "", "explicit", ("explicit", "all", "none"), fixed=True, section=""
    ),
    Setting(
        "deliver_policy",
        "choice",
        "Begins",
        "",
        "all",
        ("all", "new", "last", "last_per_subject", "by_start_sequence", "by_start_time"),
        fixed=True,
        section="",
    ),
    Setting("opt_start_seq", "whole", "First sequence", "", 0, least=0, fixed=True, section=""),
    Setting("opt_start_time", "time", "Since", "", fixed=True, section=""),
    Setting("ack_wait", "duration", "Time to acknowledge", "", 30 * SECOND_NS, least=1, section="Redelivery"),
    Setting("max_deliver", "whole", "Deliveries", "How often a message is tried.", UNLIMITED, section="Redelivery"),
    Setting(
        "backoff",
        "durations",
        "Back-off",
        "How long before each new try; the first is the time to acknowledge. No more steps than deliveries.",
        [],
        least=1,
        section="Redelivery",
    ),
    Setting("max_ack_pending", "whole", "Unacknowledged at once", "", 1000, section="Redelivery"),
    Setting(
        "deliver_subject",
        "text",
        "Push to",
        "A push consumer's subject; empty: it is pulled from.",
        "",
        section="Delivery",
    ),
    Setting("deliver_group", "text", "Queue group", "", "", section="Delivery"),
    Setting("flow_control", "flag", "Flow control", "", False, fixed=True, section="Delivery"),
    Setting("idle_heartbeat", "duration", "Heartbeat", "", 0, least=0, fixed=True, section="Delivery"),
    Setting("rate_limit_bps", "whole", "Bits a second", "0: no limit.", 0, least=0, section="Delivery"),
    Setting("headers_only", "flag", "Headers only", "", False, section="Delivery"),
    Setting("replay_policy", "choice", "Pace", "", "instant", ("instant", "original"), fixed=True, section="Delivery"),
    Setting("max_waiting", "whole", "Pulls at once", "", 512, least=1, fixed=True, section="Pulling"),
    Setting("max_batch", "whole", "Messages of a pull", "0: no limit.", 0, least=0, section="Pulling"),
    Setting("max_expires", "duration", "Longest pull", "0: no limit.", 0, least=0, section="Pulling"),
    Setting("max_bytes", "bytes", "Size of a pull", "0: no limit.", 0, least=0, section="Pulling"),
    Setting("inactive_threshold", "duration", "Goes when unused for", "0: it stays.", 0, least=0),
    Setting("replicas", "whole", "Replicas", "0: as many as the stream's.", 0, least=0, most=5, wire="num_replicas"),
    Setting("mem_storage", "flag", "State in memory", "", False, fixed=True),
    Setting("sample_freq", "text", "Sampling", "Per cent of acknowledgements that are told, such as 50%.", ""),
    Setting("pause_until", "time", "Paused until", "Delivers nothing until then.", section=""),
    _METADATA,
)

SETTINGS: dict[Kind, tuple[Setting, ...]] = {"stream": STREAM, "kv": KV, "object": OBJECT, "consumer": CONSUMER}
_BY_NAME: dict[str, dict[str, Setting]] = {
    kind: {setting.name: setting for setting in settings} for kind, settings in SETTINGS.items()
}


def settings_of(kind: str) -> dict[str, Setting]:
    """{name: setting} of a kind, in the order of forms."""
    return _BY_NAME[kind]

"""What the server says no with, as one sentence at the setting that it is about."""

from __future__ import annotations

import re
from dataclasses import dataclass

from accounts_app.jetstream.settings import settings_of


@dataclass(frozen=True, slots=True)
class Refusal:
    """setting: the one it is about, by its name in the kind, "name" for the name, "" for none; sentence: ours;
    transient: worth another try with the same rows; words: the server's own."""

    setting: str
    sentence: str
    transient: bool
    words: str


def explain(err_code: int, description: str, kind: str = "stream") -> Refusal:
    """A refusal of the API (`error.err_code`, `error.description`) in words. kind: of the object that was asked for.

    What isn't known is told in the server's words. Source: `server/errors.json`.
    """
    setting, sentence, transient = _known(err_code, description)
    if kind == "consumer" and setting == "subjects":
        setting = "filter_subjects"
    if setting and setting not in ("name", "account", "stream"):
        setting = next((each.name for each in settings_of(kind).values() if setting in (each.key, each.name)), "")
    return Refusal(setting, sentence or f"The server refused it: {description}.", transient, description)


def _known(err_code: int, description: str) -> tuple[str, str, bool]:
    if err_code in _WAITS:
        return "", _WAITS[err_code], True
    if err_code in _REFUSED:
        return *_REFUSED[err_code], False
    for pattern, setting, sentence, transient in _WORDS:
        if found := pattern.search(description):
            return setting, sentence.format(*found.groups()), transient
    return "", "", False


_WAITS = {  # nothing is wrong with what was asked for
    10004: "Some servers did not answer.",
    10007: "This server has not been taken into the cluster's JetStream yet.",
    10008: "JetStream is not available at the moment: the cluster has no leader.",
    10009: "The server that answered is not the one in charge; another one is being chosen.",
    10010: "JetStream of the cluster is not ready yet.",
    10023: "The servers have no room for it at the moment: too little memory or storage, or too few servers up.",
    10035: "A server does not know the account yet.",
    10039: "JetStream is not switched on for this account on the servers yet.",
    10076: "JetStream is not switched on on this server.",
    10118: "The stream is offline: too few of its servers are up.",
    10119: "The consumer is offline: too few of its servers are up.",
    10124: "The stream is moving to other servers.",
    10167: "The servers have too much to do: too many requests at once.",
    10194: "The stream is offline: too few of its servers are up.",
    10195: "The consumer is offline: too few of its servers are up.",
}
_FULL = "The servers' {} is reserved already: make it smaller, or lower the sizes of others."
_REFUSED = {  # {code: (the server's key of the setting, sentence)}
    10002: ("max_bytes", "The account's limit of JetStream is reached: raise it, or make this smaller."),
    10011: ("placement", "Servers are not chosen by tags here."),
    10013: ("name", "There is a consumer of this name already that is another one."),
    10014: ("", "There is no such consumer on the server."),
    10021: ("mirror", "The API prefix of the other account may not begin with $JS.API."),
    10022: ("mirror", "The delivery prefix overlaps with the stream's own subjects."),
    10024: ("mirror", "The delivery prefix holds no wildcards."),
    10026: ("name", "The stream or the account has as many consumers as it may: raise the limit, or delete one."),
    10027: ("name", "The account has as many streams as it may: raise the limit, or delete one."),
    10028: ("max_bytes", _FULL.format("memory")),
    10030: ("max_msg_size", "A mirror takes messages at least as large as its origin's."),
    10031: ("sources", "A mirror has no sources."),
    10032: ("mirror", "A mirror begins with a sequence or at a time, not both."),
    10034: ("subjects", "A mirror has no subjects of its own."),
    10046: ("max_msg_size", "Messages of a source may be larger than this stream takes."),
    10047: ("max_bytes", _FULL.format("storage")),
    10055: ("mirror", "What a stream mirrors can't change any more."),
    10058: ("name", "There is a stream of this name already that is another one."),
    10059: ("stream", "There is no such stream on the server."),
    10061: ("num_replicas", "The number of replicas can't change here."),
    10065: ("subjects", "Another stream of the account stores some of these subjects already."),
    10074: ("num_replicas", "There is one server: more than one replica needs a cluster."),
    10079: ("deliver_subject", "A subject to push to has no wildcards."),
    10080: ("max_waiting", "A consumer that pushes has no waiting pulls."),
    10081: ("deliver_subject", "The stream would store what it delivers, round and round."),
    10082: ("max_ack_pending", "Without acknowledgements there are none to wait for."),
    10083: ("idle_heartbeat", "A heartbeat is 100ms or longer."),
    10084: ("ack_policy", "A work queue needs acknowledgements: explicit."),
    10086: ("rate_limit_bps", "Only a consumer that pushes has a rate limit."),
    10087: ("max_waiting", "This must be 1 or more."),
    10088: ("idle_heartbeat", "Only a consumer that pushes has a heartbeat."),
    10089: ("flow_control", "Only a consumer that pushes has flow control."),
    10093: ("filter_subjects", "The stream stores none of these subjects."),
    10094: ("deliver_policy", "Where it begins doesn't go with the first sequence, the time or the filter given."),
    10095: ("sample_freq", "This must be per cent, such as 50%."),
    10098: ("ack_policy", "A work queue needs acknowledgements: explicit."),
    10099: ("filter_subjects", "A work queue has one consumer of everything: give this and the other one filters."),
    10100: ("filter_subjects", "Another consumer of this work queue takes some of these subjects already."),
    10101: ("deliver_policy", "A consumer of a work queue begins with all messages."),
    10102: ("name", "This name is too long for the server."),
    10103: ("name", "The server takes no such name."),
    10105: ("deliver_subject", "Somebody listens to its subject: it can't be replaced now."),
    10107: ("description", "The description is too long for the server."),
    10108: ("idle_heartbeat", "Flow control needs a heartbeat, too."),
    10109: ("sealed", "The stream is sealed: nothing of it can change."),
    10112: ("deliver_subject", "This is no subject to push to."),
    10113: ("max_bytes", "The account wants every stream to say how large it may become."),
    10115: ("max_expires", "The longest pull is 1ms or longer."),
    10116: ("backoff", "There are more steps of back-off than deliveries."),
    10120: ("num_replicas", "The account has no JetStream limits for this number of replicas."),
    10121: ("max_ack_pending", "This is more than the account or the server allows."),
    10122: ("max_bytes", "This is more than the account allows one stream."),
    10123: ("num_replicas", "Replicas and placement change one after the other, not at once."),
    10125: ("max_batch", "This is more than the server allows."),
    10126: ("num_replicas", "The stream has fewer replicas."),
    10127: ("name", "A name holds no slash."),
    10128: ("name", "A name holds no slash."),
    10133: ("num_replicas", "This must not be negative."),
    10134: ("num_replicas", "Consumers of a stream with this retention have as many replicas as the stream, or 0."),
    10135: ("metadata", "The metadata are too long for the server."),
    10136: ("filter_subjects", "There are filters of two kinds."),
    10138: ("filter_subjects", "Two of these filters overlap."),
    10139: ("filter_subjects", "A filter is empty."),
    10140: ("sources", "Two sources are the same."),
    10141: ("sources", "A source's name can't be a stream's."),
    10142: ("mirror", "This can't be a stream's name."),
    10143: ("first_seq", "A mirror has the sequences of its origin."),
    10144: ("sources", "A source has one filter or renames, not both."),
    10145: ("sources", "A rename of a source begins with no subject."),
    10146: ("sources", "A rename of a source leads to no subject."),
    10147: ("sources", "Two filters of a source overlap."),
    10148: ("name", "There is a consumer of this name already that is another one."),
    10149: ("", "There is no such consumer on the server."),
    10150: ("mirror", "A mirror has one filter or renames, not both."),
    10151: ("mirror", "A rename of the mirror begins with no subject."),
    10152: ("mirror", "Two filters of the mirror overlap."),
    10153: ("inactive_threshold", "This is more than the stream allows."),
    10154: ("mirror", "A rename of the mirror leads to no subject."),
    10155: ("subject_transform", "It renames what is no subject."),
    10156: ("subject_transform", "It leads to what is no subject."),
    10181: ("ack_policy", "The server doesn't know this."),
    10182: ("replay_policy", "The server doesn't know this."),
    10183: ("ack_wait", "This must not be negative."),
    10184: ("backoff", "A step of back-off must not be negative."),
    10185: ("", "The servers are too old for a setting of this."),
}
_PATTERNS = (  # (the server's words, the server's key of the setting, sentence, transient), for codes of many meanings
    (r"no suitable peers.*peer offline", "num_replicas", "Too few servers with JetStream are up for it.", True),
    (r"no suitable peers.*tag", "placement", "Too few servers have the tags that are asked for.", False),
    (r"no suitable peers.*insufficient storage", "max_bytes", "Too few servers have room for it.", False),
    (r"no suitable peers", "num_replicas", "Too few servers with JetStream are up for so many replicas.", True),
    (r"error creating store", "", "The server can't keep it on its disk at the moment.", True),
    (r"raft|no leader|not current|server shutting down|timed? ?out", "", "The servers are not ready for it.", True),
    (r"^storage type can not", "mem_storage", "This can't change any more.", False),
    (r"can not change storage type", "storage", "This can't change any more.", False),
    (r"retention policy to/from workqueue", "retention", "A work queue stays one; nothing becomes one.", False),
    (r"can not be sealed|can not unseal", "sealed", "A stream is sealed once it is there, and stays so.", False),
    (r"deny message deletes", "deny_delete", "This can't be taken back.", False),
    (r"deny purge", "deny_purge", "This can't be taken back.", False),
    (r"message TTL status", "allow_msg_ttl", "This can't be taken back.", False),
    (r"purge permission", "allow_rollup_hdrs", "Roll-ups need purging: allow it, or no roll-ups.", False),
    (r"max age needs|max age can not", "max_age", "This is 100ms or longer, or 0 for no limit.", False),
    (r"duplicates window needs", "duplicate_window", "This is 100ms or longer.", False),
    (r"duplicates window can not be larger then max age", "duplicate_window", "This is longer than the age.", False),
    (r"duplicates window", "duplicate_window", "The server doesn't allow a window as long as this.", False),
    (r"discard new per subject requires discard", "discard_new_per_subject", "This goes with discard: new.", False),
    (r"discard new per subject", "discard_new_per_subject", "This needs a limit of messages of a subject.", False),
    (r"subjects? .*overlaps? with \"?(.*?)\"?$", "subjects", "Two of these subjects overlap ({0}).", False),
    (r"duplicate subjects", "subjects", "A subject stands there twice.", False),
    (r"require no-ack|requires no-ack", "subjects", "Subjects as wide as these need “no acknowledgement”.", False),
    (r"requires replicas of 1", "num_replicas", "A stream of all subjects has one replica.", False),
    (r"invalid subject", "subjects", "One of these is no subject.", False),
    (r"at least one configured subject", "subjects", "A stream needs subjects, or something that it copies.", False),
    (r"republish", "republish", "What is republished would come back, or has no subject.", False),
    (r"detected cycle", "sources", "Streams would copy each other round and round.", False),
    (r"maximum replicas", "num_replicas", "This must be 5 or less.", False),
    (r"preferred server", "placement", "A preferred server can't be said.", False),
    (r"description is too long", "description", "The description is too long for the server.", False),
    (r"metadata exceeds", "metadata", "The metadata are too long for the server.", False),
    (r"name is too long", "name", "This name is too long for the server.", False),
    (r"name (?:is required|can not contain)", "name", "The server takes no such name.", False),
    (r"deliver policy can not", "deliver_policy", "This can't change any more.", False),
    (r"start sequence can not", "opt_start_seq", "This can't change any more.", False),
    (r"start time can not", "opt_start_time", "This can't change any more.", False),
    (r"ack policy can not", "ack_policy", "This can't change any more.", False),
    (r"replay policy can not", "replay_policy", "This can't change any more.", False),
    (r"heart beats can not", "idle_heartbeat", "This can't change any more.", False),
    (r"flow control can not", "flow_control", "This can't change any more.", False),
    (r"max waiting can not", "max_waiting", "This can't change any more.", False),
    (r"pull consumer to push|push consumer to pull", "deliver_subject", "Pull or push can't change any more.", False),
    (r"violates consumers: (.+)", "", "Consumers go beyond it: {0}.", False),
    (r"Go struct field \S+?\.(\w+) of type", "", "The server can't read “{0}” of it.", False),
)  # fmt: skip
_WORDS = tuple((re.compile(words, re.IGNORECASE), setting, told, wait) for words, setting, told, wait in _PATTERNS)

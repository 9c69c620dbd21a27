"""What can't change any more once an object is there."""

from __future__ import annotations

from accounts_app.jetstream.differences import in_words
from accounts_app.jetstream.settings import settings_of
from accounts_app.jetstream.wire import FILLED, Config, complete, effective

FOR_GOOD = ("deny_delete", "deny_purge", "allow_msg_ttl", "sealed")  # once true, always true


def fixed_changes(kind: str, wanted: Config, seen: Config) -> dict[str, str]:
    """{setting: sentence} of what can't change any more on an object that is there as `seen`."""
    ours, theirs = effective(kind, wanted), complete(kind, seen)
    found = {}
    for name, setting in settings_of(kind).items():
        if ours[name] == theirs[name] or (name in FILLED and name not in wanted):
            continue
        if setting.fixed:
            found[name] = f"This can't change any more: it is {in_words(kind, name, theirs[name])} on the server."
        elif name in FOR_GOOD and theirs[name]:
            found[name] = "This can't be taken back."
        elif name == "retention" and "workqueue" in (ours[name], theirs[name]):
            found[name] = "A work queue stays one, and nothing else becomes one."
        elif name == "mirror" and ours[name]:
            found[name] = (
                "What a stream mirrors can't change any more; without a mirror it becomes a stream of its own."
            )
        elif name == "deliver_subject" and not (ours[name] and theirs[name]):
            found[name] = "Pulling and pushing can't change any more."
    return found

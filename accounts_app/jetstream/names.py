"""How streams, consumers and buckets may be called."""

from __future__ import annotations

LONGEST = 255  # `server/jetstream.go` JSMaxNameLen
_NEVER = {".": "a dot", "*": "a star", ">": "“>”", "/": "a slash", "\\": "a backslash", " ": "a blank"}
KV_PREFIX, OBJECT_PREFIX = "KV_", "OBJ_"
_PREFIXES = {"kv": KV_PREFIX, "object": OBJECT_PREFIX}


def check_asset_name(name: str) -> str:
    """Return the name of a stream or consumer, or raise ValueError with the reason that it can't be one."""
    if not name:
        raise ValueError("A name is needed.")
    if len(name.encode("utf-8", "surrogatepass")) > LONGEST:
        raise ValueError(f"A name has at most {LONGEST} bytes.")
    for character, word in _NEVER.items():
        if character in name:
            raise ValueError(f"A name holds no dot, star, “>”, slash, backslash or blank, and this holds {word}.")
    if not name.isprintable() or any("\ud800" <= character <= "\udfff" for character in name):
        raise ValueError("A name holds printable characters only.")
    return name


def check_bucket_name(name: str) -> str:
    """Return the name of a bucket: letters, digits, - and _ (ADR-8 and ADR-20 of NATS). Raises ValueError."""
    if not name or not all(character.isascii() and (character.isalnum() or character in "-_") for character in name):
        raise ValueError("A bucket's name holds letters, digits, - and _ only.")
    return check_asset_name(name)


def stream_of(kind: str, bucket: str) -> str:
    """The server's name of the stream under a bucket; of a stream, its own name. kind: as in settings."""
    return f"{_PREFIXES.get(kind, '')}{bucket}"


def bucket_of(kind: str, name: str) -> str:
    """The name by which people know a stream or a bucket, of the server's name."""
    return name.removeprefix(_PREFIXES.get(kind, ""))


def check_name(kind: str, name: str) -> str:
    """Return the server's name of a stream, bucket or consumer, or raise ValueError with the reason against it."""
    prefix = _PREFIXES.get(kind, "")
    if not prefix:
        return check_asset_name(name)
    if not name.startswith(prefix):
        raise ValueError(f"The stream under this bucket is called {prefix}….")
    check_bucket_name(name.removeprefix(prefix))
    return check_asset_name(name)

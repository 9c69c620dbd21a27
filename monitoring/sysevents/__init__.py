"""What the servers say in the system account → frozen values. Pure: no network, no clock, no Django.

Unknown fields are ignored; what can't be read raises Malformed, and the relay counts it. Only servers can
publish in the system account, so a tenant can't forge these; what names its server or account twice must
name it alike. Sources: server/events.go, server/monitor.go, server/jetstream_events.go; shapes as measured
on 2.15.1.
"""

from .events import FAILED, KEPT_OUT, MOST_BYTES, Event, read_advisory, read_event
from .parts import seconds
from .replies import Reply, read_reply
from .values import (
    AccountsSeen,
    AccountStats,
    AccountStreams,
    Advisory,
    Conn,
    Connected,
    ConnectionsSeen,
    Consumer,
    Disconnected,
    Leaving,
    Malformed,
    Peer,
    Refused,
    Speaker,
    Stats,
    Stream,
    StreamsSeen,
    Var,
)

__all__ = [
    "FAILED",
    "KEPT_OUT",
    "MOST_BYTES",
    "AccountStats",
    "AccountStreams",
    "AccountsSeen",
    "Advisory",
    "Conn",
    "Connected",
    "ConnectionsSeen",
    "Consumer",
    "Disconnected",
    "Event",
    "Leaving",
    "Malformed",
    "Peer",
    "Refused",
    "Reply",
    "Speaker",
    "Stats",
    "Stream",
    "StreamsSeen",
    "Var",
    "read_advisory",
    "read_event",
    "read_reply",
    "seconds",
]

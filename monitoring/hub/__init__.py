"""From Redis to sockets: one subscription a process, one message object for all who watch a topic, latest wins."""

from monitoring.hub.frame import Frame
from monitoring.hub.hub import Hub
from monitoring.hub.socket import Socket

__all__ = ["Frame", "Hub", "Socket"]

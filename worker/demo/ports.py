"""Free ports on the loopback interface."""

import random
import socket

from worker.demo.errors import BrokerFailed

HOST = "127.0.0.1"
# Below the ports that Linux (32768) and macOS (49152) give to outgoing connections: while a server is down, a
# reconnecting client must not be able to get its port.
_PORTS = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nobody listens on now; another process may take one before it is used."""
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise BrokerFailed("no free port on the loopback interface")

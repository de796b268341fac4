"""bedplate-agent: what runs on the node. Its first duty is to tell on the console why the node does not join."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence

from bedplate.host.clock import SystemClock
from bedplate.host.links import SystemLinks
from bedplate.host.peers import SystemPeers
from bedplate.host.run import SystemRunner
from bedplate.node.report.gather import Node
from bedplate.node.report.watch import watch


def main(arguments: Sequence[str]) -> int:
    """Carry out the duty that the one argument names; the exit code is 2 when it is none."""
    if list(arguments) != ["report"]:
        sys.stderr.write("usage: bedplate-agent report\n")
        return 2
    clock = SystemClock()
    name = socket.gethostname().lower()
    node = Node(name, SystemLinks(), SystemPeers(), SystemRunner(), clock)
    watch(node.gather, say, clock)
    return 0


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

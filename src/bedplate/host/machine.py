"""What this machine has: processors, memory, space, programs, devices, free ports."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
from pathlib import Path
from typing import Protocol


class Machine(Protocol):
    """Questions about a machine. None of them changes anything; all sizes are bytes."""

    def cores(self) -> int:
        """The processors that this process may use."""
        ...

    def available_memory(self) -> int:
        """What programs can still get without swapping."""
        ...

    def free_space(self, path: Path) -> int:
        """What this user may still write under `path`, which need not exist yet."""
        ...

    def program(self, name: str) -> bool:
        """Whether a program of that name is in PATH."""
        ...

    def is_file(self, path: Path) -> bool: ...

    def opens(self, path: Path) -> bool:
        """Whether a device can be opened for reading and writing."""
        ...

    def port_free(self, port: int) -> bool:
        """Whether a server could listen on 127.0.0.1 at this TCP port."""
        ...

    def is_root(self) -> bool: ...

    def subordinate_ids(self, table: Path) -> int:
        """The largest range of ids that `table` (/etc/subuid, /etc/subgid; subuid(5)) gives this user."""
        ...


class SystemMachine:
    """The machine that this runs on."""

    def cores(self) -> int:
        return len(os.sched_getaffinity(0))

    def available_memory(self) -> int:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return 0

    def free_space(self, path: Path) -> int:
        there = next(each for each in (path, *path.absolute().parents) if each.exists())
        return shutil.disk_usage(there).free

    def program(self, name: str) -> bool:
        return shutil.which(name) is not None

    def is_file(self, path: Path) -> bool:
        return path.is_file()

    def opens(self, path: Path) -> bool:
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
        except OSError:
            return False
        return True

    def port_free(self, port: int) -> bool:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
        return True

    def is_root(self) -> bool:
        return os.geteuid() == 0

    def subordinate_ids(self, table: Path) -> int:
        try:
            lines = table.read_text().splitlines()
        except OSError:
            return 0
        return largest_range(lines, owners={getpass.getuser(), str(os.getuid())})


def largest_range(lines: list[str], *, owners: set[str]) -> int:
    """The largest count among the lines `owner:start:count` of these owners; 0 where there is none."""
    fields = [line.strip().split(":") for line in lines]
    return max((int(f[2]) for f in fields if len(f) == 3 and f[0] in owners and f[2].isdigit()), default=0)

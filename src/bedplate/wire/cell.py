"""What is said to the supervisor of a cell: one JSON request a line, one JSON answer a line.

A cell is a set of Linux namespaces in which a local cluster lives. Its supervisor is process 1 there,
so the kernel ends everything in the cell when the supervisor ends.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class ProcessSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A process that the supervisor keeps: `log` is the file that gets both of its output streams.

    `env` is added to a clean environment. With `restart` it is started again whenever it ends by
    itself, each time a little later; without, its end is only recorded.
    """

    name: str
    argv: tuple[str, ...]
    log: str
    env: dict[str, str] = msgspec.field(default_factory=dict)
    cwd: str = "/"
    restart: bool = False


class ProcessStatus(msgspec.Struct, frozen=True):
    """One process as the supervisor sees it.

    `code` is the last exit code (negative: the signal that ended it), `None` while it runs for the
    first time; `seconds` is how long it has been in `state`.
    """

    name: str
    state: Literal["running", "exited"]
    code: int | None
    restarts: int
    seconds: float


class Start(msgspec.Struct, frozen=True, tag="start"):
    """Start a process under a name that no running one has. Answered by `Listing` of that one."""

    spec: ProcessSpec


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """End a process: SIGTERM, and SIGKILL after `grace` seconds. It is forgotten afterwards.

    Stopping what is not there is no error: the answer lists what was stopped.
    """

    name: str
    grace: float = 10.0


class Run(msgspec.Struct, frozen=True, tag="run"):
    """Run a program in the cell to its end, within `seconds`. Answered by `Ran`."""

    argv: tuple[str, ...]
    seconds: float = 10.0


class List(msgspec.Struct, frozen=True, tag="list"):
    """Ask for every process, running or ended. Answered by `Listing`."""


class Shutdown(msgspec.Struct, frozen=True, tag="shutdown"):
    """Stop every process, newest first, and end the cell. Answered by an empty `Listing`."""

    grace: float = 10.0


class Listing(msgspec.Struct, frozen=True, tag="listing"):
    """Processes in the order in which they were started."""

    processes: tuple[ProcessStatus, ...]


class Ran(msgspec.Struct, frozen=True, tag="ran"):
    """How a program ended: its exit code and both of its output streams as they came."""

    code: int
    output: str


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The request was not carried out, with the reason in words for people."""

    brief: str
    details: str = ""


Request = Start | Stop | Run | List | Shutdown
Answer = Listing | Ran | Refused

_encoder = msgspec.json.Encoder()
_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_answers: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


def encode(message: Request | Answer) -> bytes:
    """One line, with its line feed."""
    return _encoder.encode(message) + b"\n"


def decode_request(line: bytes) -> Request:
    """Raises `msgspec.MsgspecError` for anything that is not a request."""
    return _requests.decode(line)


def decode_answer(line: bytes) -> Answer:
    """Raises `msgspec.MsgspecError` for anything that is not an answer."""
    return _answers.decode(line)


class SupervisorOrders(msgspec.Struct, frozen=True):
    """What a supervisor is started with.

    The numbers are open file descriptors handed over by whoever starts it: `api` is the listening
    Unix socket, `relays` are listening TCP sockets of the host network, each with the address
    (`10.75.0.1:6443`) inside the cell that its connections go to.
    """

    api: int
    relays: dict[int, str] = msgspec.field(default_factory=dict)

"""Asks a foreign API server through `kubectl`, which knows every way to prove who one is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx

from bedplate.host.run import ProgramFailed, Runner
from bedplate.local.foreign.record import Foreign
from bedplate.local.kubectl import SECONDS, Kubectl
from bedplate.model.errors import MachineError, PeerError

ANSWER_SECONDS = 10
ANY_CODE = range(256)


@dataclass(frozen=True, slots=True)
class ForeignKubectl(Kubectl):
    """The same for a control plane that is not ours: it may not answer, and what fails is its fault."""

    def run(self, *arguments: str, stdin: bytes | None = None, seconds: float = SECONDS) -> str:
        """What it printed. Raises `PeerError` when it failed."""
        try:
            return Kubectl.run(self, *arguments, stdin=stdin, seconds=seconds)
        except ProgramFailed as problem:
            raise PeerError(
                f"kubectl failed with {self.kubeconfig}.",
                details=problem.details,
                resolution="See that kubectl can use this file, and that its user may do this.",
            ) from problem

    def argv(self, *arguments: str) -> list[str | Path]:
        """The command line; every request ends in time."""
        return Kubectl.argv(self, f"--request-timeout={ANSWER_SECONDS}s", *arguments)


def kubectl_for(foreign: Foreign, program: Path, runner: Runner) -> ForeignKubectl:
    """The one that asks `foreign`."""
    return ForeignKubectl(runner, program, foreign.kubeconfig, foreign.context)


class KubectlTransport(httpx.BaseTransport):
    """Carries the requests of an HTTP client. Only GET and DELETE are known."""

    def __init__(self, kubectl: ForeignKubectl) -> None:
        self._kubectl = kubectl

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        argv = self._kubectl.argv(_VERBS[request.method], "--raw", request.url.raw_path.decode())
        try:
            done = self._kubectl.runner.run(argv, ok=ANY_CODE, seconds=3 * ANSWER_SECONDS)
        except MachineError as problem:
            raise httpx.ConnectError(str(problem), request=request) from problem
        if done.code == 0:
            return httpx.Response(httpx.codes.OK, content=done.stdout, request=request)
        said = done.stderr.decode(errors="replace").strip()
        if "(NotFound)" in said:
            return httpx.Response(httpx.codes.NOT_FOUND, text=said, request=request)
        raise httpx.ConnectError(said, request=request)


_VERBS = {"GET": "get", "DELETE": "delete"}


def foreign_client(foreign: Foreign, program: Path, runner: Runner) -> httpx.Client:
    """An HTTP client of the foreign API server."""
    transport = KubectlTransport(kubectl_for(foreign, program, runner))
    return httpx.Client(base_url="https://foreign", transport=transport, trust_env=False)

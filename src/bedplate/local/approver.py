"""The process that approves kubelet serving certificates: `python -m bedplate.local.approver`.

It runs in the cell under a client certificate that can do this and nothing else. Which machines there
are it reads anew for each round from the file that `write_known_machines` keeps.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec

from bedplate.host.clock import Clock, SystemClock
from bedplate.host.files import write_atomically
from bedplate.local.approval import SIGNER, Decision, Verdict, judge_serving_request
from bedplate.local.authorities import Pki
from bedplate.local.controlplane import ControlPlane
from bedplate.local.setup import api_client
from bedplate.wire.cell import ProcessSpec
from bedplate.wire.csr import read_request

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
ROUND_SECONDS = 1.0
_EVENT = {Decision.APPROVE: ("Approved", "MachineIsKnown"), Decision.DENY: ("Denied", "NotThisMachine")}


def known_machines_file(folder: Path) -> Path:
    """Where the cluster under `folder` keeps which machines it made."""
    return folder / "known-machines.json"


def write_known_machines(folder: Path, machines: Mapping[str, str]) -> None:
    """Tell the approver of every machine of the cluster: its address by its name. To be said before one starts."""
    write_atomically(known_machines_file(folder), msgspec.json.encode(dict(machines), order="sorted"))


def read_known_machines(folder: Path) -> Mapping[str, str]:
    """What was written last; nothing where nothing was."""
    try:
        return msgspec.json.decode(known_machines_file(folder).read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}


def approver_process(plane: ControlPlane, *, python: Path) -> ProcessSpec:
    """The approver as a process of the cell; `python` is an interpreter that has Bedplate."""
    argv = (
        str(python),
        "-m",
        "bedplate.local.approver",
        f"--folder={plane.folder}",
        f"--pki={plane.pki.folder}",
        f"--server={plane.addresses.server}",
    )
    return ProcessSpec(name="approver", argv=argv, log=plane.log("approver"), restart=True)


def decide_round(api: httpx.Client, machines: Mapping[str, str], *, now: str) -> dict[str, Verdict]:
    """Judge every open request once and carry out what was decided; the verdicts by the request's name.

    `now` is the time in RFC 3339. Raises `httpx.HTTPError` when the API server cannot be asked.
    """
    answer = api.get(REQUESTS, params={"fieldSelector": f"spec.signerName={SIGNER}"}).raise_for_status()
    verdicts = {}
    for document in answer.json()["items"]:
        request = read_request(document)
        verdict = judge_serving_request(request, machines)
        if verdict.decision in _EVENT:
            _carry_out(api, request.metadata.name, document, verdict, now)
        if verdict.decision is not Decision.LEAVE:
            verdicts[request.metadata.name] = verdict
    return verdicts


def _carry_out(api: httpx.Client, name: str, document: dict[str, Any], verdict: Verdict, now: str) -> None:
    event, reason = _EVENT[verdict.decision]
    condition = {
        "type": event,
        "status": "True",
        "reason": reason,
        "message": "; ".join(verdict.reasons),
        "lastUpdateTime": now,
    }
    decided = {**document, "status": {**document.get("status", {}), "conditions": [condition]}}
    answer = api.put(f"{REQUESTS}/{name}/approval", json=decided)
    # Somebody else was faster: the next round sees what they decided.
    if answer.status_code not in (httpx.codes.CONFLICT, httpx.codes.NOT_FOUND):
        answer.raise_for_status()


def follow(api: httpx.Client, folder: Path, clock: Clock, *, say: Callable[[str], None]) -> None:
    """One round after the other, for ever; `say` gets a line for each change."""
    said: dict[str, str] = {}
    while True:
        try:
            now = clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
            verdicts = decide_round(api, read_known_machines(folder), now=now)
            lines = {name: f"{name}: {v.decision.value}: {'; '.join(v.reasons)}" for name, v in verdicts.items()}
        except httpx.HTTPStatusError as problem:
            lines = {"": f"waiting: the API server answers {problem.response.status_code}"}
        except (httpx.HTTPError, msgspec.MsgspecError) as problem:
            lines = {"": f"waiting: {problem}"}
        for name, line in lines.items():
            if said.get(name) != line:
                say(line)
        said = lines
        clock.sleep(ROUND_SECONDS)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="bedplate.local.approver", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the cluster's folder")
    parser.add_argument("--pki", type=Path, required=True, help="the folder of its certificates")
    parser.add_argument("--server", required=True, help="the API server's URL")
    options = parser.parse_args(arguments)

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    with api_client(Pki(options.pki), "approver", server=options.server) as api:
        follow(api, options.folder, SystemClock(), say=say)


if __name__ == "__main__":
    main(sys.argv[1:])

"""`bedplate preflight`: whether this computer can do what is about to be asked of it."""

from __future__ import annotations

from collections.abc import Collection
from textwrap import shorten

import typer

from bedplate.cli.context import places, report, say
from bedplate.cli.output import OutputFormat, OutputOption, emit
from bedplate.host.machine import SystemMachine
from bedplate.host.run import SystemRunner
from bedplate.local.machines.kvm import Acceleration, choose_acceleration
from bedplate.local.machines.qemu import Accelerator
from bedplate.local.order import API_PORT, REGISTRY_RELAY
from bedplate.local.preflight.facts import gather
from bedplate.local.preflight.rules import Facts, judge, require_ready
from bedplate.model.verdicts import Severity, fatal

NOTE_CHARACTERS = 90
"""Of why machines are not run by KVM; QEMU may say a paragraph."""
COLUMNS = {"": "severity", "About": "about", "Found": "message", "What to do": "advice"}


def preflight(*, output: OutputOption = OutputFormat.table) -> None:
    """Look whether this computer can run a local cluster.

    Exits with 3 when something stands in the way.
    """
    findings = judge(look((API_PORT, REGISTRY_RELAY))[0])
    emit(findings, output=output, columns=COLUMNS)
    if fatal(findings):
        raise typer.Exit(3)


def look(ports: Collection[int]) -> tuple[Facts, Acceleration]:
    """What this computer has, and how machines will run on it. `ports` are those that have to be free."""
    runner = SystemRunner()
    acceleration = choose_acceleration(runner)
    kvm = acceleration.kind is Accelerator.KVM
    return gather(SystemMachine(), runner, places(), kvm=kvm, ports=ports), acceleration


def require(ports: Collection[int]) -> Acceleration:
    """How machines will run; what is short is told, and what is missing ends the command."""
    with report().step("Preflight") as step:
        facts, acceleration = look(ports)
        findings = require_ready(facts)
        step.note(f"machines run by {acceleration.kind.value.upper()}: {shorten(acceleration.reason, NOTE_CHARACTERS)}")
    for finding in findings:
        if finding.severity is Severity.WARNING and finding.about != "KVM":
            say(f"  {finding.about}: {finding.message} {finding.advice}")
    return acceleration

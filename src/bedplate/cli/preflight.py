"""`bedplate preflight`: whether this computer can do what is about to be asked of it."""

from __future__ import annotations

from collections.abc import Collection

import typer

from bedplate.cli.context import places, progress_console
from bedplate.cli.output import OutputFormat, OutputOption, emit
from bedplate.host.machine import SystemMachine
from bedplate.host.run import SystemRunner
from bedplate.local.cluster import API_PORT, REGISTRY_RELAY
from bedplate.local.machines.kvm import Acceleration, choose_acceleration
from bedplate.local.machines.qemu import Accelerator
from bedplate.local.preflight.facts import gather
from bedplate.local.preflight.rules import judge, require_ready
from bedplate.model.verdicts import Finding, Severity, fatal

COLUMNS = {"": "severity", "About": "about", "Found": "message", "What to do": "advice"}


def preflight(*, output: OutputOption = OutputFormat.table) -> None:
    """Look whether this computer can build images and run a local cluster.

    Exits with 3 when something stands in the way.
    """
    findings, _ = look((API_PORT, REGISTRY_RELAY))
    emit(findings, output=output, columns=COLUMNS)
    if fatal(findings):
        raise typer.Exit(3)


def look(ports: Collection[int]) -> tuple[tuple[Finding, ...], Acceleration]:
    """Every finding, and how machines will run. `ports` are those that have to be free."""
    runner = SystemRunner()
    acceleration = choose_acceleration(runner)
    kvm = acceleration.kind is Accelerator.KVM
    return judge(gather(SystemMachine(), runner, places(), kvm=kvm, ports=ports)), acceleration


def require(ports: Collection[int]) -> Acceleration:
    """How machines will run; warnings are told, and errors end the command."""
    runner = SystemRunner()
    acceleration = choose_acceleration(runner)
    kvm = acceleration.kind is Accelerator.KVM
    findings = require_ready(gather(SystemMachine(), runner, places(), kvm=kvm, ports=ports))
    for finding in findings:
        if finding.severity is Severity.WARNING:
            progress_console().print(f"{finding.about}: {finding.message} {finding.advice}", highlight=False)
    return acceleration

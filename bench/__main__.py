"""`./dev bench NAME`: measure, print, and record the result with the machine's description."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

import msgspec

from bedplate.cli.output import OutputFormat, emit
from bedplate.host.clock import SystemClock
from bedplate.host.run import SystemRunner
from bedplate.local.machines.kvm import choose_acceleration
from bench.figures import Run, commit, record, this_computer
from bench.tables import is_entry, side_by_side

ROOT = Path(__file__).parents[1]
BENCHES = ("image", "boot", "update")
COLUMNS = {"Figure": "name", "Value": "value", "Unit": "unit", "At most": "goal", "Met": "met"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("name", choices=BENCHES)
    parser.add_argument("--json", action="store_true", help="print a list of figures as JSON")
    options = parser.parse_args()
    head, changed = commit(ROOT, SystemRunner())
    figures = tuple(importlib.import_module(f"bench.{options.name}").measure())
    computer = this_computer(choose_acceleration(SystemRunner()).kind.value)
    record(Run(options.name, head, changed, SystemClock().now(), computer, figures))
    if options.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(figures), indent=1).decode() + "\n")
    else:
        tables = side_by_side(figures)
        sys.stdout.write(f"{tables}\n" if tables else "")
        emit([each for each in figures if not is_entry(each)], output=OutputFormat.table, columns=COLUMNS)
    return 0 if all(figure.met is not False for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())

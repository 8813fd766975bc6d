"""The command line: Hydra composes, everything is checked, then the needs and the run are handed on as plain dicts."""

from __future__ import annotations

import os
import signal
import sys

from transferbench.cli import usage
from transferbench.cli.usage import conf_dir

__all__ = ["command", "conf_dir", "main"]


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong configuration or input, 143 after SIGTERM."""
    for number in (signal.SIGTERM, signal.SIGUSR1):  # while a run trains, its checkpoints listen in this one's place
        signal.signal(number, lambda *_: sys.exit(143))
    # OpenMP's threads spin while they wait, and take the cores from the loading processes: a third of the speed here.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(command(sys.argv))


def command(argv: list[str]) -> int:
    """Carry out ``argv`` and return the exit code, with what went wrong said in sentences on stderr."""
    if len(argv) == 1 or {"--help", "-h"} & set(argv[1:]):
        usage.show([conf_dir(), *usage.own_folders(argv)])
        return 0
    from transferbench.cli.application import carry_out  # Hydra: half a second that the help does not need

    return carry_out(argv)

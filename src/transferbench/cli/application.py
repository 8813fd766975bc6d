"""Hydra composes inside this process; what goes wrong is collected, said in sentences and made an exit code."""

from __future__ import annotations

import functools
import os
import sys
import time
import traceback
from contextlib import nullcontext
from dataclasses import dataclass

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from transferbench import schema
from transferbench.cli import sweeps
from transferbench.cli.plan import STARTED, plan
from transferbench.cli.sentences import sentence
from transferbench.cli.usage import conf_dir, refuse_null_groups
from transferbench.errors import RunFailed, UserError

EXPECTED = (UserError, RunFailed, HydraException, OmegaConfBaseException, yaml.YAMLError)
"""What is said in a sentence; anything else is a fault of ours and keeps its traceback."""

schema.register()


@dataclass
class Outcome:
    """What came of a command line: the errors of its jobs, and whether it was a sweep."""

    failures: list[Exception]
    sweeping: bool = False
    full_error: str | None = None
    """The user's own ``HYDRA_FULL_ERROR``."""
    composed: bool = False
    """Hydra has read the command line and the files; what fails before is theirs, whatever its type."""


def carry_out(argv: list[str]) -> int:
    """Carry out ``argv`` and return the exit code, with what went wrong said in sentences on stderr."""
    before = dict(os.environ)
    outcome = Outcome([], full_error=before.get("HYDRA_FULL_ERROR"))
    try:
        refuse_null_groups(argv)
        os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises inside this process, and we print
        _compose_and_run(outcome, argv)
    except EXPECTED as caught:
        outcome.failures = outcome.failures or [sweeps.in_plain_words(caught)]
    except Exception as caught:
        if outcome.composed:
            raise
        words = " ".join(argv[1:])
        reason = f"{type(caught).__name__}: {caught}"
        outcome.failures = [UserError(f"the command line cannot be read ({reason}): {words:.500}")]
    finally:
        os.environ.clear()
        os.environ.update(before)
    for error in outcome.failures:
        if outcome.full_error == "1":
            traceback.print_exception(error)
        sys.stderr.write(sentence(error, argv).rstrip() + "\n")
    return _exit_code(outcome)


def _compose_and_run(outcome: Outcome, argv: list[str]) -> None:
    """Let Hydra compose and run; a sweep ends with its page, whatever became of its jobs."""
    sweeps.FOLDER.set(None)
    sys.argv = argv
    application = functools.partial(_application, outcome)
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(application)()
    except Exception:
        _end_of_sweep(outcome)
        raise
    else:
        _end_of_sweep(outcome)


def _end_of_sweep(outcome: Outcome) -> None:
    """Gather what failed in other processes, and write the page; a single run, or a sweep not begun, has none."""
    folder = sweeps.FOLDER.get()
    if folder is None or not sweeps.began(folder):
        return
    outcome.composed = outcome.sweeping = True
    outcome.failures = outcome.failures or [RunFailed(said) for said in sweeps.failures(folder)]
    sweeps.conclude(folder, outcome.full_error == "1")


def _exit_code(outcome: Outcome) -> int:
    if not outcome.failures:
        return 0
    return 1 if outcome.sweeping or any(isinstance(error, RunFailed) for error in outcome.failures) else 2


def _application(outcome: Outcome, config: DictConfig) -> None:
    """Plan and run one job; a job of a sweep raises too, so that its launcher knows, and the others go on."""
    outcome.composed = True
    outcome.sweeping = HydraConfig.get().mode == RunMode.MULTIRUN
    if outcome.full_error is None:
        os.environ.pop("HYDRA_FULL_ERROR", None)  # the processes of other ranks print what the user asked for
    try:
        with sweeps.recorded(EXPECTED) if outcome.sweeping else nullcontext() as recorder:
            jobs = plan(config, outcome.sweeping)
            if recorder is not None:
                recorder.placed(jobs[-1].folder)
            from transferbench.run import run

            for position, job in enumerate(jobs):
                first = position == 0 and not (outcome.sweeping and HydraConfig.get().job.num)
                run(job.config, job.folder, job.digest, started=STARTED if first else time.time())
    except EXPECTED as error:
        outcome.failures.append(error)
        if outcome.sweeping:
            raise
    finally:
        os.environ["HYDRA_FULL_ERROR"] = "1"

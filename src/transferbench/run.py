"""One run, from a resolved configuration to its report: reads from top to bottom."""

from __future__ import annotations

import logging
import os
import platform
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import SIGTERMException

import transferbench
from transferbench.build import build
from transferbench.check import check_devices
from transferbench.checkpoint import build_parts, read, snapshot, unpretrained
from transferbench.outputs import RunFolder

log = logging.getLogger(__name__)


class Clock:
    """Seconds spent by name."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the time of the block to ``name``."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - begin


def is_first_process() -> bool:
    """Tell whether this process is rank 0, before any process group stands."""
    return all(os.environ.get(name, "0") == "0" for name in ("LOCAL_RANK", "RANK", "SLURM_PROCID"))


def run(config: dict[str, Any], path: Path, digest: str, started: float | None = None) -> dict[str, Any]:
    """Carry out one run in the folder ``path`` and return its summary; a finished one is only shown again.

    Raises:
        UserError: an input is wrong. RunFailed: training diverged or the folder cannot be written.
        SystemExit: with code 143 after SIGTERM.
    """
    folder = RunFolder(path, digest)
    check_devices(config["trainer"])
    if is_first_process():
        folder.claim(config)
    try:
        summary = folder.summary()
        if summary is not None:
            show_again(summary, folder)
            return summary
        return execute(config, folder, Clock(started or time.time()))
    finally:
        folder.release()


def execute(config: dict[str, Any], folder: RunFolder, clock: Clock) -> dict[str, Any]:
    """Prepare the data, train, evaluate, report: the body of ``run``."""
    quieten()
    seed_everything(config["seed"], workers=True, verbose=False)
    data = build(config["data"])
    data.setup("fit")
    parts = build_parts(config, len(data.classes))
    task: LightningModule = build(config["task"])(backbone=parts.backbone, head=parts.head)
    clock.seconds["start-up"] = time.time() - clock.started - data.render_seconds
    clock.seconds["rendering"] = data.render_seconds
    with clock.measure("training"):
        fit(config, folder, task, data)
    if not is_first_process():
        return {}
    data.report_unreadable()
    metrics, facts = evaluate(config, folder, task, data, clock)
    return finish(config, folder, metrics, facts, clock)


def fit(config: Mapping[str, Any], folder: RunFolder, task: LightningModule, data: Any) -> None:
    """Train, from the last checkpoint where there is one."""
    last = folder.last_checkpoint()
    loggers: list[Logger] = build(config["logger"])(folder=folder.path, config=config) if config["logger"] else []
    kept = snapshot(config, data.classes, data.class_names)
    callbacks = [
        made if isinstance(made, Callback) else made(folder=folder.checkpoints, snapshot=kept)
        for made in build(config["callbacks"] or {}).values()
    ]
    if last is not None:
        step = int(read(last)["global_step"])
        log.warning("going on from %s", last)
        for logger in loggers:
            getattr(logger, "drop_from", lambda step: None)(step)
    trainer: Trainer = build(config["trainer"])(
        callbacks=callbacks, logger=loggers, default_root_dir=folder.path, num_sanity_val_steps=0,
        enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip
    outside = signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Lightning ends the step that is under way, then stops
    try:
        trainer.fit(task, datamodule=data, ckpt_path=last, weights_only=True)
    except SIGTERMException:
        sys.exit(143)
    finally:
        signal.signal(signal.SIGTERM, outside)
        close(loggers)


def close(loggers: list[Logger]) -> None:
    """Finish a W&B run, so that the next run of this process gets one of its own."""
    if "wandb" in sys.modules and any(type(logger).__name__ == "WandbLogger" for logger in loggers):
        sys.modules["wandb"].finish(quiet=True)


def evaluate(
    config: Mapping[str, Any], folder: RunFolder, task: Any, data: Any, clock: Clock
) -> tuple[dict[str, float], Any]:
    """Probe the frozen features and the floors; return the flat metrics and what the report shows."""
    from transferbench.report.gather import final_metrics, gather
    from transferbench.storage import digest_of
    from transferbench.transfer.floors import floors

    metrics = final_metrics(folder.path)
    if not config["transfer"]:
        return metrics, gather(data, {}, None)
    protocol, device = build(config["transfer"]), "cuda" if torch.cuda.is_available() else "cpu"
    sets = data.evaluation_sets()
    with clock.measure("evaluation"):
        result = protocol.evaluate(task.backbone, sets, config["seed"], device)
    with clock.measure("floors"):
        untrained = lambda: build(unpretrained(config)["model"])  # noqa: E731
        beneath = floors(protocol, sets, untrained, digest_of(config["model"]), config["seed"], device)
    metrics |= result.metrics()
    for name, floor in beneath.items():
        metrics |= floor.metrics(f"floors/{name}")
    return metrics, gather(data, sets, result)


def finish(
    config: Mapping[str, Any], folder: RunFolder, metrics: dict[str, float], facts: Any, clock: Clock
) -> dict[str, Any]:
    """Write the report and the summary, show the table."""
    from rich.console import Console

    from transferbench.report.gather import complete
    from transferbench.report.html import write_report
    from transferbench.report.table import print_scores

    origin = {"name": config["name"], "run": folder.path.name, "seed": config["seed"], "commit": commit()}
    with clock.measure("report"):
        shown = complete(facts, origin, versions(), config, metrics, clock.seconds, folder.path)
        report = write_report(shown, folder.path)
    apart = clock.seconds["rendering"] + clock.seconds.get("floors", 0.0)
    seconds = {"seconds": time.time() - clock.started - apart, "timings": dict(clock.seconds)}
    counts = {"test_counts": shown.test_counts, "digest": folder.digest}
    summary = {**origin, "versions": versions(), **seconds, **counts, "metrics": metrics}
    folder.write_summary(summary)
    print_scores(shown, Console(), report)
    return summary


def show_again(summary: Mapping[str, Any], folder: RunFolder) -> None:
    """Print the table of a run that is finished."""
    from rich.console import Console

    from transferbench.report.gather import facts_of_summary
    from transferbench.report.table import print_scores

    print_scores(facts_of_summary(summary), Console(), folder.path / "report.html")


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    import lightning
    import torchvision

    found = {"transferbench": transferbench.__version__, "python": platform.python_version()}
    return found | {
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "lightning": lightning.__version__,
    }


def commit() -> str:
    """Return the commit of the checkout the package runs from, ``unknown`` outside one."""
    try:
        where = Path(__file__).parent
        told = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=where, capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return told.stdout.strip() or "unknown"


def quieten() -> None:
    """Keep Lightning's advertisements and hints that do not concern a user of this package off the screen."""
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch.accelerators.cuda", "lightning.fabric", "lightning.pytorch.trainer.connectors.checkpoint_connector"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*isinstance.treespec.*")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory.*exists and is not empty.*")
    warnings.filterwarnings("ignore", message=".*number of training batches.*is smaller than the logging interval.*")

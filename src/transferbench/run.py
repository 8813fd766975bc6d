"""One run, from a resolved configuration to its report: reads from top to bottom."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from rich.console import Console

from transferbench.build import build
from transferbench.check import check_devices
from transferbench.checkpoint import build_parts, newest_readable, snapshot, unpretrained
from transferbench.errors import RunFailed
from transferbench.outputs import RunFolder
from transferbench.provenance import Clock, commit, versions
from transferbench.report.gather import Shown, complete, facts_of_summary, final_metrics, gather
from transferbench.report.html import write_report
from transferbench.report.table import print_scores
from transferbench.storage import digest_of
from transferbench.transfer.floors import floors

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """All that a configuration asks for, built and found good before the run folder is touched."""

    data: Any
    task: LightningModule
    protocol: Any


def run(config: dict[str, Any], path: Path, digest: str, started: float | None = None) -> dict[str, Any]:
    """Carry out one run in the folder ``path`` and return its summary; a finished one is only shown again.

    Raises:
        UserError: an input is wrong. RunFailed: training diverged or the folder cannot be written.
        SystemExit: with code 143 after SIGTERM.
    """
    folder, clock = RunFolder(path, digest), Clock(started or time.time())
    folder.refuse_another(config)
    summary = folder.summary()
    if summary is not None:
        print_scores(facts_of_summary(summary), Console(), folder.path / "report.html")
        return summary
    try:
        return execute(config, folder, clock)
    except OSError as error:
        raise RunFailed(f"{path}: {error}; once that is mended, the same command with the same run= goes on") from error
    finally:
        folder.release()


def execute(config: dict[str, Any], folder: RunFolder, clock: Clock) -> dict[str, Any]:
    """Prepare, train, evaluate, report: the body of ``run``."""
    quieten()
    seed_everything(config["seed"], workers=True, verbose=False)
    prepared = prepare(config)
    clock.seconds["start-up"] = time.time() - clock.started - prepared.data.render_seconds
    clock.seconds["rendering"] = prepared.data.render_seconds
    if is_first_process():
        folder.claim(config)
    with clock.measure("training"):
        fit(config, folder, prepared)
    if not is_first_process():
        return {}
    metrics, shown = evaluate(config, folder, prepared, clock)
    return finish(config, folder, metrics, shown, clock)


def prepare(config: Mapping[str, Any]) -> Prepared:
    """Build everything, and find what is wrong with the inputs."""
    check_devices(config["trainer"])
    protocol = build(config["transfer"]) if config["transfer"] else None
    data = build(config["data"])
    data.setup("fit")
    data.train_dataloader()
    parts = build_parts(config, len(data.classes))
    return Prepared(data, build(config["task"])(backbone=parts.backbone, head=parts.head), protocol)


def fit(config: Mapping[str, Any], folder: RunFolder, prepared: Prepared) -> None:
    """Train, from the last checkpoint where there is one."""
    data = prepared.data
    loggers: list[Logger] = build(config["logger"])(folder=folder.path, config=config) if config["logger"] else []
    kept = snapshot(config, data.classes, data.class_names)
    callbacks = [
        made if isinstance(made, Callback) else made(folder=folder.checkpoints, snapshot=kept)
        for made in build(config["callbacks"] or {}).values()
    ]
    last = newest_readable(folder.checkpoints)
    if last is not None:
        log.warning("going on from %s", last.path)
        for logger in loggers:
            getattr(logger, "drop_from", lambda step: None)(last.step)
    trainer: Trainer = build(config["trainer"])(callbacks=callbacks, logger=loggers, default_root_dir=folder.path)
    outside = signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Lightning ends the step that is under way, then stops
    try:
        trainer.fit(prepared.task, datamodule=data, ckpt_path=last.path if last else None, weights_only=True)
    except SIGTERMException:
        sys.exit(143)
    finally:
        signal.signal(signal.SIGTERM, outside)
        close(loggers)


def close(loggers: list[Logger]) -> None:
    """Finish a W&B run, so that the next run of this process gets one of its own."""
    if "wandb" in sys.modules and any(type(logger).__name__ == "WandbLogger" for logger in loggers):
        sys.modules["wandb"].finish()


def evaluate(
    config: Mapping[str, Any], folder: RunFolder, prepared: Prepared, clock: Clock
) -> tuple[dict[str, float], Shown]:
    """Probe the frozen features and the floors; return the flat metrics and what the report shows."""
    data, protocol, metrics = prepared.data, prepared.protocol, final_metrics(folder.path)
    if protocol is None:
        return metrics, gather(data, {}, None)
    sets, seed, device = data.evaluation_sets(), config["seed"], "cuda" if torch.cuda.is_available() else "cpu"
    with clock.measure("evaluation"):
        result = protocol.evaluate(prepared.task.backbone, sets, seed, device)
    untrained = unpretrained(config)["model"]
    with clock.measure("floors"):
        beneath = floors(protocol, sets, lambda: build(untrained), digest_of(untrained), seed, device)
    metrics |= result.metrics()
    for name, floor in beneath.items():
        metrics |= floor.metrics(f"floors/{name}")
    return metrics, gather(data, sets, result)


def finish(
    config: Mapping[str, Any], folder: RunFolder, metrics: dict[str, float], shown: Shown, clock: Clock
) -> dict[str, Any]:
    """Write the report and the summary, show the table."""
    origin = {"name": config["name"], "run": folder.path.name, "seed": config["seed"], "commit": commit()}
    with clock.measure("report"):
        facts = complete(shown, origin, versions(), config, metrics, clock.seconds, folder.path)
        report = write_report(facts, folder.path)
    times = {"seconds": clock.total(), "timings": dict(clock.seconds)}
    counts = {"test_counts": shown.test_counts, "digest": folder.digest}
    summary = {**origin, "versions": versions(), **times, **counts, "metrics": metrics}
    folder.write_summary(summary)
    print_scores(facts, Console(), report)
    return summary


def is_first_process() -> bool:
    """Tell whether this process is rank 0, before any process group stands."""
    return all(os.environ.get(name, "0") == "0" for name in ("LOCAL_RANK", "RANK", "SLURM_PROCID"))


def quieten() -> None:
    """Keep Lightning's advertisements and hints that do not concern a user of this package off the screen."""
    for name in ("utilities.rank_zero", "accelerators.cuda", "trainer.connectors.checkpoint_connector"):
        logging.getLogger(f"lightning.pytorch.{name}").setLevel(logging.WARNING)
    for message in ("does not have many workers", "isinstance.treespec", "number of training batches"):
        warnings.filterwarnings("ignore", message=f".*{message}")

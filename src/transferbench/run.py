"""One run, from a resolved configuration to its report: reads from top to bottom."""

from __future__ import annotations

import inspect
import logging
import os
import re
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer, seed_everything
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, Checkpoint, ProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.layer_sync import LayerSync
from lightning.pytorch.utilities.exceptions import SIGTERMException
from rich.console import Console

from transferbench.build import build, locate
from transferbench.check import check_devices
from transferbench.checkpoint import Resumable, classes_of, newest_readable, snapshot, unpretrained
from transferbench.errors import RunFailed, UserError
from transferbench.outputs import RunFolder, read_metrics
from transferbench.parts import build_parts
from transferbench.report.facts import RunFacts, Shown
from transferbench.report.gather import facts_of_summary, final_metrics, gather
from transferbench.report.html import write_report
from transferbench.report.outcome import Outcome, listings_of, print_outcome, write_outcome
from transferbench.report.provenance import Clock, commit, versions
from transferbench.report.table import print_scores
from transferbench.report.wandb_facts import wandb_facts, wandb_outcome
from transferbench.storage import digest_of
from transferbench.transfer.floors import floors

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """All that a configuration asks for, built and found good before the run folder is touched."""

    data: Any
    """None for a frozen model that is evaluated on named data sets alone."""
    task: Any
    """A LightningModule, or something with a ``backbone`` that is not trained."""
    trainer: Trainer
    protocol: Any
    sets: dict[str, Any]
    """What to evaluate on, by name."""
    newest: Path | None
    """The newest checkpoint of an earlier process ..."""
    last: Resumable | None
    """... and the newest that can be read: where the run goes on."""


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
        show_again(summary, folder.path / "report.html")
        return summary
    try:
        return execute(config, folder, clock)
    except OSError as error:
        raise RunFailed(f"{path}: {error}; once that is mended, the same command with the same run= goes on") from error
    except RuntimeError as error:  # torch raises it wherever the main process happens to be
        if not re.search(r"DataLoader worker .*(exited unexpectedly|killed by signal)", str(error)):
            raise
        remedy = "often for want of memory: lower scale.workers; the same command with the same run= goes on"
        raise RunFailed(f"a loading process died ({str(error).splitlines()[0]}), {remedy}") from error
    finally:
        folder.release()


def execute(config: dict[str, Any], folder: RunFolder, clock: Clock) -> dict[str, Any]:
    """Prepare, train, evaluate, report: the body of ``run``."""
    quieten()
    seed_everything(config["seed"], workers=True, verbose=False)
    if hasattr(locate(config["task"]["_target_"]), "carry_out"):
        return carry_out(config, folder, clock)
    prepared = prepare(config, folder)
    rendering = 0.0 if prepared.data is None else prepared.data.render_seconds
    clock.seconds |= {"start-up": time.time() - clock.started - rendering, "rendering": rendering}
    if is_first_process():
        folder.claim(config)
        if folder.summary() is not None or folder.last_checkpoint() != prepared.newest:
            raise UserError(f"{folder.path}: another process went on with this run; type the same command again")
    loggers: list[Logger] = []
    try:
        step = prepared.last.step if prepared.last else None
        if config["logger"]:
            loggers = build(config["logger"])(folder=folder.path, config=config, step=step)
        if isinstance(prepared.task, LightningModule):
            clock.seconds["training"] = prepared.last.seconds if prepared.last else 0.0
            with clock.measure("training"):
                fit(prepared, loggers)
        elif prepared.protocol is not None and prepared.trainer.world_size > 1:
            with clock.measure("evaluation"):
                prepared.protocol.share_extraction(prepared.task.backbone, prepared.sets, prepared.trainer)
        if not is_first_process():
            return {}
        scores, shown = evaluate(config, prepared, clock)
        metrics = final_metrics(folder.path) | scores
        for logger in loggers if scores else []:
            logger.log_metrics(scores, prepared.trainer.global_step)
        return finish(config, folder, metrics, shown, clock, loggers)
    finally:
        close(loggers)


def prepare(config: Mapping[str, Any], folder: RunFolder) -> Prepared:
    """Build everything, and find what is wrong with the inputs."""
    check_devices(config["trainer"])
    protocol = build(config["transfer"]) if config["transfer"] else None
    data = build(config["data"])
    if data is not None:
        data.setup("fit")
    given = {} if data is None else data.evaluation_sets()
    if (
        protocol is not None
        and not given
        and is_trained(config["task"])
        and not (protocol.datasets or protocol.folders)
    ):
        log.warning("%s has no classes to probe: transfer is left out; name sets with transfer.datasets=...", data.name)
        protocol = None
    sets = {} if protocol is None else protocol.all_sets(given)
    classes, names = ([], []) if data is None else (data.classes, data.class_names)
    offered = {"classes": 0} if data is None else data.offered
    parts = build_parts(config, offered)
    task = build(config["task"])(backbone=parts.backbone, head=parts.head)
    newest, last = folder.last_checkpoint(), newest_readable(folder.checkpoints)
    kept = {} if data is None else {"offered": offered, **data.kept()}
    trainer = make_trainer(config, folder, snapshot(config, classes, names) | kept, last)
    if hasattr(task, "check_data"):
        task.check_data(data)
    if isinstance(task, LightningModule):
        data.check_batch(trainer.world_size)
        if not any(isinstance(one, Checkpoint) for one in trainer.callbacks):  # type: ignore[attr-defined]
            log.warning("no checkpoints are kept: this run cannot be taken up again, nor loaded")
    return Prepared(data, task, trainer, protocol, sets, newest, last)


def is_trained(task: Mapping[str, Any]) -> bool:
    """Tell whether the task of this node trains, from its target alone."""
    target: Any = locate(task["_target_"])
    return isinstance(target, type) and issubclass(target, LightningModule)


def carry_out(config: dict[str, Any], folder: RunFolder, clock: Clock) -> dict[str, Any]:
    """Run a task that is a job: it gets the run folder and writes what it likes into it, and the page is made here."""
    job = build(config["task"])
    clock.seconds["start-up"] = time.time() - clock.started
    folder.claim(config)
    loggers = build(config["logger"])(folder=folder.path, config=config) if config["logger"] else []
    try:
        with clock.measure("job"):
            outcome = job.carry_out(folder.path, config["seed"])
        facts = RunFacts(**origin_of(config, folder), config=config, metrics=outcome.metrics, timings=clock.seconds)
        report = write_outcome(outcome, facts, folder.path)
        for logger in loggers:
            logger.log_metrics(outcome.metrics, 0)
            if hasattr(logger, "log_facts"):
                logger.log_facts(wandb_outcome(outcome, report))
        printed = [vars(listing) for listing in outcome.printed]
        times = {"seconds": clock.total(), "timings": dict(clock.seconds)}
        summary = {**origin_of(config, folder), **times, "digest": folder.digest, "metrics": outcome.metrics}
        folder.write_summary(summary | {"said": outcome.said, "printed": printed})
        print_outcome(outcome, Console(), report)
        return summary
    finally:
        close(loggers)


def show_again(summary: Mapping[str, Any], report: Path) -> None:
    """Print what a finished run printed at its end."""
    if "printed" in summary:
        kept = Outcome(said=str(summary.get("said", "")), printed=listings_of(summary["printed"]))
        print_outcome(kept, Console(), report)
    else:
        print_scores(facts_of_summary(summary), Console(), report)


def make_trainer(
    config: Mapping[str, Any], folder: RunFolder, kept: Mapping[str, Any], last: Resumable | None
) -> Trainer:
    """Return the Trainer with the callbacks; loggers come when the folder is ours.

    Raises:
        UserError: Lightning does not accept what ``trainer`` says.
    """
    spent = last.seconds if last else 0.0
    callbacks = [
        made if isinstance(made, Callback) else made(folder=folder.checkpoints, snapshot=kept, seconds=spent)
        for made in build(config["callbacks"] or {}).values()
        if made is not None
    ]
    kinds = {
        "enable_checkpointing": any(isinstance(one, Checkpoint) for one in callbacks),
        "enable_progress_bar": any(isinstance(one, ProgressBar) for one in callbacks),
    }  # Lightning would bring its own where ours are left out
    placed = {**kinds, **config["trainer"]}
    plugins = list(build(placed.pop("plugins", None)) or [])
    if not placed.get("sync_batchnorm"):
        plugins = [plugin for plugin in plugins if not isinstance(plugin, LayerSync)]
    if SLURMEnvironment.detect():
        # A requeued job is taken up from the run folder: one owner, and that is not Lightning.
        plugins.append(SLURMEnvironment(auto_requeue=False))
    try:
        trainer: Trainer = build(placed)(
            callbacks=callbacks, logger=False, plugins=plugins, default_root_dir=folder.path
        )
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        raise UserError(f"trainer: {' '.join(str(error).split())}") from error
    return trainer


def fit(prepared: Prepared, loggers: list[Logger]) -> None:
    """Train, from the last checkpoint where there is one."""
    trainer, last = prepared.trainer, prepared.last
    trainer.loggers = loggers
    if last is not None:
        log.warning("going on from %s", last.path)
    try:
        trainer.fit(prepared.task, datamodule=prepared.data, ckpt_path=last.path if last else None, weights_only=True)
    except SIGTERMException:
        sys.exit(143)


def close(loggers: list[Logger]) -> None:
    """Finish a W&B run, so that the next run of this process gets one of its own."""
    if "wandb" in sys.modules and any(hasattr(logger, "_wandb_init") for logger in loggers):
        sys.modules["wandb"].finish()


def evaluate(config: Mapping[str, Any], prepared: Prepared, clock: Clock) -> tuple[dict[str, float], Shown]:
    """Examine the task, probe the frozen features and the floors; return flat metrics and what the report shows."""
    data, protocol, sets = prepared.data, prepared.protocol, prepared.sets
    seed, device = config["seed"], str(prepared.trainer.strategy.root_device)
    examined = None
    if hasattr(prepared.task, "examine"):
        asked = inspect.signature(prepared.task.examine).parameters  # some leave files of their own
        where = {"folder": Path(prepared.trainer.default_root_dir)} if "folder" in asked else {}
        with clock.measure("examination"):
            examined = prepared.task.examine(data, sets, device, **where)
    found = {} if examined is None else dict(examined.metrics)
    if protocol is None:
        return found, gather(data, {}, None, examined)
    with clock.measure("evaluation"):
        result = protocol.evaluate(prepared.task.backbone, sets, seed, device)
    untrained = unpretrained(config)["model"]
    with clock.measure("floors"):
        beneath = floors(protocol, sets, lambda: build(untrained), digest_of(untrained), seed, device)
    metrics = found | result.metrics()
    for name, floor in beneath.items():
        metrics |= floor.metrics(f"floors/{name}")
    return metrics, gather(data, sets, result, examined, trained_classes(config, prepared))


def trained_classes(config: Mapping[str, Any], prepared: Prepared) -> tuple[str, ...] | None:
    """Return the classes that the evaluated network was trained on, None where nobody knows.

    Warns of a model of ours that knows other concepts than the data calls seen.
    """
    if isinstance(prepared.task, LightningModule):
        return tuple(prepared.data.trained_classes)
    found = classes_of(config["model"])
    draw = getattr(prepared.data, "draw", None)
    if found and draw is not None and not set(draw.seen) <= set(found):
        log.warning(
            "the model was trained on other concepts than those seen in this draw; set data.draw_seed to its own"
        )
    return found


def finish(
    config: Mapping[str, Any],
    folder: RunFolder,
    metrics: dict[str, float],
    shown: Shown,
    clock: Clock,
    loggers: Sequence[Logger] = (),
) -> dict[str, Any]:
    """Write the report and the summary, send the dashboards their pictures, show the table."""
    origin = origin_of(config, folder)
    facts = RunFacts(
        **origin,
        **vars(shown),
        config=dict(config),
        metrics=metrics,
        timings=dict(clock.seconds),
        history=read_metrics(folder.path / "metrics.csv"),
    )
    with clock.measure("report"):
        report = write_report(facts, folder.path)
        for logger in loggers:
            if hasattr(logger, "log_facts"):
                logger.log_facts(wandb_facts(facts, report))
    times = {"seconds": clock.total(), "timings": dict(clock.seconds)}
    counts = {"test_counts": shown.test_counts, "digest": folder.digest}
    summary = {**origin, **times, **counts, "metrics": metrics}
    folder.write_summary(summary)
    print_scores(facts_of_summary(summary), Console(), report)
    return summary


def origin_of(config: Mapping[str, Any], folder: RunFolder) -> dict[str, Any]:
    """Return which run it was, of which code."""
    named = {"name": config["name"], "run": folder.path.name, "seed": config["seed"]}
    return {**named, "commit": commit(), "versions": versions()}


def is_first_process() -> bool:
    """Tell whether this process is rank 0, before any process group stands."""
    return all(os.environ.get(name, "0") == "0" for name in ("LOCAL_RANK", "RANK", "SLURM_PROCID"))


def quieten() -> None:
    """Keep Lightning's advertisements and hints that do not concern a user of this package off the screen."""
    for name in ("utilities.rank_zero", "accelerators.cuda", "trainer.connectors.checkpoint_connector"):
        logging.getLogger(f"lightning.pytorch.{name}").setLevel(logging.WARNING)
    resumed = "ended before the epoch ended"  # Lightning cannot know that the data module goes on where it was
    frozen = "in eval mode at the start of training"  # a language model that ICMLM holds fixed
    for message in ("does not have many workers", "isinstance.treespec", "number of training batches", resumed, frozen):
        warnings.filterwarnings("ignore", message=f".*{message}")

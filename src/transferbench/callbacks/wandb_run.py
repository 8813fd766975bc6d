"""The Weights & Biases run of a run folder."""

from __future__ import annotations

import importlib
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from transferbench.callbacks import wandb_labels as labels
from transferbench.errors import UserError
from transferbench.storage import digest_of

Mode: TypeAlias = Literal["online", "offline", "disabled"]

STEP = "trainer/global_step"
"""The x axis of all curves, as Lightning names it: optimiser steps."""
EARLIER = "earlier"
"""Below ``wandb/``: what earlier processes of a run that was taken up again wrote offline."""
SCORES = ("transfer/", "cog/", "floors/")
"""Metrics measured once, at the end: columns of the runs' table, no curves of one point."""


def ready(offline: bool) -> Mode:
    """Return the mode of W&B: ``online``, ``offline`` or, if ``WANDB_MODE`` says so, ``disabled``; asks nobody.

    Raises:
        UserError: wandb is missing or broken, or there is no key for a run that is to be online.
    """
    try:
        wandb = importlib.import_module("wandb")
        wandb.init, wandb.Settings  # noqa: B018  a folder named wandb imports, too
    except Exception as error:  # whatever a broken installation raises
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"logger=wandb: wandb cannot be imported ({reason}); type: pip install --force-reinstall wandb, "
            "or use logger=csv"
        ) from error
    said = os.environ.get("WANDB_MODE", "")
    if said == "disabled":
        return "disabled"
    if offline or said in {"offline", "dryrun"}:
        return "offline"
    remedy = "type: wandb login, or leave logger.offline=true and send the run later with wandb sync"
    try:
        known = wandb.login(prompt=False, verify=False)
    except Exception as error:  # a key that cannot be one
        raise UserError(f"logger.offline=false: the key of W&B is refused ({error}); {remedy}") from error
    if not known:
        raise UserError(f"logger.offline=false: this machine has no key for W&B; {remedy}")
    return "online"


class WandbRun(WandbLogger):
    """A W&B run that a resumed run continues without sending a row twice; all it writes lies in the run folder.

    Args:
        folder: of the run; its path gives the W&B run's id.
        config: resolved, uploaded as it is.
        tags: beside those for data, model, crops and head.
        mode: ``offline``, ``online`` or ``disabled``.
        **options: of ``wandb.init``: project, entity, job_type.
    """

    def __init__(
        self, folder: Path, config: Mapping[str, Any], tags: Sequence[str] = (), mode: Mode = "offline", **options: Any
    ) -> None:
        import wandb

        quiet = mode != "online"
        super().__init__(
            name=labels.name(folder, config),
            group=labels.group(folder, config),
            tags=list(dict.fromkeys([*labels.tags(config), *tags])),
            notes=str(folder),
            id=digest_of(str(folder.resolve())),
            resume="allow",
            save_dir=str(folder),
            config=dict(config),
            # not through Lightning's offline=, which sets WANDB_MODE for the whole process
            settings=wandb.Settings(mode=mode, console="off", silent=quiet, quiet=True),
            **options,
        )
        self._wandb_init.pop("anonymous", None)  # Lightning's, of which W&B warns
        self.folder, self.mode = folder, mode
        self._sent: Counter[tuple[int | None, frozenset[str]]] = Counter()

    @rank_zero_only
    def start(self) -> None:
        """Start the W&B run, say what its axes are, and upload ``config.yaml``.

        Offline, what earlier processes wrote is set aside: ``go_on`` writes all rows again, because ``wandb sync`` lets
        one folder of a run replace another, and because W&B's last rows are lost where a process is killed.

        Raises:
            UserError: W&B cannot be reached, or refuses the run.
        """
        import wandb

        if self.mode == "offline":
            for earlier in sorted((self.folder / "wandb").glob(f"offline-run-*-{self._id}")):
                (earlier.parent / EARLIER).mkdir(exist_ok=True)
                earlier.rename(earlier.parent / EARLIER / earlier.name)
        try:
            run: Any = self.experiment
        except wandb.Error as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"logger.offline=false: W&B does not take the run ({reason}); set logger.offline=true and send it "
                "later with wandb sync"
            ) from error
        run.define_metric(STEP, hidden=True)
        run.define_metric("epoch", step_metric=STEP, hidden=True)
        for curves in ("train/*", "val/*"):
            run.define_metric(curves, step_metric=STEP, step_sync=True)
        record, target = self.folder / "config.yaml", Path(run.dir) / "transferbench" / "config.yaml"
        if record.exists() and Path(run.dir).is_dir():  # W&B has a config.yaml of its own at the top
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(record, target)
            run.save(str(target), base_path=run.dir, policy="now")

    @rank_zero_only
    def go_on(self, kept: Sequence[Mapping[str, Any]], again: Sequence[Mapping[str, Any]]) -> None:
        """Go on after the rows ``kept`` of the metrics file; those in ``again`` come again, as training repeats them.

        W&B tells how many rows it has: those it lacks are sent, and those it has are not sent when they come again.
        """
        known = int(self.experiment.step)
        kept, again = ([row for row in rows if _has_curves(row)] for rows in (kept, again))
        for row in kept[known:]:
            self.log_metrics({key: value for key, value in row.items() if key != "step"}, int(row["step"]))
        for row in again[: max(known - len(kept), 0)]:
            step = int(row["step"]) if row.get("step", "").isdigit() else None
            self._sent[step, frozenset(row) - {"step"}] += 1

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Send one row, unless it was sent before; scores go where a run's final values stand."""
        row = (step, frozenset(metrics))
        again = self._sent[row] > 0
        self._sent[row] -= again
        scores = {key: value for key, value in metrics.items() if key.startswith(SCORES)}
        if scores:
            self.experiment.summary.update(scores)
        curves = {key: value for key, value in metrics.items() if key not in scores}
        if curves and not again:
            self.experiment.log(curves if step is None else {**curves, STEP: step})

    @rank_zero_only
    def log_facts(self, values: Mapping[str, Any]) -> None:
        """Send what a finished run shows: pictures, tables, charts and pages; numbers go to the final values."""
        numbers = {key: value for key, value in values.items() if isinstance(value, (int, float))}
        self.experiment.summary.update(numbers)
        with _staged_in(self.folder / "wandb"):
            self.experiment.log({key: value for key, value in values.items() if key not in numbers})

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Mark a run that broke off as failed; one that trained to its end has its evaluation before it."""
        if status != "success" and self._experiment is not None:
            self._experiment.finish(exit_code=1)


def _has_curves(row: Mapping[str, Any]) -> bool:
    return any(not key.startswith(SCORES) for key in row if key != "step")


@contextmanager
def _staged_in(folder: Path) -> Iterator[None]:
    """Have W&B keep the files of its tables under ``folder``, not in the home directory: ``wandb sync`` needs them."""
    before = os.environ.get("WANDB_DATA_DIR")
    os.environ["WANDB_DATA_DIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["WANDB_DATA_DIR"]
        else:
            os.environ["WANDB_DATA_DIR"] = before

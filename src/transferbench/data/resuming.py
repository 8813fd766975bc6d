"""Going on in the middle of an epoch."""

from __future__ import annotations

from lightning.pytorch import LightningDataModule


class ResumingData(LightningDataModule):
    """A data module whose training loader leaves out, once, the batches of an epoch that a checkpoint has behind it."""

    _batches_done = 0

    def state_dict(self) -> dict[str, int]:
        """Return how many batches of this epoch the run was trained on: Lightning puts it into the checkpoint."""
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready if self.trainer else 0
        whole = self.trainer is not None and done >= self.trainer.num_training_batches
        return {"batches_done": 0 if whole else done}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Let the next training loader go on behind the batches of ``state_dict``."""
        self._batches_done = state_dict["batches_done"]

    def behind(self) -> int:
        """Return the batches that the coming loader leaves out, and forget them."""
        done, self._batches_done = self._batches_done, 0
        return done

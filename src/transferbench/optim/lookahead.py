"""Lookahead: slow weights that follow an optimiser's fast ones every few steps (arXiv:1907.08610)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from transferbench.errors import UserError


class Lookahead(Optimizer):
    """Wrap an optimiser; every ``interval`` steps both weights become ``slow + share * (fast - slow)``.

    The wrapped optimiser's momentum is left as it is. The slow weights start as copies of the parameters and are part
    of the state, so that a run that is taken up again goes on with them.

    Args:
        groups: parameters or parameter groups.
        inner: makes the wrapped optimiser from the groups and ``options``.
        interval: steps of the wrapped optimiser between two updates (k, 5 in VirTex).
        share: of the way that the slow weights go (alpha, 0.5 in VirTex).
        **options: of the wrapped optimiser, such as ``lr``.

    Raises:
        UserError: for an interval below 1 or a share outside of (0, 1].
    """

    def __init__(
        self,
        groups: Iterable[Any],
        inner: Callable[..., Optimizer],
        interval: int = 5,
        share: float = 0.5,
        **options: Any,
    ) -> None:
        if interval < 1 or not 0 < share <= 1:
            raise UserError(
                f"task.optimizer.interval={interval}, share={share}: expected an interval of at least 1 "
                "and a share above 0, at most 1"
            )
        self.inner = inner(groups, **options)
        super().__init__(self.inner.param_groups, self.inner.defaults)
        self.interval, self.share = interval, share
        self.steps = 0
        self._share_state()
        self.slow = [parameter.detach().clone() for parameter in self._parameters()]

    def _share_state(self) -> None:
        """Let schedules and checkpoints see the wrapped optimiser's own groups and state."""
        self.param_groups, self.state = self.inner.param_groups, self.inner.state

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Make one step of the wrapped optimiser, and the slow weights' after every ``interval``-th."""
        loss = self.inner.step(closure)
        self.steps += 1
        if self.steps % self.interval == 0:
            fast = self._parameters()
            torch._foreach_lerp_(self.slow, fast, self.share)
            torch._foreach_copy_(fast, self.slow)
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the wrapped optimiser's state, with the slow weights and the number of steps."""
        return {**self.inner.state_dict(), "slow": [slow.clone() for slow in self.slow], "steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up a state; one of an optimiser without slow weights starts them from the parameters."""
        inner = {key: value for key, value in state_dict.items() if key not in {"slow", "steps"}}
        self.inner.load_state_dict(inner)
        self._share_state()
        kept = state_dict.get("slow") or [parameter.detach() for parameter in self._parameters()]
        for slow, value in zip(self.slow, kept, strict=True):
            slow.copy_(value)
        self.steps = int(state_dict.get("steps", 0))

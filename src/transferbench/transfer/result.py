"""What an evaluation found, as flat metrics and as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from transferbench.probes.aggregate import mean_log_odds
from transferbench.probes.names import TRAINED_ON, level_number, linear_top1
from transferbench.transfer.neighbours import Neighbours


@dataclass(frozen=True)
class TransferResult:
    """Accuracies and the like (fractions in [0, 1]) of every probe on every set."""

    scores: dict[str, dict[str, float]]
    """Set -> ``"<probe>/<metric>"`` -> value on its test images (``transfer.probing``)."""
    test_counts: dict[str, int]
    """Set -> number of test images that were read."""
    chosen: dict[str, float]
    """Set -> C of its logistic regression; empty without that probe."""
    seconds: float
    stopped_early: int = 0
    """How many fits of logistic regression ended at the limit of iterations."""
    neighbours: tuple[Neighbours, ...] = ()
    """Some test images with their nearest training images, for a report."""

    def metrics(self, prefix: str = "transfer") -> dict[str, float]:
        """Return the flat metrics.

        ``<prefix>/<set>/<probe>/<metric>``; ``<prefix>/mean_log_odds`` over the linear probes of all sets but those
        trained on, with the number of accuracies clipped for it in ``<prefix>/mean_log_odds_clipped`` (both absent when
        there is none); with the prefix ``transfer`` also ``<prefix>/<set>/logreg/cost``, the chosen C, and
        ``cog/level_<k>/top1``, the levels' linear probes.
        """
        flat = {
            f"{prefix}/{name}/{key}": value for name, probes in self.scores.items() for key, value in probes.items()
        }
        found = {name: linear_top1(probes) for name, probes in self.scores.items() if name not in TRAINED_ON}
        linear = {name: value for name, value in found.items() if value is not None}
        if prefix == "transfer":
            flat |= {f"transfer/{name}/logreg/cost": cost for name, cost in self.chosen.items()}
            levels = [(level_number(name), value) for name, value in linear.items()]
            flat |= {f"cog/level_{level}/top1": value for level, value in levels if level is not None}
        if linear:
            mean, clipped = mean_log_odds(list(linear.values()), [self.test_counts[name] for name in linear])
            flat |= {f"{prefix}/mean_log_odds": mean, f"{prefix}/mean_log_odds_clipped": float(clipped)}
        return flat

    def plain(self) -> dict[str, Any]:
        """Return the scores as plain containers, without the neighbours: what ``from_plain`` reads."""
        data = asdict(self)
        del data["neighbours"]
        return data

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> TransferResult:
        """Build a result from what ``plain`` gave. Raises ``ValueError`` or ``TypeError`` when that is damaged."""
        result = cls(**data)
        accuracies = [value for probes in result.scores.values() for value in probes.values()]
        if not accuracies or not all(isinstance(p, float) and 0 <= p <= 1 for p in accuracies):
            raise ValueError("expected accuracies in [0, 1]")
        if set(result.test_counts) != set(result.scores) or not all(n > 0 for n in result.test_counts.values()):
            raise ValueError("expected a number of test images for every set")
        return result

"""The published models as a table."""

from __future__ import annotations

from pathlib import Path

from transferbench.models.zoo import zoo_rows
from transferbench.report.outcome import Listing, Outcome, as_section

SHOWN = ("model", "group", "network", "width", "pixels")
"""The columns that fit a terminal; the page has them all."""


class Zoo:
    """List the published models by name: network, width of the features, pictures, and where the weights are."""

    def carry_out(self, folder: Path, seed: int) -> Outcome:
        """Return the table; nothing is written but the page."""
        rows = zoo_rows()
        head = list(rows[0])
        narrow = [column for column in SHOWN if column in head]
        whole = Listing("zoo", head, [[row[column] for column in head] for row in rows])
        short = Listing("zoo", narrow, [[row[column] for column in narrow] for row in rows])
        ours = sum(row["network"] != "yours" for row in rows)
        said = (
            f"{len(rows)} models, {ours} of them with a network at hand: "
            "model=checkpoint model.name=NAME model.path=FILE; the others need a network of yours."
        )
        return Outcome(
            metrics={"zoo/models": float(len(rows))}, said=said, printed=[short], sections=[as_section(whole)]
        )

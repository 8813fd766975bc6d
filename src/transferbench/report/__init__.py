"""Reports: one self-contained page a run, a table for the terminal, and the comparison of runs over seeds."""

from transferbench.report.facts import Neighbours, RunFacts
from transferbench.report.html import write_report
from transferbench.report.table import print_scores

__all__ = ["Neighbours", "RunFacts", "print_scores", "write_report"]

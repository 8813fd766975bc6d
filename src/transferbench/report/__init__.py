"""Reports: one self-contained page a run, a table for the terminal, and the comparison of runs over seeds."""

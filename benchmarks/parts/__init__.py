"""One module for each kind of measure; each has `run(bench) -> Part`."""

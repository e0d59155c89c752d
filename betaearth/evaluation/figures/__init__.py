"""Figures of evaluations and training runs: a function each takes data and returns a matplotlib figure."""

"""Training: data sets of chips and targets, the loop, its checkpoints."""

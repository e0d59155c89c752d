"""Whether all is set up: the cluster, the store, the imagery, the weights. Nothing is changed by looking."""

"""Room of the networks: the variants, their weights, and the modules that run them."""

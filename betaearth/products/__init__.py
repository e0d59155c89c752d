"""Products: what is written, how it is coded, named, fingerprinted and verified."""

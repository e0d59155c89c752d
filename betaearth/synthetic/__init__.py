"""A deterministic procedural Earth: the source that needs no network. It is not imagery."""

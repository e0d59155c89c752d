"""Evaluation: how near embeddings come to their targets, and what can be done with them."""

"""Stores: objects under keys, written whole or not at all."""

"""Imagery: where it comes from, which of it is used, and how it comes onto a pixel grid."""

"""The version of the software; recorded in every manifest."""

__version__ = "0.1.0"

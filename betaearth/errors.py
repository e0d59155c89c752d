"""The three errors of betaearth.

They are raised where a foreign library or a user's input is met; their message says what is wrong, where, and
what would be right. The command line maps each to one exit code (`betaearth.cli.exit_codes`), and a workflow
retries by that code alone.
"""

from __future__ import annotations


class DataError(Exception):
    """This input can never work: an impossible region, an unknown cell, an unreadable granule."""


class TransientError(Exception):
    """The same call may work later: network, throttling, a server's fault, an expired token."""


class ConfigError(Exception):
    """The set-up must change first: wrong weights, a store that is not one, a missing extra, no permission."""

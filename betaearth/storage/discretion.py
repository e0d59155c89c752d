"""What may be shown of words that others wrote.

Libraries say whole addresses while they read, with queries and logins; documents hold what steers a terminal.
"""

from __future__ import annotations

import logging
import re

_LOGGERS = (
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.poolmanager",
    "urllib3.response",
    "urllib3.util.retry",
    "rasterio._env",
    "rasterio._err",
    "rasterio._filepath",
    "rasterio._vsiopener",
)
_QUERY = re.compile(r"\?[^\s'\"<>]+")
_LOGIN = re.compile(r"//[^\s/@'\"]+@")


def discreet(said: str) -> str:
    """Return words of a library without queries and logins."""
    return _LOGIN.sub("//", _QUERY.sub("", said))


def printable(said: str) -> str:
    """Return a text that any terminal and any JSON can take: what steers is spelled out, but for new lines."""
    known = said.encode("utf-8", "backslashreplace").decode()
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in known
    )


class _Discreet(logging.Filter):
    """Takes secrets out of a record before any handler sees it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = discreet(record.getMessage()), None
        return True


_DISCREET = _Discreet()


def hush_loggers() -> None:
    """Let the loggers of urllib3 and rasterio tell no secrets; to be called as often as one likes."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_DISCREET)

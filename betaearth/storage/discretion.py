"""What the libraries say while they read, without queries and logins: urllib3 warns with whole addresses."""

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

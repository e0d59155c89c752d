"""What all visitors of a server share: the board of its settings, and whether the server hands out files."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from betaearth.app.board import Board
from betaearth.settings import Settings, load_settings

FILES = "files"
"""Where the server hands out files: `/files/{token}/{area}/{name}`."""


@dataclass
class Hall:
    """Holds the board of this process."""

    board: Board | None = None
    hands_out: bool = False
    """Whether `/files` is served; `streamlit run` alone has no such route."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self) -> Board:
        """Return the board; the first to come opens it.

        Raises:
            ConfigError: the settings are wrong.
        """
        with self.lock:
            if self.board is None:
                self.board = board_of(load_settings({}))
            return self.board

    def close(self) -> None:
        """End all work; whoever enters next opens another board."""
        with self.lock:
            board, self.board = self.board, None
        if board is not None:
            board.close()


def board_of(settings: Settings) -> Board:
    """Open the board of settings."""
    app = settings.app
    return Board(app.output.absolute(), app.at_once, app.away_s, settings.max_output_mb, app.keep_gb).open()


HALL = Hall()

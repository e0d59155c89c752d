"""Executing a notebook of the examples in a kernel of its own, which reaches nothing but the loopback."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("01_predict_one_tile", "02_region_to_annual_map", "03_classify_with_xarray", "04_similarity_and_change")
SECONDS = 300
"""For one cell on a machine that does much else."""
_GUARD = '''
"""Loaded by every Python process of the test first: whoever asks for another machine fails, and is noted."""

import os
import socket
import sys

LOCAL = {"127.0.0.1", "::1", "localhost", "0.0.0.0", "", None}


def refuse(event, args):
    if event == "socket.connect":
        address = args[1]
        host = address[0] if isinstance(address, tuple) else None
    elif event == "socket.getaddrinfo":
        host = args[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in LOCAL and host != socket.gethostname():
        with open(os.environ["NOTED"], "a") as file:
            file.write(f"{event} {host}\\n")
        raise ConnectionRefusedError(f"the test allows no connection to {host}")


sys.addaudithook(refuse)
'''


@dataclass(frozen=True)
class Executed:
    """A notebook that ran to its end."""

    printed: str
    complaints: str
    """What went to stderr: warnings, above all."""
    pictures: int
    values: dict[str, Any]
    """What was asked for, as JSON gives it back."""
    hosts: list[str]
    """Machines other than this one that somebody wanted to talk to."""


def load(name: str) -> Any:
    return nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)


def code_with(name: str, words: str) -> str:
    """Source of the one code cell of a notebook that holds some words."""
    (cell,) = (cell for cell in load(name).cells if cell.cell_type == "code" and words in cell.source)
    source: str = cell.source
    return source


def run_here(name: str, parameters: Mapping[str, object]) -> dict[str, Any]:
    """Run the cells of a notebook in this process, but the one that installs, and give what they leave."""
    scope: dict[str, Any] = {"sys": sys, "Path": Path}
    for cell in load(name).cells:
        if cell.cell_type == "code" and "%pip" not in cell.source:
            exec(compile(cell.source, f"{name} {cell.id}", "exec"), scope)
            if "parameters" in cell.metadata.get("tags", ()):
                scope |= parameters
    return scope


def execute(name: str, folder: Path, parameters: Mapping[str, object], wanted: Mapping[str, str]) -> Executed:
    """Run a notebook in a folder, as a user would who changed its parameters.

    Args:
        name: without the suffix.
        folder: working directory of the kernel.
        parameters: name to value, in place of those of the cell that is tagged so.
        wanted: name to an expression that is evaluated at the end.
    """
    notebook = load(name)
    (index,) = (number for number, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", ()))
    assigned = "\n".join(f"{key} = {spelled(value)}" for key, value in parameters.items())
    notebook.cells.insert(index + 1, nbformat.v4.new_code_cell(assigned))
    answers = ", ".join(f"{key!r}: {expression}" for key, expression in wanted.items())
    notebook.cells.append(
        nbformat.v4.new_code_cell(f"import json\nopen('wanted.json', 'w').write(json.dumps({{{answers}}}));")
    )
    noted = folder / "noted.txt"
    client = NotebookClient(
        notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env=environment(folder, noted))
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    streams = [output for output in outputs if output.output_type == "stream"]
    return Executed(
        printed="".join(output.text for output in streams if output.name == "stdout"),
        complaints="".join(output.text for output in streams if output.name == "stderr"),
        pictures=sum("image/png" in output.get("data", {}) for output in outputs),
        values=json.loads((folder / "wanted.json").read_text()),
        hosts=noted.read_text().splitlines() if noted.exists() else [],
    )


def spelled(value: object) -> str:
    """Write a parameter as a user would."""
    return f"Path({str(value)!r})" if isinstance(value, Path) else repr(value)


def environment(folder: Path, noted: Path) -> dict[str, str]:
    """Make the kernel's environment: the guard, no settings, and a proxy that is not there for what is no Python.

    A kernel draws into the notebook, unless it inherits a backend: streamlit, once imported by other tests, leaves one.
    """
    guard = folder / "guard"
    guard.mkdir(exist_ok=True)
    (guard / "sitecustomize.py").write_text(_GUARD)
    nowhere = "http://127.0.0.1:9"
    left_out = ("BETAEARTH_", "MPLBACKEND")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return inherited | {
        "PYTHONPATH": str(guard),
        "NOTED": str(noted),
        "OMP_NUM_THREADS": "1",
        "http_proxy": nowhere,
        "https_proxy": nowhere,
        "HTTPS_PROXY": nowhere,
        "IPYTHONDIR": str(folder / "ipython"),
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def check_quiet(executed: Executed) -> None:
    """Nothing that a reader would wonder about, and nobody who wants to talk to another machine."""
    assert executed.complaints == ""
    assert executed.hosts == []

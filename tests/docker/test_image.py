"""`make image` and `make image-test`: what they would run, and, where there is a builder and a base, the real thing."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from betaearth import __version__
from tests.docker.dockerfile import ROOT

BASE = "IMAGE_TEST_BASE"
"""Variable that names a local base image; with it, the image is built and run, which takes minutes. Whatever else the
build needs (PIP_CONF, CA_CERT, BUILD_FLAGS, ...) make reads from the environment."""


def dry_run(target: str, **variables: str) -> str:
    given = [f"{name}={value}" for name, value in variables.items()]
    clean = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", target, *given],
        cwd=ROOT, env=clean, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.replace("\\\n", " ")


def git(folder: Path, *words: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(["git", *words], cwd=folder, env=kept, capture_output=True, text=True, check=True).stdout


def revision(folder: Path) -> str:
    """The commit that `make image` in a folder would put into the label; nothing may be said to stderr."""
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    done = subprocess.run(
        ["make", "-n", "image", "BUILDER=docker"], cwd=folder, env=clean, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    (found,) = (word for word in build_words(done.stdout.replace("\\\n", " ")) if word.startswith("REVISION="))
    return found.removeprefix("REVISION=")


def build_words(text: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if " build " in line and "--file" in line]
    return shlex.split(line)


class TestMake:
    def test_plain(self) -> None:
        words = build_words(dry_run("image", BUILDER="docker"))
        assert words[:3] == ["DOCKER_BUILDKIT=1", "docker", "build"]
        assert words[-1] == "."
        assert words[words.index("--target") + 1] == "cpu"
        assert words[words.index("--tag") + 1] == f"betaearth:{__version__}-cpu"
        assert {f"VERSION={__version__}", f"IMAGE=betaearth:{__version__}-cpu"} <= set(words)
        assert "--secret" not in words
        assert "--build-context" not in words

    def test_places_with_spaces_are_one_word(self) -> None:
        words = build_words(
            dry_run(
                "image", BUILDER="docker", PIP_CONF="/my files/pip.conf", CA_CERT="/a b/ca.crt", WEIGHTS="my weights"
            )
        )
        assert {"id=pip_conf,src=/my files/pip.conf", "id=ca_crt,src=/a b/ca.crt", "weights=my weights"} <= set(words)
        demo = dry_run("demo", OUT="my demo").splitlines()
        assert shlex.split(next(line for line in demo if "betaearth demo" in line))[-1] == "my demo"
        (removal,) = dry_run("clean", OUT="my demo").splitlines()
        assert shlex.split(removal)[-1] == "my demo"
        (removal,) = dry_run("clean", OUT="~/my demo").splitlines()
        assert shlex.split(removal)[-1] == f"{os.environ['HOME']}/my demo"

    @pytest.mark.parametrize("name", ["checkout", "a check out"])
    def test_the_commit_is_known_in_a_checkout_alone(self, tmp_path: Path, name: str) -> None:
        folder = tmp_path / name
        (folder / "betaearth").mkdir(parents=True)
        (folder / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
        (folder / "betaearth" / "_version.py").write_bytes((ROOT / "betaearth" / "_version.py").read_bytes())
        assert revision(folder) == "unknown"

        git(folder, "init", "--quiet")
        assert revision(folder) == "unknown", "nothing is committed"
        git(folder, "add", ".")
        git(folder, "-c", "user.name=me", "-c", "user.email=me@example.org", "commit", "--quiet", "--message", "first")
        commit = git(folder, "rev-parse", "HEAD").strip()
        assert revision(folder) == commit

        with (folder / "Makefile").open("a") as file:
            file.write("# changed\n")
        assert revision(folder) == f"{commit}-dirty"

    def test_everything(self) -> None:
        words = build_words(
            dry_run(
                "image", BUILDER="buildah", TARGET="cuda", IMAGE="r/b:1", BASE_IMAGE="local", TORCH_INDEX_URL="file:///t",
                SOURCE_URL="s", PIP_CONF="p.conf", CA_CERT="c.crt", WEIGHTS="w", BUILD_FLAGS="--isolation chroot",
            )
        )  # fmt: skip
        assert words[1:3] == ["buildah", "build"]
        given = {(one, two) for one, two in pairwise(words) if one.startswith("--")}
        assert given >= {
            ("--target", "cuda"), ("--tag", "r/b:1"), ("--build-arg", "IMAGE=r/b:1"), ("--build-arg", "SOURCE=s"),
            ("--build-arg", "BASE_IMAGE=local"), ("--build-arg", "TORCH_INDEX_URL=file:///t"),
            ("--secret", "id=pip_conf,src=p.conf"), ("--secret", "id=ca_crt,src=c.crt"),
            ("--build-context", "weights=w"), ("--isolation", "chroot"),
        }  # fmt: skip

    def test_the_test_builds_first(self) -> None:
        lines = dry_run("image-test", BUILDER="docker", IMAGE="b:1").splitlines()
        assert shlex.split(lines[-1]) == ["docker/test.sh", "docker", "b:1", __version__]
        assert any("docker build" in line for line in lines[:-1])

    def test_without_a_builder(self, tmp_path: Path) -> None:
        for tool in ("make", "sh", "sed", "test"):
            (tmp_path / tool).symlink_to(str(shutil.which(tool)))
        done = subprocess.run(
            ["make", "image"], cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
        )
        assert done.returncode != 0
        assert "neither a docker daemon nor buildah is here" in done.stderr


@pytest.mark.parametrize("script", ["pip.sh", "test.sh", "check.sh"])
def test_scripts_are_sound(script: str) -> None:
    subprocess.run(["sh", "-n", ROOT / "docker" / script], check=True)


def test_pip_sh_refuses_another_version(tmp_path: Path) -> None:
    (tmp_path / "betaearth").mkdir()
    (tmp_path / "betaearth" / "_version.py").write_text('__version__ = "1.2.3"\n', encoding="utf-8")
    done = subprocess.run(
        [ROOT / "docker" / "pip.sh", "install-package", "1.2.4"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "VERSION is 1.2.4, and the package is of version 1.2.3\n")


def test_the_image_builds_and_runs() -> None:
    base = os.environ.get(BASE)
    if not base:
        pytest.skip(f"needs a local base image: set {BASE} to its name, with Python 3.11 in it")
    if not shutil.which("buildah") and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("needs buildah, or docker with its daemon")
    done = subprocess.run(
        ["make", "image-test", f"BASE_IMAGE={base}", "IMAGE=localhost/betaearth:test"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert "all checks passed" in done.stdout

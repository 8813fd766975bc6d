"""Who may import whom, read off the syntax trees."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "transferbench"
GROUND = {"errors", "storage", "unpickle", "distributed", "batch_norm", "__version__"}
ALLOWED = {
    "concepts": set(),
    "text": set(),
    "nerf": set(),
    "probes": set(),
    "optim": set(),
    "world": {"concepts", "nerf.cameras", "text"},
    "models": {"concepts", "text", "nerf", "probes", "optim"},
    "heads": {"concepts", "text", "nerf", "probes", "optim"},
    "data": {"concepts", "text", "nerf.cameras", "nerf.lens", "world"},
    "synthesis": {"concepts", "text", "nerf.cameras", "world"},
    "features": {"data"},
    "transfer": {"features", "data", "probes", "concepts"},
    "tasks": {"nerf", "probes", "optim", "text", "features"},
    "callbacks": {"probes", "nerf", "features", "outputs"},
    "report": {"probes", "nerf", "features", "outputs"},
    "jobs": None,
    "run": {"build", "check", "checkpoint", "outputs", "parts", "transfer", "report"},
    "cli": None,
    "build": set(),
    "check": {"build"},
    "checkpoint": {"build", "outputs", "parts"},
    "parts": {"build"},
    "outputs": set(),
    "schema": set(),
}
HYDRA, LIGHTNING = {"cli", "schema"}, {"tasks", "data", "features", "callbacks", "jobs", "run", "checkpoint"}


def part(name: str) -> str:
    return name.split(".")[0]


def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{file}: a relative import"
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


FILES = [file for file in sorted(SOURCE.rglob("*.py")) if file.relative_to(SOURCE).parts[0] not in GROUND]


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(SOURCE)))
def test_a_module_imports_only_what_it_may(file: Path) -> None:
    own = file.relative_to(SOURCE).parts[0].removesuffix(".py")
    names = imports(file)
    if own not in HYDRA:
        assert not {n for n in names if part(n) in {"hydra", "omegaconf"}}
    if own not in LIGHTNING:
        assert not {n for n in names if part(n) in {"lightning", "pytorch_lightning"}} or own == "checkpoint"
    ours = {n.split(".")[1] for n in names if n.startswith("transferbench.")}
    assert not ours & {"cli", "run"} or own in {"cli", "__main__"}
    if own in {"__init__", "__main__"} or own + ".py" in {f"{g}.py" for g in GROUND}:
        return
    if (allowed := ALLOWED[own]) is None:
        return
    free = tuple(f"transferbench.{name}" for name in allowed | GROUND | {own})
    assert not [n for n in names if part(n) == "transferbench" and "." in n and not n.startswith(free)]


def test_concepts_need_no_torch() -> None:
    assert not [f for f in (SOURCE / "concepts").rglob("*.py") if any(part(n) == "torch" for n in imports(f))]


def test_no_module_is_named_after_nothing() -> None:
    assert not [f for f in FILES if f.stem in {"utils", "helpers", "misc", "common"}]


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, transferbench; print([m for m in ('torch', 'lightning', 'hydra', 'numpy') if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"

"""The wheel carries the configurations."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from transferbench import cli

ROOT = Path(__file__).resolve().parents[1]


def test_the_wheel_composes_every_experiment(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(tmp_path), str(ROOT)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    site = tmp_path / "site"
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    packed = {f.relative_to(site / "transferbench" / "conf") for f in (site / "transferbench" / "conf").rglob("*.yaml")}
    assert packed == {f.relative_to(cli.conf_dir()) for f in cli.conf_dir().rglob("*.yaml")}
    code = """
import sys
from hydra import compose, initialize_config_dir
import transferbench
from transferbench import cli, schema
schema.register()
assert sys.argv[1] in transferbench.__file__, transferbench.__file__
with initialize_config_dir(str(cli.conf_dir()), version_base="1.3"):
    for file in sorted((cli.conf_dir() / "experiment").glob("*.yaml")):
        print(compose("config", [f"+experiment={file.stem}"]).name)
"""
    told = subprocess.run(
        [sys.executable, "-c", code, str(site)],
        cwd=tmp_path, env={"PYTHONPATH": str(site), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert told.stdout.split() == sorted(f.stem for f in (cli.conf_dir() / "experiment").glob("*.yaml"))

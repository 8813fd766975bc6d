"""The help, which reads nothing but the YAML files."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from transferbench.cli import conf_dir, usage
from transferbench.errors import UserError


def test_the_help_lists_every_experiment_and_option(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\n# What I try.\nname: mine\n")
    text = StringIO()
    usage.show([conf_dir(), tmp_path], Console(file=text, width=200))
    for file in conf_dir().glob("experiment/*.yaml"):
        assert f"+experiment={file.stem}" in text.getvalue()
    assert "What I try." in text.getvalue()
    assert "trex_paper" in text.getvalue()


def test_own_folders_are_found_in_both_spellings() -> None:
    words = ["x", "--config-dir", "a", "+experiment=trex", "--config-dir=b", "-cd", "c"]
    assert usage.own_folders(words) == [Path("a"), Path("c"), Path("b")]


@pytest.mark.parametrize("word", ["head=null", "head=None", "+sweep=", "transfer="])
def test_a_group_set_to_null_is_answered_with_a_tilde(word: str) -> None:
    with pytest.raises(UserError, match="use ~"):
        usage.refuse_null_groups(["x", word])
    usage.refuse_null_groups(["x", "head=linear", "run=null"])


def test_the_help_needs_neither_hydra_nor_torch() -> None:
    code = "import sys; from transferbench.cli import command; print(command(['x', '--help']), 'hydra' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip().endswith("0 False")
    assert "torch" not in told.stderr

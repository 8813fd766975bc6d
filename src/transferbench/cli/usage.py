"""What ``python -m transferbench`` prints when nothing, or only help, is asked for: read off the YAML files alone."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from transferbench.errors import UserError

GROUPS = ("task", "data", "crops", "model", "head", "transfer", "scale", "trainer", "logger", "callbacks", "sweep")

HEAD = """[bold]transferbench[/]: how should a representation be trained on Task A so that it serves Task B?

  python -m transferbench +experiment=trex                       pretrain, evaluate, report; minutes on a CPU
  python -m transferbench +experiment=trex seed=2 run=mine       another seed; a named run can be resumed
  python -m transferbench -m +experiment=trex seed=1,2,3         a sweep
  python -m transferbench +experiment=trex data=folder data.root=/photos model=timm model.name=vit_tiny_patch16_224
  python -m transferbench +experiment=trex --cfg job             show the configuration and stop
"""


def conf_dir() -> Path:
    """Return the folder of configurations: inside the installed package, or beside ``src`` in a checkout."""
    here = Path(__file__).resolve().parent.parent
    inside = here / "conf"
    return inside if inside.is_dir() else here.parent.parent / "conf"


def own_folders(argv: Sequence[str]) -> list[Path]:
    """Return the configuration folders that the command line adds with ``--config-dir DIR`` or ``--config-dir=DIR``."""
    flags = {"--config-dir", "-cd"}
    apart = [Path(after) for flag, after in itertools.pairwise(argv) if flag in flags]
    joined = [Path(word.partition("=")[2]) for word in argv if word.partition("=")[0] in flags and "=" in word]
    return apart + joined


def refuse_null_groups(argv: Sequence[str]) -> None:
    """Raise ``UserError`` for ``group=null``, which Hydra takes for an option of that name."""
    for word in argv[1:]:
        found = re.fullmatch(r"\+?(\w+)=(null|None|)", word)
        if found and found[1] in GROUPS:
            raise UserError(f"{word}: a group is left out with a tilde, use ~{found[1]}")


def options(folders: Sequence[Path], group: str) -> list[Path]:
    """Return the YAML files of a group over all configuration folders, sorted by name."""
    return sorted((file for folder in folders for file in (folder / group).glob("*.yaml")), key=lambda file: file.stem)


def first_comment(file: Path) -> str:
    """Return what a configuration file says of itself in its first comment line."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ").strip()
    return ""


def show(folders: Sequence[Path], console: Console | None = None) -> None:
    """Print the commands, the experiments with what they are, and the options of each group."""
    out = console or Console()
    out.print(HEAD, highlight=False)
    experiments = Table("experiment", "what it is", box=None, header_style="bold", padding=(0, 2))
    for file in options(folders, "experiment"):
        experiments.add_row(f"[green]+experiment={file.stem}[/]", first_comment(file))
    out.print(experiments)
    groups = Table("group", "options", box=None, header_style="bold", padding=(0, 2))
    for group in GROUPS:
        names = [file.stem for file in options(folders, group)]
        if names:
            groups.add_row(f"[green]{'+' if group == 'sweep' else ''}{group}=[/]", "  ".join(names))
    out.print(groups)
    out.print("\nAny key: --cfg job shows them; --config-dir DIR adds experiments of your own.", highlight=False)

"""SPICE: captions compared as scene graphs (Anderson et al., arXiv:1607.08822), by its authors' Java program."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transferbench.errors import UserError

_WHERE = "unpack SPICE-1.0.zip from https://panderson.me/spice and give the path of its spice-1.0.jar"


def spice(
    candidates: Sequence[str], references: Sequence[Sequence[str]], jar: Path | str, memory: str = "8G"
) -> NDArray[np.float64]:
    """Return the SPICE of each image's candidate, ``(N,)``, F-scores in [0, 1]; papers report the mean times 100.

    Args:
        candidates: one caption an image.
        references: the captions people wrote, one or more an image.
        jar: ``spice-1.0.jar``, with its ``lib`` folder beside it.
        memory: what Java may take.

    Raises:
        UserError: Java or the jar is missing, the lists do not fit, or the program fails (with its last words).
    """
    if len(candidates) != len(references):
        raise UserError(f"SPICE of {len(candidates)} captions for {len(references)} images; expected one for each")
    java, program = shutil.which("java"), Path(jar).expanduser()
    if java is None:
        raise UserError("SPICE is a Java program and there is no java here; install it (apt-get install default-jre)")
    if not program.is_file():
        raise UserError(f"{program}: no such file; {_WHERE}")
    rows = [
        {"image_id": image, "test": candidate, "refs": list(captions)}
        for image, (candidate, captions) in enumerate(zip(candidates, references))
    ]
    with tempfile.TemporaryDirectory() as folder:
        given, written = Path(folder, "captions.json"), Path(folder, "scores.json")
        given.write_text(json.dumps(rows), encoding="utf-8")
        command = [java, f"-Xmx{memory}", "-jar", str(program.resolve()), str(given), "-out", str(written), "-silent"]
        done = subprocess.run(command, cwd=program.resolve().parent, capture_output=True, text=True, errors="replace")
        if done.returncode or not written.is_file():
            words = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it said nothing"]
            raise UserError(f"{program}: SPICE failed with exit code {done.returncode}: {words[0]}")
        return _read(written, len(candidates))


def _read(file: Path, images: int) -> NDArray[np.float64]:
    """Return the F-score of every image, in the order given."""
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        scores = {int(row["image_id"]): float(row["scores"]["All"]["f"]) for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"SPICE wrote something else than scores ({error}); is the jar that of SPICE 1.0?") from None
    if missing := [image for image in range(images) if image not in scores]:
        raise UserError(f"SPICE gave no score for {len(missing)} of {images} images, the first is {missing[0]}")
    return np.array([scores[image] for image in range(images)], dtype=np.float64)

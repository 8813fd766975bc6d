import shutil
import sys
from pathlib import Path

import pytest

from transferbench.errors import UserError
from transferbench.text.spice import spice

PROGRAM = """#!{python}
import json, sys
assert sys.argv[1] == "-Xmx8G" and sys.argv[2] == "-jar" and sys.argv[3].endswith("spice.jar"), sys.argv
rows = json.load(open(sys.argv[4]))
out = sys.argv[sys.argv.index("-out") + 1]
{body}
"""
SCORES = """
score = lambda row: len(set(row["test"].split()) & set(" ".join(row["refs"]).split())) / 4
json.dump([{"image_id": row["image_id"], "scores": {"All": {"f": score(row)}}} for row in rows[::-1]], open(out, "w"))
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    java = folder / "java"
    java.write_text(PROGRAM.format(python=sys.executable, body=body))
    java.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(java) if name == "java" else None)
    jar = folder / "spice.jar"
    jar.touch()
    return jar


def test_scores_come_back_in_the_order_of_the_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jar = install(tmp_path, monkeypatch, SCORES)
    assert spice(["a dog", "", "a red bus é"], [["a cat", "one dog"], ["x"], ["a red bus é"]], jar).tolist() == [
        0.5,
        0,
        1,
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.exit('out of memory\\nno heap')", "exit code 1: no heap"),
        ("pass", "it said nothing"),
        ("open(out, 'w').write('[')", "something else than scores"),
        ("open(out, 'w').write('[{\"image_id\": 0}]')", "something else than scores"),
        (SCORES.replace("[::-1]", "[:1]"), "no score for 1 of 2 images, the first is 1"),
    ],
)
def test_what_goes_wrong_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        spice(["a", "b"], [["a"], ["b"]], install(tmp_path, monkeypatch, body))


def test_what_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jar = install(tmp_path, monkeypatch, SCORES)
    with pytest.raises(UserError, match=r"no such file; unpack SPICE-1\.0\.zip"):
        spice(["a"], [["a"]], tmp_path / "other.jar")
    with pytest.raises(UserError, match="2 captions for 1 images"):
        spice(["a", "b"], [["a"]], jar)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="no java here"):
        spice(["a"], [["a"]], jar)

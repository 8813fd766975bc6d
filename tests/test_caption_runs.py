"""Every experiment on captions from the command line, on a small tree in COCO's format with its usual flaws."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from transferbench import cli
from transferbench.outputs import checkpoints_in

SMALL = (
    "model.width=8", "scale.batch_size=6", "scale.workers=0", "scale.global_size=32", "scale.eval_size=32",
    "scale.eval_resize=32", "scale.map=[2,2]", "scale.vocabulary=40", "scale.length=48", "scale.epochs=1",
    "scale.warmup_epochs=0", "scale.textual=transdec_postnorm::L1_H16_A2_F32", "scale.text_width=16",
    "scale.text_layers=1", "scale.text_heads=2", "scale.embedding=8", "trainer.precision=32-true", "logger=csv",
)  # fmt: skip
MEASURED = {
    "icmlm_tp": "captions/masked_top1",
    "icmlm_tfm": "captions/pointing",
    "icmlm_attfc": "captions/pointing",
    "virtex": "captions/cider",
    "clip": "captions/retrieval_image_to_text_r1",
    "siglip": "captions/retrieval_text_to_image_r10",
}
Learn = Callable[..., Path]


@pytest.fixture(scope="module")
def learn(coco_tree: Path, lexicon: str, tmp_path_factory: pytest.TempPathFactory) -> Learn:
    """Carry out an experiment on the tree and return its folder; the language model is learned once."""
    outputs = tmp_path_factory.mktemp("runs")
    text = [f"data.root={coco_tree}", f"+data.wordnet={lexicon}"]

    def run(experiment: str, *more: str, run: str = "a") -> Path:
        words = [f"+experiment={experiment}", "data=coco_captions", *text, *SMALL, *more]
        if experiment in ("icmlm_tfm", "icmlm_attfc"):
            if not (outputs / "language").exists():
                own = [word for word in SMALL if not word.startswith("model.")]
                language = ["+experiment=language", "data=coco_captions", "data.text_only=true", *text, *own]
                size = ["scale.language_width=16", "scale.language_layers=1", "scale.language_heads=2"]
                assert cli.command(["transferbench", *language, *size, f"outputs={outputs}", "run=lm"]) == 0
            words.append(f"needs.language={outputs / 'language' / 'lm'}")
        if experiment == "icmlm_tfm":
            words.append("head.heads=2")
        assert cli.command(["transferbench", *words, f"outputs={outputs}", f"run={run}"]) == 0
        return outputs / experiment / run

    return run


@pytest.mark.parametrize("experiment", MEASURED)
def test_two_steps_and_a_report(experiment: str, learn: Learn, caplog: pytest.LogCaptureFixture) -> None:
    folder = learn(experiment)
    summary = json.loads((folder / "summary.json").read_text())
    assert MEASURED[experiment] in summary["metrics"]
    assert "transfer is left out" in caplog.text
    page = (folder / "report.html").read_text()
    assert "What it learned of captions" in page
    assert ("Where it looked" in page) == (experiment in ("icmlm_tfm", "icmlm_attfc"))
    assert ("What it wrote" in page) == (experiment == "virtex")
    content = (folder / "metrics.csv").read_text()
    assert "val/loss" in content and "nan" not in content.lower()


def test_a_captioner_opens_alone_and_captions_a_folder(
    learn: Learn, coco_tree: Path, tmp_path: Path, without_frameworks: Callable[[str], str]
) -> None:
    folder = learn("virtex", "head.pretext=captioning", run="writer")
    told = without_frameworks(f"""
import torch, transferbench
network = transferbench.load({str(folder)!r})
maps = network.backbone.feature_map(torch.zeros(1, 3, 32, 32))
print(tuple(network.head.log_probabilities(maps, torch.ones(1, 1, dtype=torch.long)).shape))
""")
    assert "(1, 40)" in told
    words = ["+experiment=caption_folder", "model=checkpoint", f"model.path={folder}"]
    photos = [f"data.root={coco_tree / 'val2017'}", f"outputs={tmp_path}", "run=a", "task.device=cpu"]
    assert cli.command(["transferbench", *words, *photos]) == 0
    rows = json.loads((tmp_path / "caption_folder" / "a" / "captions.json").read_text())
    assert len(rows) == len(list((coco_tree / "val2017").iterdir()))


@pytest.mark.parametrize(("experiment", "more"), [("icmlm_tfm", ()), ("virtex", ("task=virtex",))])
def test_a_run_that_is_taken_up_again_ends_as_if_it_had_not_been_cut(
    experiment: str, more: tuple[str, ...], learn: Learn, caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    often = ("callbacks.checkpoints.every_steps=1", "callbacks.checkpoints.keep=9", "scale.epochs=2", *more)
    whole = learn(experiment, *often, run="whole")
    again = whole.with_name("again")
    shutil.copytree(whole, again)
    for file in [again / "summary.json", *checkpoints_in(again / "checkpoints")[1:]]:
        file.unlink()
    (again / "config.yaml").write_text((again / "config.yaml").read_text().replace("run: whole", "run: again"))
    learn(experiment, *often, run="again")
    assert "going on from" in caplog.text
    ends = [torch.load(checkpoints_in(f / "checkpoints")[-1], weights_only=True) for f in (whole, again)]
    for key, value in ends[0]["state_dict"].items():
        assert torch.equal(value, ends[1]["state_dict"][key]), key


def test_the_wrong_data_are_refused_before_training(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "+experiment=icmlm_tp",
        "data=folder",
        f"data.root={photos}",
        *SMALL,
        f"outputs={tmp_path}",
        "crops=single",
    ]
    assert cli.command(["transferbench", *words]) == 2
    assert "has no captions to learn from" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())

"""What a user sees on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from transferbench import cli
from transferbench.cli.plan import Job


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.command(["transferbench", *words])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out, err


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs that would be run; nothing is."""
    jobs: list[Job] = []
    import transferbench.run

    monkeypatch.setattr(
        transferbench.run, "run", lambda config, folder, digest, started: jobs.append(Job(config, folder, digest))
    )
    return jobs


def own(folder: Path, name: str, text: str) -> str:
    """Write an experiment of the user's own."""
    (folder / "experiment").mkdir(exist_ok=True)
    (folder / "experiment" / f"{name}.yaml").write_text(f"# @package _global_\n{text}")
    return str(folder)


def finished(folder: Path, digest: str) -> None:
    """Leave what the command line looks at in the folder of a finished run."""
    folder.mkdir(exist_ok=True)
    (folder / "summary.json").write_text(json.dumps({"metrics": {}, "digest": digest}))


def test_no_argument_prints_the_experiments(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys)
    assert code == 0
    assert "+experiment=trex" in out
    assert "resnet50" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["+experiment=trexx"], "experiment=trexx: no such option; did you mean 'trex'?"),
        (["+experiment=trex", "model=resnet5"], "model=resnet5: no such option; did you mean 'resnet50'?"),
        (["+experiment=trex", "seeed=2"], "seeed: no such key; did you mean 'seed'?"),
        (["+experiment=trex", "head.hiden_layers=2"], "no such key; did you mean 'hidden_layers'?"),
        (["+experiment=trex", "seed=abc"], "Value 'abc'"),
        (["+experiment=trex", "head=null"], "use ~head"),
        (["+experiment=trex", "data=folder"], "data.root has no value: set data.root=..."),
        (["+experiment=trex", "~scale"], "which is not set: choose scale=..."),
        (["+experiment=trex", "head.temperature=hot"], "head.temperature: transferbench.heads"),
        (["+experiment=trex", "+head.tau=1"], "takes no 'tau'"),
        (["+experiment=trex", "+scale.epohcs=3"], "scale.epohcs: no component reads it; did you mean 'epochs'?"),
        (["+experiment=trex", "trainer.devices=64"], "trainer.devices=64: this machine has"),
        (["+experiment=trex", "data=folder", "data.root=/nowhere"], "/nowhere"),
        (["task=supervised"], "You must specify 'data'"),
        (["+experiment=trex", "x=["], "no viable alternative"),
        (["+experiment=trex", "~head"], "head is left out, but transferbench.tasks.supervised.Supervised needs one"),
        (["+experiment=trex", "~model"], "model is left out"),
        (["+experiment=trex", "~trainer"], "trainer is left out; choose trainer=..."),
        (["+experiment=trex", "~crops"], "crops is left out, and training needs them; choose crops="),
    ],
)
def test_a_mistake_is_a_sentence_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = said(capsys, *words)
    assert code == 2
    assert sentence in err


def test_all_that_check_finds_comes_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    _, _, err = said(capsys, "+experiment=trex", "+head.tau=1", "task.lr=fast", "+scale.foo=1")
    assert len(err.strip().split("\n")) == 3


def test_a_run_is_named_by_time_and_seed_or_by_the_user(
    capsys: pytest.CaptureFixture[str], planned: list[Job], tmp_path: Path
) -> None:
    said(capsys, "+experiment=trex", "seed=3", f"outputs={tmp_path}")
    said(capsys, "+experiment=trex", "run=mine", f"outputs={tmp_path}")
    assert planned[0].folder.name.endswith("_s3")
    assert planned[1].folder == tmp_path / "trex" / "mine"


def test_jobs_of_a_sweep_have_folders_of_their_own(
    capsys: pytest.CaptureFixture[str], planned: list[Job], tmp_path: Path
) -> None:
    said(capsys, "-m", "+experiment=trex,supervised", "seed=1,2", "sweep_name=s", f"outputs={tmp_path}")
    assert len({job.folder for job in planned}) == 4
    assert {job.folder.parent for job in planned} == {tmp_path / "s"}
    assert all(job.folder.name.endswith(job.digest) for job in planned)


def test_a_failed_job_does_not_stop_the_others(
    capsys: pytest.CaptureFixture[str], planned: list[Job], tmp_path: Path
) -> None:
    words = ["-m", "+experiment=trex", "head.temperature=0.1,hot,0.2", "sweep_name=s", f"outputs={tmp_path}"]
    code, _, err = said(capsys, *words)
    assert code == 1
    assert len(planned) == 2
    assert "expects float" in err


def test_a_sweep_over_several_devices_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = said(capsys, "-m", "+experiment=trex", "seed=1,2", "trainer=ddp", f"outputs={tmp_path}")
    assert code == 1
    assert "one device each" in err


def test_needs_run_first_once_and_hand_on_their_folders(
    capsys: pytest.CaptureFixture[str], planned: list[Job], tmp_path: Path
) -> None:
    text = "defaults: [trex]\nname: student\nneeds: {teacher: {experiment: trex, overrides: [scale.epochs=1]}}\n"
    conf = own(tmp_path, "student", text + 'transfer: {folders: {a: "${needs.teacher}"}}\n')
    said(capsys, "--config-dir", conf, "+experiment=student", "seed=5", f"outputs={tmp_path}")
    teacher, student = planned
    assert teacher.folder == tmp_path / "trex" / f"need-{teacher.digest}"
    assert (teacher.config["seed"], teacher.config["scale"]["epochs"]) == (5, 1)
    assert student.config["transfer"]["folders"]["a"] == str(teacher.folder)
    planned.clear()
    said(capsys, "--config-dir", conf, "+experiment=student", "transfer.folders.a=/x", f"outputs={tmp_path}")
    assert [job.config["name"] for job in planned] == ["student"]
    planned.clear()
    finished(tmp_path, "abc")
    words = ["--config-dir", conf, "+experiment=student", f"needs.teacher={tmp_path}", f"outputs={tmp_path}"]
    assert said(capsys, *words)[0] == 0
    assert planned[0].config["transfer"]["folders"]["a"] == str(tmp_path)
    assert said(capsys, *words[:3], "needs.teacher=/nowhere")[0] == 2


def test_a_need_that_would_be_fitted_to_another_scene_is_refused_before_anything_is_done(
    capsys: pytest.CaptureFixture[str], planned: list[Job], tmp_path: Path
) -> None:
    for experiment, name in {"n3f": "base", "edit_scene": "model"}.items():
        code, _, err = said(
            capsys, f"+experiment={experiment}", "data=scene", f"data.root={tmp_path}", f"outputs={tmp_path / 'out'}"
        )
        assert code == 2 and f"type needs.{name}=outputs/" in err
    assert not planned and not (tmp_path / "out").exists()


def test_the_digest_follows_what_a_need_is_and_not_where_it_lies(
    capsys: pytest.CaptureFixture[str], planned: list[Job], tmp_path: Path
) -> None:
    text = "defaults: [trex]\nname: student\nneeds: {teacher: {experiment: trex}}\n"
    conf = own(tmp_path, "student", text + 'transfer: {folders: {a: "${needs.teacher}"}}\n')
    for where in ("here", "there"):
        said(capsys, "--config-dir", conf, "+experiment=student", f"outputs={tmp_path / where}")
    first, second = planned[1], planned[3]
    assert first.config["transfer"] != second.config["transfer"]
    assert first.digest == second.digest
    planned.clear()
    for digest in ("one", "two"):
        finished(tmp_path / "run", digest)
        words = [
            "--config-dir",
            conf,
            "+experiment=student",
            f"needs.teacher={tmp_path / 'run'}",
            f"outputs={tmp_path}",
        ]
        assert said(capsys, *words) == (0, "", "")
    assert planned[0].digest != planned[1].digest


def test_a_cycle_of_needs_is_an_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        text = f"defaults: [trex]\nname: {name}\nneeds: {{x: {{experiment: {other}}}}}\n"
        own(tmp_path, name, text + 'transfer: {folders: {a: "${needs.x}"}}\n')
    code, _, err = said(capsys, "--config-dir", str(tmp_path), "+experiment=a")
    assert code == 2
    assert "a cycle" in err


def test_typos_in_a_file_of_the_users_own_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    own(tmp_path, "mine", "defaults: [trex]\nname: mine\nhead: {hiden_layers: 2}\n")
    own(tmp_path, "root", "defaults: [trex]\nname: root\nseeed: 2\n")
    own(tmp_path, "broken", "defaults: [trex\n")
    code, _, err = said(capsys, "--config-dir", str(tmp_path), "+experiment=mine")
    assert code == 2
    assert "did you mean 'hidden_layers'?" in err
    for name in ("root", "broken"):
        code, _, err = said(capsys, "--config-dir", str(tmp_path), f"+experiment={name}")
        assert code == 2
        assert "seeed" in err or "broken" in err


def test_hydra_full_error_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert cli.command(["transferbench", "+experiment=trexx"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_typo_is_answered_without_importing_torch() -> None:
    code = "import sys; from transferbench.cli import command as c; print(c(['x', '+x=1']), 'torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "2 False"

"""What a sweep leaves and says, whatever launcher runs its jobs."""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from transferbench import cli, schema
from transferbench.cli.plan import Job

CONF = cli.conf_dir()
needs_plugins = pytest.mark.skipif(
    not (importlib.util.find_spec("submitit") and importlib.util.find_spec("hydra_plugins")),
    reason="Hydra's launchers are not installed: pip install 'transferbench[sweep]'",
)
Launch = Callable[..., int]


def rows(sweep: Path) -> list[dict[str, str]]:
    with (sweep / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def composer() -> Iterator[None]:
    schema.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs that would be run; each leaves a summary whose numbers follow from its settings."""
    jobs: list[Job] = []
    import transferbench.run

    def run(config: dict, folder: Path, digest: str, started: float) -> None:
        jobs.append(Job(config, folder, digest))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(json.dumps(config))
        layers, seed = config["head"].get("hidden_layers", 0), config["seed"]
        metrics = {
            "transfer/seen/logreg/top1": 0.6 - 0.01 * layers,
            "transfer/mean_log_odds": 0.1 * layers + 0.01 * seed,
        }
        summary = {"name": config["name"], "run": folder.name, "seed": seed, "commit": "c", "metrics": metrics}
        (folder / "summary.json").write_text(json.dumps(summary))

    monkeypatch.setattr(transferbench.run, "run", run)
    return jobs


def test_a_sweep_of_two_jobs_ends_with_its_table_and_page(
    launch: Launch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("sweep_name=s", "scale.epochs=1", "-m")
    assert launch(tmp_path, "head.hidden_layers=1,2", *words) == 0
    out = capsys.readouterr().out
    assert "s: 2 of 2 jobs" in out and "hidden_layers" in out and "sweep.html" in out
    sweep = tmp_path / "s"
    found = rows(sweep)
    assert [(row["number"], row["state"], row["head.hidden_layers"], row["seed"]) for row in found] == [
        ("0", "finished", "1", "1"),
        ("1", "finished", "2", "1"),
    ]
    assert float(found[0]["val/top1"]) >= 0
    assert found[0]["folder"] in (sweep / "sweep.html").read_text()
    before = [(sweep / row["folder"] / "summary.json").stat().st_mtime for row in found]
    assert launch(tmp_path, "head.hidden_layers=0,1,2", *words) == 0  # a grown grid resumes
    grown = rows(sweep)
    assert [(row["number"], row["head.hidden_layers"]) for row in grown] == [("0", "0"), ("1", "1"), ("2", "2")]
    assert [(sweep / row["folder"] / "summary.json").stat().st_mtime for row in grown[1:]] == before


def test_a_failed_job_stands_in_the_table(
    planned: list[Job], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-m", "+experiment=trex", "head.hidden_layers=1,many,2", "sweep_name=s", f"outputs={tmp_path}"]
    assert cli.command(["transferbench", *words]) == 1
    out, err = capsys.readouterr()
    assert "2 of 3 jobs" in out and "jobs without a result" in out
    assert "expects int" in err and "Traceback" not in err
    states = {row["head.hidden_layers"]: row["state"] for row in rows(tmp_path / "s")}
    assert states == {"1": "finished", "2": "finished", "many": "failed"}
    assert "expects int" in (tmp_path / "s" / "sweep.html").read_text()
    assert cli.command(["transferbench", *words[:2], "head.hidden_layers=1,2", *words[3:]]) == 0  # mended: it is gone
    assert [row["state"] for row in rows(tmp_path / "s")] == ["finished", "finished"]


def test_a_job_that_breaks_unexpectedly_is_recorded_and_raised(
    planned: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transferbench.run

    whole = transferbench.run.run

    def broken(config: dict, *more: object, **named: object) -> object:
        if config["seed"] == 1:
            raise RuntimeError("out of memory")
        return whole(config, *more, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(transferbench.run, "run", broken)
    with pytest.raises(RuntimeError, match="out of memory"):
        cli.command(["x", "-m", "+experiment=trex", "seed=1,2", "sweep_name=s", f"outputs={tmp_path}"])
    assert [(row["seed"], row["state"], row["reason"]) for row in rows(tmp_path / "s")] == [
        ("1", "failed", "RuntimeError: out of memory"),
        ("2", "finished", ""),
    ]


def test_a_page_that_cannot_be_made_hides_no_result(
    planned: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from transferbench.report import sweep_page

    monkeypatch.setattr(sweep_page, "write_sweep", lambda sweep: 1 / 0)
    assert cli.command(["x", "-m", "+experiment=trex", "seed=1,2", "sweep_name=s", f"outputs={tmp_path}"]) == 0
    assert len(planned) == 2
    assert "the page of the sweep could not be made (ZeroDivisionError" in capsys.readouterr().err


def test_names_of_the_user_are_shown_and_two_launches_share_a_page(planned: list[Job], tmp_path: Path) -> None:
    words = ["x", "-m", "+experiment=trex_plain", "scale=trex_sweep", "seed=1,2", "sweep_name=s", f"outputs={tmp_path}"]
    assert cli.command([*words, "crops=single,trex"]) == 0
    assert cli.command([*words, "crops=single", "scale.epochs=27", "scale.warmup_epochs=2.7"]) == 0
    found = [(row["crops"], row["scale.epochs"], row["seed"]) for row in rows(tmp_path / "s")]
    assert found == [(c, e, s) for c, e in (("single", "9"), ("single", "27"), ("trex", "9")) for s in ("1", "2")]
    header = (tmp_path / "s" / "sweep.csv").read_text().split("\n", 1)[0]
    assert header.startswith("number,folder,state,seed,crops,scale.epochs,seconds,reason,transfer/mean_log_odds")


def test_a_single_run_has_no_page(planned: list[Job], tmp_path: Path) -> None:
    assert cli.command(["x", "+experiment=trex", f"outputs={tmp_path}"]) == 0
    assert not list(tmp_path.rglob("sweep.*")) and not list(tmp_path.rglob("jobs"))


def test_a_sweep_refused_before_its_first_job_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["-m", "+experiment=trex", "model=resnet_small,resnet5", "sweep_name=s", f"outputs={tmp_path}"]
    assert cli.command(["x", *words]) == 2
    assert "did you mean 'resnet50'?" in capsys.readouterr().err
    assert not (tmp_path / "s" / "sweep.html").exists()


@pytest.mark.parametrize("words", [["+sweep=tradeoff"], ["+sweep=tradeoff", "-m"]])
def test_the_sweep_files_hold_the_usual_grids(planned: list[Job], tmp_path: Path, words: list[str]) -> None:
    more = ["head.hidden_layers=0,3", "sweep_name=s", f"outputs={tmp_path}"]
    assert cli.command(["x", "+experiment=trex", *words[:1], *more, *words[1:]]) == 0
    found = {(job.config["head"]["hidden_layers"], job.config["seed"]) for job in planned}
    assert found == {(layers, seed) for layers in (0, 3) for seed in (1, 2, 3, 4, 5)}
    planned.clear()
    assert cli.command(["x", "+experiment=supervised", "+sweep=seeds", "seed=7,8", f"outputs={tmp_path}"]) == 0
    assert [job.config["seed"] for job in planned] == [7, 8]


@needs_plugins
@pytest.mark.parametrize(("name", "launcher"), [("joblib", "JoblibLauncher"), ("submitit", "SlurmLauncher")])
def test_the_launcher_files_compose_alone_and_with_a_grid(composer: None, name: str, launcher: str) -> None:
    for choice in (f"+sweep={name}", f"+sweep=[seeds,{name}]"):
        config = compose("config", ["+experiment=trex", choice], return_hydra_config=True)
        assert config.hydra.launcher._target_.endswith(launcher)
        assert OmegaConf.select(config, "hydra.mode").name == "MULTIRUN"


def test_a_missing_launcher_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = ConfigStore.instance().repo["hydra"]["launcher"]
    for name in [name for name in known if name != "basic.yaml"]:
        monkeypatch.delitem(known, name)
    for word in ("+sweep=joblib", "hydra/launcher=submitit_local"):
        assert cli.command(["x", "-m", "+experiment=trex", word, "seed=1,2", f"outputs={tmp_path}"]) == 2
        assert "pip install 'transferbench[sweep]'" in capsys.readouterr().err


@needs_plugins
def test_jobs_of_other_processes_are_gathered(
    launch: Launch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Submitit's local executor: a process a job, one of which fails."""
    words = ("hydra/launcher=submitit_local", "head.temperature=0.1,hot", "sweep_name=s", "scale.epochs=1")
    assert launch(tmp_path, *words, "~transfer", "-m") == 1
    out, err = capfd.readouterr()
    assert "1 of 2 jobs" in out
    assert "head.temperature: transferbench.heads" in err
    found = {row["head.temperature"]: row for row in rows(tmp_path / "s")}
    assert {value: row["state"] for value, row in found.items()} == {"0.1": "finished", "hot": "failed"}
    assert float(found["0.1"]["val/top1"]) >= 0

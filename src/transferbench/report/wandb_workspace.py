"""The layout of a project's page on W&B, made by code.

python -m transferbench.report.wandb_workspace --entity ME                      saves a view in the project, online
python -m transferbench.report.wandb_workspace --entity ME --save layout.json   writes what it would hold, offline
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transferbench.errors import UserError
from transferbench.probes.names import PROBES, SEEN
from transferbench.report.wording import floor_name, probe_name, set_name
from transferbench.storage import write_text

STEP = "trainer/global_step"
LOG_ODDS = "transfer/mean_log_odds"
FLOORS = ("pixels", "colour_histogram", "random_backbone")
NAME = "transferbench"
INSTALL = "pip install wandb-workspaces"


def layout(levels: int = 5) -> dict[str, Any]:
    """Return the layout as plain values: sections of panels, the columns of the runs' table, what runs are grouped by.

    A panel has a ``kind``: ``line`` and ``bar`` show metrics, ``media`` keys of pictures and pages, ``table`` one
    table. Runs are grouped, so that the seeds of an experiment, or the jobs of a sweep, are one line with its spread.
    """
    names = [f"level_{k}" for k in range(1, levels + 1)]
    cog = [f"cog/{name}/top1" for name in names]
    return {
        "name": NAME,
        "x": STEP,
        "group_by": "Group",
        "columns": [LOG_ODDS, *cog, f"transfer/{SEEN}/{PROBES[0]}/top1", "val/top1"],
        "sections": [
            _curves("training", {"loss": "train/loss", "accuracy on the batch": "train/top1", "lr": "train/lr"}),
            _curves("validation", {"accuracy": "val/top1", "kNN accuracy": "val/knn", "loss": "val/loss"}),
            {"name": "transfer by level", "panels": [_panel("bar", "mean log-odds", [LOG_ODDS]), *_sets(names)]},
            {"name": "floors", "panels": [_floor(name) for name in (SEEN, *names)]},
            {"name": "media", "panels": _media()},
        ],
    }


def _curves(section: str, curves: dict[str, str]) -> dict[str, Any]:
    return {"name": section, "panels": [_panel("line", title, [key]) for title, key in curves.items()]}


def _panel(kind: str, title: str, keys: list[str]) -> dict[str, Any]:
    return {"kind": kind, "title": title, "keys": keys}


def _sets(levels: Sequence[str]) -> list[dict[str, Any]]:
    """Return one bar panel for each set and probe, the main probe's first."""
    return [
        _panel("bar", f"{set_name(name)}, {probe_name(probe)}", [f"transfer/{name}/{probe}/top1"])
        for probe in PROBES
        for name in (SEEN, *levels)
    ]


def _floor(name: str) -> dict[str, Any]:
    """Return a bar panel of one set: the model beside the floors, with the main probe."""
    keys = [f"transfer/{name}/{PROBES[0]}/top1", *(f"floors/{floor}/{name}/{PROBES[0]}/top1" for floor in FLOORS)]
    return _panel("bar", f"{set_name(name)}: the model, then {', '.join(map(floor_name, FLOORS))}", keys)


def _media() -> list[dict[str, Any]]:
    shown = {
        "crops": "media/crops",
        "nearest neighbours": "media/neighbours",
        "accuracy": f"media/accuracy_{PROBES[0]}",
    }
    panels = [_panel("media", title, [key]) for title, key in (shown | {"report": "report"}).items()]
    return panels + [_panel("table", name, [f"tables/{name}"]) for name in ("accuracy", "concepts")]


def workspace(plan: dict[str, Any], entity: str, project: str) -> Any:
    """Return ``plan``, made by ``layout``, as an object of ``wandb-workspaces``; nothing is sent.

    Raises:
        UserError: the package is missing.
    """
    try:
        views = importlib.import_module("wandb_workspaces.workspaces")
        reports = importlib.import_module("wandb_workspaces.reports.v2")
    except ImportError as error:
        raise UserError(
            f"wandb-workspaces cannot be imported ({error}); type: {INSTALL}, or write the layout with --save FILE"
        ) from error

    def panel(part: dict[str, Any]) -> Any:
        title, keys = part["title"], part["keys"]
        if part["kind"] == "line":
            return reports.LinePlot(title=title, x=plan["x"], y=keys)
        if part["kind"] == "bar":
            return reports.BarPlot(title=title, metrics=keys)
        if part["kind"] == "media":
            return reports.MediaBrowser(title=title, media_keys=keys)
        return reports.WeavePanelSummaryTable(table_name=keys[0])

    sections = [
        views.Section(name=part["name"], panels=[panel(one) for one in part["panels"]], is_open=True)
        for part in plan["sections"]
    ]
    return views.Workspace(
        entity=entity,
        project=project,
        name=plan["name"],
        sections=sections,
        settings=views.WorkspaceSettings(x_axis=plan["x"]),
        runset_settings=views.RunsetSettings(
            groupby=[views.Metric(plan["group_by"])], pinned_columns=[f"summary:{key}" for key in plan["columns"]]
        ),
    )


def send(plan: dict[str, Any], entity: str, project: str) -> str:
    """Save ``plan`` as a view of the project on W&B and return its address.

    Raises:
        UserError: the package or the key is missing, or W&B refuses.
    """
    view = workspace(plan, entity, project)
    import wandb

    try:
        if not wandb.login(prompt=False, verify=False):
            raise UserError("this machine has no key for W&B; type: wandb login, or use --save FILE")
        view.save()
    except (wandb.Error, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"W&B does not take the view for {entity}/{project} ({reason})") from error
    return str(view.url)


def main(arguments: Sequence[str] | None = None) -> int:
    """Save or send the layout that the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m transferbench.report.wandb_workspace",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--entity", required=True, help="your user or team on W&B")
    parser.add_argument("--project", default="transferbench")
    parser.add_argument("--levels", type=int, default=5, help="how many levels of unseen concepts")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the layout as JSON and send nothing")
    options = parser.parse_args(arguments)
    plan = layout(options.levels)
    try:
        if options.save:
            where = {"entity": options.entity, "project": options.project}
            write_text(options.save, json.dumps(where | plan, indent=2) + "\n")
            said = str(options.save)
        else:
            said = send(plan, options.entity, options.project)
    except (UserError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(said + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

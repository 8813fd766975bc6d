"""The sections of a run's report as HTML; each is empty text when the run has nothing for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from transferbench.probes.names import SEEN, level_number
from transferbench.report import scene
from transferbench.report.facts import Neighbours, Picture, RunFacts
from transferbench.report.markup import element, escaped, picture, section, table
from transferbench.report.pictures import fitted
from transferbench.report.provenance import APART, apart, run_seconds
from transferbench.report.scores import in_order, is_score, read_scores
from transferbench.report.wording import (
    accuracy_with_error,
    duration,
    exposure,
    floor_name,
    lead_error,
    percent,
    points,
    probe_name,
    set_name,
)

SHOWN_NAMES = 40


def tiles(facts: RunFacts) -> str:
    """Return the few numbers to remember, as a row of tiles."""
    scores, probe = read_scores(facts.metrics), read_scores(facts.metrics).main_probe
    found: list[tuple[str, str]] = []
    if (seen := scores.model.get((SEEN, probe))) is not None:
        found.append((percent(seen), "seen concepts"))
    if (mean := scores.mean(scores.levels, probe)) is not None:
        found.append((percent(mean), f"mean of {len(scores.levels)} levels"))
    leads = [lead for name in scores.levels or scores.sets if (lead := scores.lead(name, probe)) is not None]
    if leads:
        found.append((f"{points(sum(leads) / len(leads))} pts", "lead on the levels" if scores.levels else "mean lead"))
    if (odds := facts.metrics.get("transfer/mean_log_odds")) is not None:
        clipped = round(facts.metrics.get("transfer/mean_log_odds_clipped", 0.0))
        found.append((f"{odds:.3f}".replace("-", "−"), "mean log-odds" + (f", {clipped} clipped" if clipped else "")))
    found += scene.tiles(facts.metrics)
    if facts.timings:
        once = " and ".join(apart(facts.timings))
        found.append((duration(run_seconds(facts.timings)), f"run, {once} apart" if once else "run"))
    inner = (element("div", element("b", escaped(value)), element("span", escaped(what))) for value, what in found)
    return element("div", *inner, class_="tiles") if found else ""


def accuracy(facts: RunFacts, charts: Mapping[str, str]) -> str:
    """Return the charts and the table of accuracies; the first chart is wide, the others stand in pairs."""
    scores = read_scores(facts.metrics)
    if not scores.sets:
        return ""
    drawn = [
        element("figure", svg, element("figcaption", escaped(_chart_caption(facts, name.removeprefix("accuracy_")))))
        for name, svg in charts.items()
    ]
    pair = element("div", *drawn[1:], class_="pair") if drawn[1:] else ""
    note = (
        "Top-1 accuracy in percent ± one binomial standard error from the number of test images n. "
        "The lead is the model's accuracy minus the best floor's with the same probe, in percentage points; its error "
        "takes the two as independent, though they share the test images, so the true one is as a rule smaller."
    )
    if scores.costs:
        note += " C: what logistic regression chose on held-out training images; a smaller C regularises more."
    return section("Accuracy on each set", *drawn[:1], pair, score_table(facts), note=note)


def _chart_caption(facts: RunFacts, probe: str) -> str:
    name, scores = probe_name(probe), read_scores(facts.metrics)
    text = f"{name[0].upper()}{name[1:]} on the frozen features."
    if probe != scores.main_probe:
        return text
    said = exposure(facts, scores.levels)
    return f"{text} Bars: one standard error. Dashed: chance." + (f" Levels: {said}." if said else "")


def score_table(facts: RunFacts) -> str:
    """Return the table with a row a set: the model with every probe, the floors and the lead with the main probe."""
    scores = read_scores(facts.metrics)
    main = scores.main_probe
    own = [element("span", escaped(probe_name(probe, short=True))) for probe in scores.probes]
    floors = [element("span", escaped(floor_name(floor))) for floor in scores.floor_names]
    head = ["set", "n", *own, *floors, *(["lead"] if floors else []), *(["C"] if scores.costs else [])]
    rows = []
    for name in scores.sets:
        count = facts.test_counts.get(name)
        cells = [escaped(set_name(name)), str(count) if count else "–"]
        for probe in scores.probes:
            value = scores.model.get((name, probe))
            text = "–" if value is None else escaped(accuracy_with_error(value, count))
            cells.append(element("b", text) if probe == main else text)
        values = [scores.floors.get((floor, name, main)) for floor in scores.floor_names]
        cells += ["–" if value is None else escaped(percent(value, unit=False)) for value in values]
        cells += [_lead(facts, name, main)] if floors else []
        cells += [f"{scores.costs[name]:.3g}" if name in scores.costs else "–"] if scores.costs else []
        rows.append(cells)
    return table(head, rows, class_="numbers")


def _lead(facts: RunFacts, name: str, probe: str) -> str:
    lead, error = read_scores(facts.metrics).lead(name, probe), lead_error(facts, name, probe)
    if lead is None:
        return "–"
    text = points(lead) + (f" ± {100 * error:.1f}" if error else "")
    return element("span", escaped(text), class_="up" if lead > 0 else "down") if lead else escaped(text)


def few_shot(chart: str) -> str:
    """Return the chart of few-shot accuracy."""
    note = (
        "Hyper-parameters are chosen on held-out training images that no draw ever holds; bars: one standard deviation "
        "over the draws; hollow: all training images."
    )
    return section("A few images a class", element("figure", chart), note=note) if chart else ""


def training(charts: Mapping[str, str]) -> str:
    """Return the training curves side by side."""
    drawn = [element("figure", svg) for svg in charts.values()]
    return section("Training", element("div", *drawn, class_="trio")) if drawn else ""


def crops(shown: Sequence[tuple[Picture, Sequence[Picture]]]) -> str:
    """Return a row an image: the picture, then its crops, at their relative sizes."""
    if not shown:
        return ""
    largest = max((crop.shape[1] for _, views in shown for crop in views), default=shown[0][0].shape[1])
    row = max(largest + sum(crop.shape[1] for crop in views) for _, views in shown)
    unit = f"--u:min({min(140 / largest, 840 / row):.3f}px,{80 / row:.3f}vw)"  # CSS size of a pixel of a crop
    rows = []
    for i, (original, views) in enumerate(shown, start=1):
        whole = element("div", picture(original, f"picture {i}", fitted(original, largest)[0]), class_="whole")
        cut = [
            picture(crop, f"crop {j} of picture {i}, {crop.shape[1]} by {crop.shape[0]}", crop.shape[1])
            for j, crop in enumerate(views, start=1)
        ]
        rows.append(element("div", whole, element("div", *cut, class_="cut"), class_="crops", style=unit))
    sizes = sorted({crop.shape[1] for _, views in shown for crop in views}, reverse=True)
    text = f"Left the picture, then its crops of {' and '.join(map(str, sizes))} pixels at their relative sizes."
    return section("The crops as the network saw them", *rows, note=text)


def neighbours(shown: Sequence[Neighbours]) -> str:
    """Return test pictures, each with the nearest training pictures, framed by whether they show the same concept."""
    if not shown:
        return ""
    blocks = []
    for one in shown:
        caption = element("figcaption", element("b", escaped(one.label)), "<br>", escaped(set_name(one.set_name)))
        cells = [element("figure", element("div", picture(one.query, f"query: {one.label}")), caption, class_="query")]
        for pixels, label, same in one.neighbours:
            image = element("div", picture(pixels, f"{'same concept' if same else 'another concept'}: {label}"))
            name = element("figcaption", escaped(label))
            cells.append(element("figure", image, name, class_="same" if same else "other"))
        blocks.append(element("div", *cells, class_="near"))
    hits = [same for one in shown for _, _, same in one.neighbours]
    note = (
        f"Left the test picture, then the training pictures nearest to it in feature space. "
        f"Green and ✓: the same concept ({sum(hits)} of the {len(hits)} shown); dashed red and ✗: another one."
    )
    return section("Nearest neighbours", element("div", *blocks, class_="nears"), note=note)


def concepts(facts: RunFacts) -> str:
    """Return the concepts of each set: how many were trained on, and their mean similarity to the seen ones."""
    if not facts.concepts:
        return ""
    rows = []
    for name in in_order(facts.concepts):
        names, similarity, trained = facts.concepts[name], facts.similarity.get(name), facts.trained.get(name)
        text = escaped(", ".join(names[:SHOWN_NAMES]))
        if len(names) > SHOWN_NAMES:
            rest = escaped(", ".join(names[SHOWN_NAMES:]))
            text += element("details", element("summary", f"and {len(names) - SHOWN_NAMES} more"), rest)
        mean = "–" if similarity is None else f"{similarity:.3f}"
        counts = [str(len(names)), "–" if trained is None else str(trained)]
        rows.append([escaped(set_name(name)), *counts, mean, element("span", text, class_="names")])
    head = ["set", "number", "trained on", "similarity", "names"]
    return section("Concepts", table(head, rows, class_="concepts"), note=_concepts_note(facts))


def _concepts_note(facts: RunFacts) -> str:
    note = "Trained on: concepts with the name of a training class."
    if any(level_number(name) is not None for name in facts.concepts):
        note += " Similarity: the mean over a set's concepts of the largest Lin similarity to a seen concept."
    if facts.ties_at_cuts is not None:
        note += (
            " Ends of levels that cut through concepts of equal similarity, where the draw's seed decided: "
            f"{facts.ties_at_cuts}."
        )
    return note


def timings(seconds: Mapping[str, float]) -> str:
    """Return where the time went, as bars: the parts of the run, their sum, and what stands apart."""
    if not seconds:
        return ""
    longest = max(max(seconds.values()), 1e-9)

    def row(name: str) -> list[str]:
        kind = "bar apart" if name in APART else "bar"
        bar = element("span", class_=kind, style=f"width:{100 * seconds[name] / longest:.1f}%")
        return [escaped(name), escaped(duration(seconds[name])), bar]

    own, once = [name for name in seconds if name not in APART], apart(seconds)
    total = ["run", element("b", escaped(duration(run_seconds(seconds)))), ""]
    note = "The run, without the writing of this page."
    if once:
        note += f" Below it what is done once for these images and this seed: {' and '.join(once)}."
    inner = table(["part", "time", ""], [*map(row, own), total, *map(row, once)], class_="timings")
    return section("Where the time went", inner, note=note)


def other_metrics(metrics: Mapping[str, float]) -> str:
    """Return, folded, every metric that the table of accuracies does not show."""
    rest = {key: value for key, value in metrics.items() if not is_score(key)}
    rows = [[element("code", escaped(key)), f"{rest[key]:.6g}"] for key in sorted(rest)]
    inner = table(["metric", "value"], rows, class_="metrics")
    return element("details", element("summary", "All other metrics"), inner, class_="fold") if rows else ""


def settings(config: Mapping[str, Any]) -> str:
    """Return, folded, the resolved configuration as YAML."""
    if not config:
        return ""
    import yaml

    plain = json.loads(json.dumps(config, default=str))
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)
    return element("details", element("summary", "Settings"), element("pre", escaped(text)), class_="fold")


def provenance(facts: RunFacts) -> str:
    """Return the footer: commit and versions."""
    versions = " · ".join(f"{name} {version}" for name, version in facts.versions.items())
    commit = f"commit {facts.commit}" if facts.commit else ""
    return escaped(" · ".join(part for part in (commit, versions) if part))

"""How a report says things: numbers with their units, readable names, and the headline in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transferbench.probes.names import SEEN, level_number
from transferbench.report.facts import RunFacts
from transferbench.report.provenance import APART, apart, run_seconds
from transferbench.report.scores import Scores, binomial_error, read_scores

_PROBES = {
    "logreg": "logistic regression",
    "knn": "k nearest neighbours",
    "ncm": "nearest class mean",
    "sgd": "a linear classifier trained by SGD",
    "svm": "one SVM a class (mean average precision)",
}
_SHORT_PROBES = {
    "logreg": "log. regression",
    "knn": "kNN",
    "ncm": "class mean",
    "sgd": "linear, SGD",
    "svm": "SVM, mAP",
}
_FLOORS = {
    "pixels": "raw pixels",
    "colour_histogram": "colour histogram",
    "random_backbone": "untrained backbone",
    "best": "best floor",
}


def set_name(name: str) -> str:
    """Return ``level 3`` for ``level_3``, and so on; ``levels`` stands for the mean over them."""
    return "mean of levels" if name == "levels" else name.replace("_", " ")


def probe_name(probe: str, short: bool = False) -> str:
    """Return a probe's readable name; the short one fits a table's head."""
    return (_SHORT_PROBES if short else _PROBES).get(probe, probe.replace("_", " "))


def floor_name(floor: str) -> str:
    """Return a floor's readable name."""
    return _FLOORS.get(floor, floor.replace("_", " "))


def clipped(text: str, length: int = 22) -> str:
    """Return ``text``, cut to ``length`` characters with an ellipsis where it is longer."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def percent(fraction: float, unit: bool = True) -> str:
    """Return 0.7134 as ``71.3 %`` (the space does not break)."""
    return f"{100 * fraction:.1f}" + ("\u00a0%" if unit else "")


def points(difference: float) -> str:
    """Return a difference of accuracies in percentage points, signed with a true minus: ``+12.3``, ``−0.4``."""
    text = f"{100 * difference:+.1f}".replace("-", "−")
    return "0.0" if text in ("+0.0", "−0.0") else text


def duration(seconds: float) -> str:
    """Return 0.42 as ``0.4 s``, 75 as ``1 min 15 s``, 8000 as ``2 h 13 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def time_spent(timings: Mapping[str, float]) -> str:
    """Return ``run 1 min 18 s (start-up 3.0 s, training 1 min 15 s); apart, ...: rendering 30.0 s``."""
    own, once = (
        ", ".join(f"{part} {duration(value)}" for part, value in parts.items())
        for parts in ({part: value for part, value in timings.items() if part not in APART}, apart(timings))
    )
    run = f"run {duration(run_seconds(timings))} ({own})"
    return f"{run}; apart, once for these images and this seed: {once}" if once else run


def listed(items: Sequence[str]) -> str:
    """Join with commas and a last "and"."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1] if items else ""


def accuracy_with_error(accuracy: float, count: int | None) -> str:
    """Return ``71.3 ± 2.3`` (percent, binomial standard error), without the error when ``count`` is unknown."""
    error = f" ± {100 * binomial_error(accuracy, count):.1f}" if count else ""
    return percent(accuracy, unit=False) + error


def exposure(facts: RunFacts, sets: Sequence[str]) -> str:
    """Say whether the concepts of ``sets`` were trained on; empty where that is not known."""
    counts = [facts.trained[name] for name in sets if name in facts.trained]
    if not sets or len(counts) < len(sets):
        return ""
    if not sum(counts):
        return "concepts never trained on"
    every = sum(len(facts.concepts.get(name, ())) for name in sets)
    return "concepts trained on as well" if sum(counts) == every else f"{sum(counts)} of their concepts trained on"


def headline(facts: RunFacts) -> str:
    """Say in a paragraph what the model reaches, where the strongest floors stand, and what that cannot tell."""
    scores = read_scores(facts.metrics)
    if not scores.sets:
        return "No transfer accuracies were measured in this run."
    probe = scores.main_probe
    sentences = [_reached(facts, scores, probe), *_beside_floors(facts, scores, probe)]
    sentences.append("One run with one seed: the ± covers the draw of the test images only, not that of the training.")
    return " ".join(sentences)


def _reached(facts: RunFacts, scores: Scores, probe: str) -> str:
    own = {name: scores.model[name, probe] for name in scores.sets if (name, probe) in scores.model}
    parts = []
    if SEEN in own:
        count = f"{len(facts.concepts[SEEN])} " if facts.concepts.get(SEEN) else ""
        parts.append(f"{percent(own[SEEN])} on the {count}seen concepts")
    levels = [name for name in scores.levels if name in own]
    if levels:
        values = ", ".join(percent(own[name], unit=False) for name in levels)
        numbers = [level_number(name) for name in levels]
        span = f"levels {numbers[0]} to {numbers[-1]}" if len(levels) > 1 else f"level {numbers[0]}"
        said = exposure(facts, levels)
        parts.append(", ".join([f"{values}\u00a0% on {span}", *[said] * bool(said), "the most similar ones first"]))
    for name in own:
        if name not in (SEEN, *levels):  # classes of other names may still be concepts trained on: only names are known
            said = f" ({exposure(facts, [name])})" if facts.trained.get(name) else ""
            parts.append(f"{percent(own[name])} on {set_name(name)}{said}")
    first = probe_name(probe)
    return f"{first[0].upper()}{first[1:]} on the frozen features reaches {_joined(parts)}."


def _beside_floors(facts: RunFacts, scores: Scores, probe: str) -> list[str]:
    leads = {name: lead for name in scores.sets if (lead := scores.lead(name, probe)) is not None}
    if not leads:
        return ["No floor was measured, so these numbers have nothing to stand beside."]
    others = [name for name in leads if name != SEEN and name not in scores.levels]
    groups = {"the seen concepts": [SEEN], "the levels": list(scores.levels), "the other sets": others}
    standing = [text for label, sets in groups.items() if (text := _floor_on(scores, probe, label, sets))]
    sentences = [f"The best floor is at {_joined(standing)}."]
    sentences.append(f"The model's lead over the best floor of each set is {_span(list(leads.values()))} points.")
    behind = [set_name(name) for name in leads if leads[name] < 0]
    if behind:
        sentences.append(f"It is behind a floor on {listed(behind)}.")
    unclear = [set_name(name) for name in leads if 0 <= leads[name] < 2 * (lead_error(facts, name, probe) or 0.0)]
    if unclear:
        sentences.append(f"On {listed(unclear)} the lead is within two standard errors of nothing.")
    return sentences


def _floor_on(scores: Scores, probe: str, label: str, sets: Sequence[str]) -> str:
    found = [best for name in sets if (best := scores.best_floor(name, probe))]
    if not found:
        return ""
    low, high = min(value for _, value in found), max(value for _, value in found)
    span = percent(low) if low == high else f"{percent(low, unit=False)} to {percent(high)}"
    return f"{span} on {label} ({listed(sorted({floor_name(floor) for floor, _ in found}))})"


def _joined(parts: Sequence[str]) -> str:
    return "; ".join(parts[:-1]) + ("; and " if len(parts) > 2 else " and ") + parts[-1] if len(parts) > 1 else parts[0]


def _span(leads: list[float]) -> str:
    low, high = points(min(leads)), points(max(leads))
    return low if low == high else f"{low} to {high}"


def lead_error(facts: RunFacts, name: str, probe: str) -> float | None:
    """Return the standard error of the lead over the best floor, both taken as independent binomials.

    Both are measured on the same images, which as a rule makes the true error smaller. None where a piece is missing.
    """
    scores, count = read_scores(facts.metrics), facts.test_counts.get(name)
    best, own = scores.best_floor(name, probe), scores.model.get((name, probe))
    if not count or best is None or own is None:
        return None
    return float((binomial_error(own, count) ** 2 + binomial_error(best[1], count) ** 2) ** 0.5)

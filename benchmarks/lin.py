"""All pairs of ImageNet-21K and ImageNet-1K: Lin similarity here against NLTK's ``lin_similarity``, warm.

Both use the same structural information content; NLTK, the peer, gets a sample of the rows and takes turns with ours.
NLTK's common subsumer is the most informative one, ours for ImageNet-CoG the deepest: both are timed, and the former's
values are compared with NLTK's. Ours runs in a process of its own, whose peak memory is said.
NLTK's corpus reader opens the WordNet that ours found (``apt-get install wordnet-base``).

    python benchmarks/lin.py [--repeats 5] [--rows 200]
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from transferbench.concepts.lists import imagenet1k, read_wnids
from transferbench.concepts.similarity import Similarity, Subsumer
from transferbench.concepts.wordnet import WordNet, open_wordnet

ROOT = "n00001740"


def imagenet21k() -> tuple[str, ...]:
    """The 21,841 classes of the Fall-2011 ImageNet, from the list that timm carries."""
    import importlib.util

    package = importlib.util.find_spec("timm")
    if package is None or package.origin is None:
        raise SystemExit("the list of ImageNet-21K comes with timm: pip install timm")
    return read_wnids(Path(package.origin).parent / "data" / "_info" / "imagenet22k_synsets.txt")


def measure_ours(subsumer: Subsumer) -> dict[str, float]:
    """Time each step once, in this process; the memory is the peak of the whole process."""
    start = time.perf_counter()
    wordnet = open_wordnet()
    opened = time.perf_counter()
    rows, columns = imagenet21k(), imagenet1k()
    similarity = Similarity(wordnet, [*rows, *columns], subsumer=subsumer)
    built = time.perf_counter()
    matrix = similarity.matrix(rows, columns)
    done = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    times = {"wordnet": opened - start, "graph": built - opened, "matrix": done - built}
    return {**times, "pairs": float(matrix.size), "peak": peak}


def ours(subsumer: Subsumer) -> dict[str, float]:
    """``measure_ours`` in a fresh process."""
    told = subprocess.run([sys.executable, __file__, "--child", subsumer], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(told.stdout)
    return found


def nltk_reader(wordnet: WordNet, folder: Path) -> Any:
    """NLTK's reader over the same database; what Debian leaves out of it, and nothing here needs, is made up."""
    import nltk
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    class Reader(WordNetCorpusReader):
        def map_wn(self, version: str = "wordnet") -> None:
            """Map to no other version of WordNet."""

    source = Path(wordnet.source)
    for path in [*source.glob("data.*"), *source.glob("index.*"), *source.glob("*.exc")]:
        shutil.copyfile(path, folder / path.name)
    (folder / "lexnames").write_text("".join(f"{number:02d}\tname{number}\t1\n" for number in range(45)))
    nltk.data.path.append(str(folder))
    warnings.filterwarnings("ignore")
    return Reader(str(folder), None)


def nltk_similarities(rows: list[Any], columns: list[Any], content: dict[str, Any]) -> list[list[float]]:
    """NLTK's similarity of all pairs."""
    return [[row.lin_similarity(column, content) for column in columns] for row in rows]


def main() -> None:
    """Print the times, the memory, the ratio, and how far the values agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", type=int, default=200, help="rows that NLTK gets")
    parser.add_argument("--child", choices=["deepest", "informative"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(measure_ours(given.child)))
        return
    wordnet = open_wordnet()
    similarity = Similarity(wordnet, [*imagenet21k(), *imagenet1k()], subsumer="informative")
    sample = random.Random(0).sample(imagenet21k(), given.rows)
    counts = {int(node[1:]): float(similarity.count(node)) for node in similarity.nodes}
    content = {"n": defaultdict(float, {**counts, 0: counts[int(ROOT[1:])]})}
    with tempfile.TemporaryDirectory() as folder:
        reader = nltk_reader(wordnet, Path(folder))
        rows, columns = (
            [reader.synset_from_pos_and_offset("n", int(wnid[1:])) for wnid in wnids]
            for wnids in (sample, imagenet1k())
        )
        expected = np.array(nltk_similarities(rows, columns, content))  # and the caches are warm
        turns = []
        for _ in range(given.repeats):
            start = time.perf_counter()
            nltk_similarities(rows, columns, content)
            turns.append((expected.size / (time.perf_counter() - start), ours("deepest"), ours("informative")))
    report(turns)
    apart = np.abs(similarity.matrix(sample, imagenet1k()) - expected)
    cog = np.abs(Similarity(wordnet, [*imagenet21k(), *imagenet1k()]).matrix(sample, imagenet1k()) - expected)
    print(f"values, {expected.size:,} pairs: the most informative subsumer at most {apart.max():.1e} from NLTK's;")
    print(f"  the deepest gives another value for {100 * np.mean(cog > 1e-9):.2f} % of the pairs")


def report(turns: list[tuple[float, dict[str, float], dict[str, float]]]) -> None:
    """Print the medians of the turns."""
    middle = statistics.median
    print(f"{turns[0][1]['pairs']:,.0f} pairs, NumPy {np.__version__}, medians of {len(turns)} turns")
    print(f"  NLTK, warm: {middle(speed for speed, _, _ in turns):,.0f} pairs/s")
    for place, name in ((1, "deepest subsumer"), (2, "most informative")):
        runs: list[tuple[float, dict[str, float]]] = [(turn[0], turn[place]) for turn in turns]  # type: ignore[misc]
        wordnet, graph, matrix, peak = (
            middle(run[key] for _, run in runs) for key in ("wordnet", "graph", "matrix", "peak")
        )
        alone = middle(run["pairs"] / run["matrix"] / speed for speed, run in runs)
        whole = middle(run["pairs"] / (run["graph"] + run["matrix"]) / speed for speed, run in runs)
        print(
            f"  ours, {name}: WordNet {wordnet:.2f} s, graph {graph:.2f} s, all pairs {matrix:.2f} s, "
            f"peak {peak:.0f} MB; times NLTK: {alone:.0f}, with the graph {whole:.0f}"
        )


if __name__ == "__main__":
    main()

"""Small WordNet databases written by the tests, and the real one where it is installed."""

import csv
import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import nltk
import pytest
from nltk.corpus.reader.wordnet import WordNetCorpusReader

from transferbench.concepts.similarity import Similarity
from transferbench.concepts.wordnet import WordNet, open_wordnet
from transferbench.errors import UserError
from transferbench.world.taxonomy import concept_ids, leaves, read_taxonomy, write_wordnet

LICENCE = "  1 A licence stands in lines that begin with two spaces.  \n"

WriteNouns = Callable[..., dict[str, str]]


def write_nouns(
    folder: Path, parents: Mapping[str, Sequence[str]], glosses: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Write ``data.noun`` and ``index.noun``; return key -> wnid.

    A key is a word or several (``"tiger_cat Felis_tigris"``), told apart by a suffix ``#2`` where the words repeat;
    a parent key that begins with ``@i`` is an instance hypernym.
    """
    keys = list(parents)
    bare = {key: [parent.removeprefix("@i ") for parent in parents[key]] for key in keys}

    def line(key: str, offsets: Mapping[str, int]) -> str:
        words = key.partition("#")[0].split()
        up = [
            f"{'@i' if p.startswith('@i ') else '@'} {offsets[q]:08d} n 0000" for p, q in zip(parents[key], bare[key])
        ]
        down = [f"~ {offsets[child]:08d} n 0000" for child in keys if key in bare[child]]
        pointers = [*up, "+ 00000009 v 0101", *down]
        spelled = " ".join(f"{word} 0" for word in words)
        gloss = (glosses or {}).get(key, "a thing")
        return (
            f"{offsets[key]:08d} 03 n {len(words):02x} {spelled} {len(pointers):03d} {' '.join(pointers)} | {gloss}  \n"
        )

    offsets: dict[str, int] = {}
    position = len(LICENCE)
    for key in keys:
        offsets[key] = position
        position += len(line(key, dict.fromkeys(keys, 0)))
    senses: dict[str, list[int]] = {}
    for key in keys:
        for word in key.partition("#")[0].split():
            senses.setdefault(word.lower(), []).append(offsets[key])
    index = (
        f"{word} n {len(found)} 2 @ ~ {len(found)} 0 {' '.join(f'{o:08d}' for o in found)}  \n"
        for word, found in sorted(senses.items())
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data.noun").write_bytes((LICENCE + "".join(line(key, offsets) for key in keys)).encode())
    (folder / "index.noun").write_bytes((LICENCE + "".join(index)).encode())
    return {key: f"n{offset:08d}" for key, offset in offsets.items()}


@pytest.fixture(name="write_nouns")
def write_nouns_fixture() -> WriteNouns:
    return write_nouns


@pytest.fixture(scope="session")
def world_tree(tmp_path_factory: pytest.TempPathFactory) -> tuple[WordNet, list[str]]:
    """The embedded world's taxonomy as a WordNet, and its leaves."""
    concepts = read_taxonomy()
    folder = tmp_path_factory.mktemp("wordnet")
    write_wordnet(concepts, folder)
    wnids = concept_ids(concepts)
    return open_wordnet(folder), [wnids[leaf.lemma] for leaf in leaves(concepts)]


@pytest.fixture(scope="session")
def wordnet() -> WordNet:
    """WordNet 3.0."""
    try:
        found = open_wordnet()
    except UserError as error:
        pytest.skip(str(error))
    if len(found) != 82_115:
        pytest.skip(f"{found.source} has {len(found)} noun synsets, WordNet 3.0 has 82115")
    return found


@pytest.fixture(scope="session")
def imagenet() -> list[str]:
    """The 1000 synsets of ImageNet-1K."""
    return timm_synsets("imagenet_synsets.txt")


@pytest.fixture(scope="session")
def imagenet21k() -> dict[str, int]:
    """Images of each of the 21,841 synsets of the Fall-2011 ImageNet."""
    with (cog_folder() / "imagenet21k_counts.csv").open(newline="") as rows:
        return {row["wnid"]: int(row["images"]) for row in csv.DictReader(rows)}


@pytest.fixture(scope="session")
def cog_levels() -> dict[int, list[str]]:
    """Three of the five official levels."""
    return {level: (cog_folder() / f"level_{level}.txt").read_text().split() for level in (1, 3, 5)}


@pytest.fixture(scope="session")
def lin(wordnet: WordNet, imagenet: list[str], imagenet21k: dict[str, int]) -> Similarity:
    return Similarity(wordnet, [*imagenet21k, *imagenet])


@pytest.fixture(scope="session")
def miil_synsets() -> list[str]:
    return timm_synsets("imagenet21k_miil_synsets.txt")


def timm_synsets(name: str) -> list[str]:
    package = importlib.util.find_spec("timm")  # found, not imported: that would take seconds
    assert package is not None and package.origin is not None
    return (Path(package.origin).parent / "data" / "_info" / name).read_text().split()


def cog_folder() -> Path:
    beside = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("TRANSFERBENCH_TEST_DATA") or beside) / "cog"
    if not folder.is_dir():
        pytest.skip(f"{folder}: no such folder; set TRANSFERBENCH_TEST_DATA")
    return folder


class NounReader(WordNetCorpusReader):
    """NLTK's reader without its map to other WordNet versions, which needs a file that Debian leaves out."""

    def map_wn(self, version: str = "wordnet") -> None:
        return None


@pytest.fixture(scope="session")
def nltk_reader(wordnet: WordNet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WordNetCorpusReader]:
    """NLTK's reader over the same files; Debian leaves out ``lexnames``, which nothing here uses."""
    source = Path(wordnet.source)
    if not (source / "index.verb").is_file():
        pytest.skip(f"{source}: not the complete database, which NLTK's reader needs")
    folder = tmp_path_factory.mktemp("nltk")
    for path in [source / "data.noun", *source.glob("data.adj"), *source.glob("index.*"), *source.glob("*.exc")]:
        shutil.copyfile(path, folder / path.name)
    (folder / "lexnames").write_text("".join(f"{number:02d}\tname{number}\t1\n" for number in range(45)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nltk.data, "path", [*nltk.data.path, str(folder)])  # NLTK opens nothing outside its data folders
        with pytest.warns(UserWarning, match="multilingual"):
            reader = NounReader(str(folder), None)
        yield reader

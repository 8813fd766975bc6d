"""Images with captions as a Lightning data module: a random crop and a random caption for training."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from transferbench.data.caption_encoder import CaptionEncoder
from transferbench.data.captions import CaptionRecords
from transferbench.data.image_set import Splits
from transferbench.data.loading import CentreSet, CropSet, Sample, seeded
from transferbench.data.module import ImageData
from transferbench.data.multicrop import MultiCrop, make_crop
from transferbench.errors import UserError
from transferbench.storage import digest_of
from transferbench.text.batch import CaptionBatch
from transferbench.text.sides import swap_sides
from transferbench.text.tagger import find_tagger
from transferbench.text.tokeniser import Tokeniser, train_tokeniser
from transferbench.text.vocabulary import ConceptVocabulary, VocabularyFacts, build_vocabulary

TRAINED = ("bpe", "byte_bpe")
"""Tokenisers that are trained on the captions; every other name is one of the transformers library."""


@dataclass(frozen=True)
class CaptionRows:
    """Captions of images as rows of a batch; ``labels`` (N, C) float32 are what the images carry."""

    records: CaptionRecords
    encoder: CaptionEncoder
    labels: Tensor

    def drawn(self, index: int) -> str:
        """Return one of the captions of an image, at random from torch's default generator."""
        captions = self.records.captions[index]
        return captions[int(torch.randint(len(captions), ()))]

    def row(self, index: int | None, caption: str = "") -> CaptionBatch:
        """Return ``caption`` of the ``index``-th image as a row; None stands for no image."""
        if index is None:
            return self.encoder(caption, torch.zeros_like(self.labels[0]), -1)
        return self.encoder(caption, self.labels[index], index)


class CaptionCrops(CropSet):
    """Random crops of captioned images with one of their captions, drawn at random.

    Where the crop is mirrored, left and right change places in the caption.

    Args:
        rows: the captions.
        faithful: swap "left" and "right" also inside of words, as VirTex's code does.
        *options: those of ``CropSet`` behind the images.
    """

    def __init__(self, rows: CaptionRows, faithful: bool, *options: Any) -> None:
        super().__init__(rows.records.images, *options)
        self.rows, self.faithful = rows, faithful

    def sample(self, image: Image.Image, index: int) -> Sample:
        """Return the crop of ``image`` and one of its captions."""
        crops: Any = self.crops
        recipe, view = crops.draw(image.width, image.height)[0], next(iter(crops.views.values()))
        caption = self.rows.drawn(index)
        if recipe.flip:
            caption = swap_sides(caption, self.faithful)
        return [make_crop(np.asarray(image), view.size, recipe)], self.rows.row(index, caption)


class CaptionTexts(CropSet):
    """Captions alone, for a language model: no image is read."""

    def __init__(self, rows: CaptionRows, *options: Any) -> None:
        super().__init__(rows.records.images, *options)
        self.rows = rows

    def __getitem__(self, draw: tuple[int, int] | int) -> Sample:
        """Return no crop and a caption for ``(index, seed)``."""
        index, seed = draw if isinstance(draw, tuple) else (draw, draw)
        with seeded(seed):
            return [], self.rows.row(index, self.rows.drawn(index))


class CaptionCentres(CentreSet):
    """The centre crops of captioned images, each with its first caption."""

    def __init__(self, rows: CaptionRows, *options: Any) -> None:
        super().__init__(rows.records.images, *options)
        self.rows = rows

    def label(self, index: int | None) -> CaptionBatch:
        """Return the first caption of the ``index``-th image; an empty one for no image."""
        return self.rows.row(index, "" if index is None else self.rows.records.captions[index][0])


class CaptionData(ImageData):
    """Captioned images; a subclass says how to ``read_records``.

    A batch is ``(crops, text)``: one crop an image, in a list, and a ``CaptionBatch``. ``classes`` are the concepts
    that may be hidden in a caption and predicted: the most frequent nouns, adjectives and verbs.

    Args:
        tokeniser: ``bpe`` or ``byte_bpe``, trained on the training captions, or a name of the transformers library.
        vocabulary: number of tokens of a tokeniser that is trained.
        length: longest caption in tokens, start and end included; longer ones are cut.
        concepts: how many concepts; None for all words of these kinds.
        concept_tags: their parts of speech.
        wordnet: a folder with WordNet's index files, where nltk's tagger is not installed.
        labels: what ``CaptionBatch.labels`` holds: the ``tags`` of the images, or ``clusters``: one of ``concepts``
            (100 for None) groups of captions by their words.
        faithful: mirror captions as VirTex's code does, inside of words too.
        text_only: give captions alone, for a language model.
        **options: those of ``ImageData``; ``crops`` is a ``MultiCrop`` that asks for one crop.
    """

    def __init__(
        self,
        tokeniser: str = "bpe",
        vocabulary: int = 10_000,
        length: int = 30,
        concepts: int | None = None,
        concept_tags: Sequence[str] = ("noun", "adjective", "verb"),
        wordnet: str | None = None,
        labels: Literal["tags", "clusters"] = "tags",
        faithful: bool = False,
        text_only: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if labels not in ("tags", "clusters"):
            raise UserError(f"data.labels is {labels!r}; expected tags or clusters.")
        if length < 3:
            raise UserError(f"data.length={length}: expected room for start, end and a word, 3 or more")
        if self.batched:
            raise UserError(
                "crops.batched=true: crops that go with captions are made whole by the workers; leave it out"
            )
        if isinstance(self.crops, MultiCrop) and len(self.crops) != 1:
            raise UserError(f"crops asks for {len(self.crops)} crops; a caption goes with one: choose crops=caption")
        self.tokeniser_name, self.tokens, self.length = tokeniser, vocabulary, length
        self.concepts, self.concept_tags, self.wordnet = concepts, tuple(concept_tags), wordnet
        self.label_kind, self.faithful, self.text_only = labels, faithful, text_only
        self.encoder: CaptionEncoder
        self.facts: VocabularyFacts

    @abstractmethod
    def read_records(self) -> tuple[CaptionRecords, CaptionRecords]:
        """Return the training and the held-out records; called once, by ``setup``. Raises ``UserError``."""

    def read(self) -> Splits:
        """Read the records, train the tokeniser, choose the concepts."""
        self.train_records, self.test_records = self.read_records()
        _refuse_other_tags(self.train_records, self.test_records)
        texts = [caption for captions in self.train_records.captions for caption in captions]
        tagger = find_tagger(self.wordnet)
        vocabulary, self.facts = build_vocabulary(texts, tagger, self.concepts, self.concept_tags)
        self.encoder = CaptionEncoder(self._tokeniser(texts), vocabulary, self.length)
        self._train_labels, self._test_labels = self._labels()
        return Splits(self.train_records.images, self.test_records.images)

    def _tokeniser(self, texts: Sequence[str]) -> Tokeniser:
        if self.tokeniser_name in TRAINED:
            return train_tokeniser(texts, self.tokens, self.tokeniser_name)
        from transferbench.text.pretrained import pretrained_tokeniser

        return pretrained_tokeniser(self.tokeniser_name)

    def _labels(self) -> tuple[Tensor, Tensor]:
        """Return what the images of both parts carry, (N, C) float32 each."""
        if self.label_kind == "clusters":
            from transferbench.data.caption_clusters import cluster_labels

            return cluster_labels(self.train_records, self.test_records, self.concepts or 100, self.seed)
        count = len(self.train_records.tag_names)
        return tag_labels(self.train_records, count), tag_labels(self.test_records, count)

    @property
    def tokeniser(self) -> Tokeniser:
        """The tokeniser, after ``setup``."""
        return self.encoder.tokeniser

    @property
    def vocabulary(self) -> ConceptVocabulary:
        """The concepts, after ``setup``."""
        return self.encoder.vocabulary

    @property
    def classes(self) -> tuple[str, ...]:
        """The concepts, in the order of their indices."""
        return self.vocabulary.words

    @property
    def offered(self) -> dict[str, int]:
        """The numbers of concepts (``classes``), of ``tokens``, and of ``labels`` or ``clusters``; the special ids."""
        carried = {"clusters" if self.label_kind == "clusters" else "labels": self._train_labels.shape[1]}
        tokeniser = self.tokeniser
        ids = {"pad": tokeniser.pad, "start": tokeniser.start, "end": tokeniser.end}
        hides = {"mask": tokeniser.mask} if tokeniser.hides else {}
        return {**super().offered, "tokens": tokeniser.size, **carried, **ids, **hides}

    def kept(self) -> dict[str, Any]:
        """Return the tokeniser and the concepts."""
        text = {"tokeniser": self.tokeniser.to_json(), "vocabulary": self.vocabulary.to_dict(), "length": self.length}
        return {"text": text, "trained": list(self.trained_classes)}

    def check_batch(self, devices: int) -> None:
        """Raise ``UserError`` when crops are wanted and left out, or the images fill no batch on each device."""
        if not self.text_only:
            super().check_batch(devices)

    def training_set(self) -> CropSet:
        """Return the training images and captions."""
        rows = CaptionRows(self.train_records, self.encoder, self._train_labels)
        options = (self.crops, self._log(), self.on_error)
        return CaptionTexts(rows, *options) if self.text_only else CaptionCrops(rows, self.faithful, *options)

    def validation_set(self) -> CentreSet:
        """Return the held-out images and their first captions."""
        rows = CaptionRows(self.test_records, self.encoder, self._test_labels)
        return CaptionCentres(rows, self.centre, self._log(), self.on_error)

    def evaluation_sets(self) -> dict[str, Splits]:
        """Return nothing: captioned images have no classes to probe."""
        return {}

    def digest(self) -> str:
        """Return 16 hexadecimal digits that change with the images and their captions."""
        return digest_of(self.train_records.digest(), self.test_records.digest())


def _refuse_other_tags(train: CaptionRecords, test: CaptionRecords) -> None:
    if train.tag_names and test.tag_names and train.tag_names != test.tag_names:
        other = sorted(set(train.tag_names) ^ set(test.tag_names))[:3]
        raise UserError(
            f"the held-out images have {len(test.tag_names)} categories, those to train on {len(train.tag_names)}, and "
            f"they are not the same{' (' + ', '.join(other) + ')' if other else ' in order'}; give both one list"
        )


def tag_labels(records: CaptionRecords, count: int) -> Tensor:
    """Return the tags of the images as (N, ``count``) float32 of zeros and ones; zeros where nothing is known."""
    labels = torch.zeros(len(records), count)
    for row, tags in enumerate(records.tags or ()):
        labels[row, sorted(tags)] = 1
    return labels

"""Clusters of captions as labels of their images (ICMLM's TP_Cluster, arXiv:2008.01392, supplement A)."""

from __future__ import annotations

import torch
from torch import Tensor

from transferbench.data.captions import CaptionRecords
from transferbench.errors import UserError


def cluster_labels(train: CaptionRecords, test: CaptionRecords, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the clusters that each image's captions fall into, as shares: (N, count) float32 for both parts.

    k-means on the captions' words, weighted by tf-idf; the paper clusters sentence vectors of a language model.

    Raises:
        UserError: there are fewer captions than clusters.
    """
    from sklearn.cluster import KMeans
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [caption for captions in train.captions for caption in captions]
    if len(texts) < count:
        raise UserError(f"data.labels=clusters: {len(texts)} captions give no {count} clusters; lower data.concepts")
    words = TfidfVectorizer()
    groups = KMeans(count, random_state=seed, n_init=1).fit(words.fit_transform(texts))
    labels = []
    for records in (train, test):
        flat = [caption for captions in records.captions for caption in captions]
        rows = torch.tensor([row for row, captions in enumerate(records.captions) for _ in captions])
        shares = torch.zeros(len(records), count)
        shares.index_put_((rows, torch.from_numpy(groups.predict(words.transform(flat))).long()), torch.ones(()), True)
        labels.append(shares / shares.sum(1, keepdim=True))
    return labels[0], labels[1]

"""Online class means: cosine softmax against class sums of a memory of features (t-ReX, arXiv:2206.15369, Eq. 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from transferbench.errors import UserError
from transferbench.heads.cosine import cosine_logits


class ClassMeans(nn.Module):
    """A first-in first-out memory of labelled features whose class sums are the prototypes.

    The buffers ``features (K, D)``, ``labels (K,)`` and ``pointer (1,)`` travel with the checkpoint. The memory starts
    as standard normal noise with uniformly random labels.

    Args:
        width: feature size D.
        classes: number of classes C.
        size: number of features K that the memory holds.
        temperature: of the softmax over cosines.
    """

    features: Tensor
    labels: Tensor
    pointer: Tensor

    def __init__(self, width: int, classes: int, size: int = 8192, temperature: float = 0.1) -> None:
        super().__init__()
        if size < 1:
            raise UserError(f"head.memory={size}: expected at least one feature")
        if temperature <= 0:
            raise UserError(f"head.temperature={temperature}: expected a positive number for class means")
        self.classes = classes
        self.temperature = temperature
        self.register_buffer("features", torch.randn(size, width))
        self.register_buffer("labels", torch.randint(classes, (size,)))
        self.register_buffer("pointer", torch.zeros(1, dtype=torch.long))
        self._start = 0  # the pointer, where it can be read without waiting for the device
        self.register_load_state_dict_post_hook(_read_pointer)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def class_sums(self) -> Tensor:
        """Return the sum ``(C, D)`` of the stored features of each class, zero for a class that has none.

        Features enter with the length they have, so long ones weigh more; the direction is that of the mean.
        """
        return self.features.new_zeros(self.classes, self.features.shape[1]).index_add_(0, self.labels, self.features)

    def forward(self, embedding: Tensor) -> Tensor:
        """Return logits ``(B, C)`` of embeddings ``(B, D)``; 0 for a class without features. No gradient to them."""
        return cosine_logits(embedding, self.class_sums(), self.temperature)

    @torch.no_grad()
    def push(self, features: Tensor, labels: Tensor) -> None:
        """Write ``features (N, D)`` and ``labels (N,)`` at the pointer.

        What does not fit before the end of the memory is dropped, and the pointer returns to the start.
        """
        start, size = self._start, len(self.labels)
        stop = min(start + len(labels), size)
        self.features[start:stop] = features[: stop - start].to(self.features.dtype)
        self.labels[start:stop] = labels[: stop - start]
        self._start = stop % size
        self.pointer.fill_(self._start)


def _read_pointer(memory: ClassMeans, _: object) -> None:
    memory._start = int(memory.pointer)

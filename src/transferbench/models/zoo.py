"""The zoo: published models by name, untrained; ``zoo.toml`` holds the facts, ``foreign`` brings the weights."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from transferbench.errors import UserError
from transferbench.models.backbone import IMAGENET_MEAN, Backbone, timm_backbone, torchvision_backbone, unknown_model
from transferbench.models.layouts import tables
from transferbench.models.padding import pad_as_tensorflow

YOURS = "yours"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One published model; ``zoo.toml`` explains the fields."""

    name: str
    group: str
    network: str
    takes: str
    layer: str
    width: int
    params: int
    size: int
    mean: Sequence[float]
    std: Sequence[float]
    padding: str
    layouts: Sequence[str]
    weights: str
    note: str


@functools.cache
def entries() -> dict[str, Entry]:
    """Return the models of the zoo by name, in the order of the table."""
    content = tables()
    return {name: Entry(name=name, **{**content["defaults"], **row}) for name, row in content["models"].items()}


def entry_of(name: str) -> Entry:
    """Return the entry called ``name``.

    Raises:
        UserError: there is none; with the closest ones.
    """
    if name not in entries():
        raise unknown_model("the zoo", name, entries())
    return entries()[name]


def zoo_rows() -> list[dict[str, str | int]]:
    """Return the zoo as the rows of a table, plain values under the same heads."""
    return [
        {
            "model": one.name,
            "group": one.group,
            "network": one.network,
            "features": one.layer,
            "width": one.width,
            "parameters": one.params or "not known",
            "pixels": one.size,
            "mean": "ImageNet" if tuple(one.mean) == IMAGENET_MEAN else " ".join(f"{part:.3g}" for part in one.mean),
            "layout": " or ".join(one.layouts),
            "weights": one.weights,
            "note": one.note,
        }
        for one in entries().values()
    ]


def zoo_backbone(name: str) -> Backbone:
    """Build an untrained network by name: of the zoo, or ``timm/NAME``, ``torchvision/NAME``.

    Raises:
        UserError: the name is unknown, or the network is one that neither timm nor torchvision has.
    """
    if "/" in name:
        return library_backbone(name)
    entry = entry_of(name)
    return finished(entry, bare_network(entry))


def library_backbone(reference: str) -> Backbone:
    """Build an untrained network of a library, ``timm/NAME`` or ``torchvision/NAME``, without its classifier.

    Raises:
        UserError: the library or the name is unknown.
    """
    library, _, name = reference.partition("/")
    if library == "timm":
        return timm_backbone(name)
    if library == "torchvision":
        return torchvision_backbone(name)
    raise UserError(f"model.name={reference}: expected a model of the zoo, timm/NAME or torchvision/NAME")


def bare_network(entry: Entry) -> nn.Module:
    """Build the network of an entry under its library's names, to load weights into.

    Raises:
        UserError: neither timm nor torchvision has it.
    """
    if entry.network == YOURS:
        raise UserError(
            f"model.name={entry.name}: neither timm nor torchvision has this network; name a function of yours that "
            f"returns a transferbench.models.backbone.Backbone: model.network={{_target_: my_networks.{entry.name}}}"
        )
    if entry.takes == "projection":
        import timm

        net: nn.Module = timm.create_model(entry.network.partition("/")[2])
        return net
    net = library_backbone(entry.network).net
    if entry.padding == "same":
        pad_as_tensorflow(net)
    return net


def finished(entry: Entry, net: nn.Module) -> Backbone:
    """Return the backbone around the network of an entry: its features, mean, std and size of pictures."""
    read = ClassToken(net) if entry.takes == "class_token" else net
    return Backbone(read, entry.width, entry.mean, entry.std, size=entry.size, resize=entry.size)


class ClassToken(nn.Module):
    """The class token of a timm transformer after its last norm, whatever its own head would make of the tokens."""

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, images: Tensor) -> Tensor:
        """Return ``(B, width)`` of ``(B, 3, H, W)``."""
        tokens: Tensor = self.transformer.forward_features(images)  # type: ignore[operator]
        return tokens[:, 0]

"""Backbones whose weights come from somebody else's file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import nn

from transferbench.errors import UserError
from transferbench.models.backbone import WITH_AUXILIARY_HEADS, Backbone
from transferbench.models.layouts import load_into
from transferbench.models.weights import read_weights
from transferbench.models.zoo import bare_network, entry_of, finished, library_backbone


def foreign_backbone(
    path: str,
    *,
    name: str | None = None,
    network: nn.Module | None = None,
    layout: str | Mapping[str, Any] | None = None,
) -> Backbone:
    """Build a network and load a published file into it: every tensor of the network, and no other.

    Args:
        path: the file, of torch, TorchScript or safetensors.
        name: a model of the zoo, ``timm/NAME`` or ``torchvision/NAME``.
        network: a backbone of the user's own in place of ``name``.
        layout: where the file keeps the tensors: a name in ``zoo.toml``, or a mapping with ``within``, ``prefix``,
            ``beside`` and ``rename``; None to find out.

    Raises:
        UserError: the file cannot be read or could run code, the network is not said or unknown, the file does not fit
            it, with the keys that differ, or it holds values that are not finite.
    """
    content = read_weights(path)
    if (name is None) == (network is None):
        raise UserError(
            f"{path} is no checkpoint of transferbench: say what network it is of, model.name= a model of the zoo "
            "(+experiment=zoo lists them), timm/NAME or torchvision/NAME, or a function of yours in model.network="
        )
    if name is None:
        if not isinstance(network, Backbone):
            raise UserError("model.network: expected a transferbench.models.backbone.Backbone")
        _load(network.net, content, path, given=layout)
        return network
    if "/" in name:
        backbone = library_backbone(name)
        dropped = classifier_of(name, backbone.net)
        _load(backbone.net, content, path, given=layout, usual=("plain",), dropped=dropped)
        return backbone
    entry = entry_of(name)
    net = bare_network(entry)
    dropped = classifier_of(entry.network, net)
    _load(net, content, path, given=layout, usual=entry.layouts, dropped=dropped)
    return finished(entry, net)


def _load(net: nn.Module, content: Any, path: str, **how: Any) -> None:
    """Load the tensors of a file as ``load_into`` does, and see that they are numbers."""
    load_into(net, content, path, **how)
    broken = [name for name, value in net.state_dict().items() if not value.isfinite().all()]
    if broken:
        more = f" and {len(broken) - 1} more" if broken[1:] else ""
        raise UserError(f"{path} holds values that are not finite, in {broken[0]}{more}; get another copy of it")


def classifier_of(reference: str, net: nn.Module) -> Collection[str]:
    """Return the names of the tensors that a library's whole network has and ``net`` has not."""
    library, _, name = reference.partition("/")
    with torch.device("meta"):
        if library == "timm":
            import timm

            whole = timm.create_model(name)
        else:
            import torchvision

            settings = {"init_weights": False} if name in WITH_AUXILIARY_HEADS else {}
            whole = torchvision.models.get_model(name, **settings)
    return set(whole.state_dict()) - set(net.state_dict())

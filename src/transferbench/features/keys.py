"""What stored features depend on, as short strings: weights, network, transform, image set, precision, code."""

from __future__ import annotations

import hashlib
import inspect
import re
from pathlib import Path

import torch
from torch import Tensor, nn

import transferbench
from transferbench.data import images as reading
from transferbench.data.image_set import ImageSet
from transferbench.errors import UserError
from transferbench.features import extract as extraction
from transferbench.features.extract import Precision, Transform
from transferbench.features.rows import Storage
from transferbench.storage import digest_of

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def key_parts(
    backbone: nn.Module,
    images: ImageSet,
    transform: Transform,
    *,
    precision: Precision = "32-true",
    storage: Storage = "float32",
    architecture: str = "",
) -> dict[str, str]:
    """Return all that the features of ``images`` by ``backbone`` depend on; they are stored under its digest.

    ``architecture`` may say more about the network than can be read off it. Raises ``UserError`` for a transform that
    does not tell its settings.
    """
    return {
        "weights": weights_digest(backbone),
        "network": network_digest(backbone),
        "architecture": architecture,
        "transform": described(transform),
        "images": images.digest(),
        "precision": precision,
        "storage": storage,
        "code": digest_of(transferbench.__version__, *(_source(str(m.__file__)) for m in (reading, extraction))),
    }


def weights_digest(module: nn.Module) -> str:
    """Return 16 hexadecimal digits over the names, types, shapes and bytes of all parameters and buffers.

    Buffers that a checkpoint leaves out count too. A ResNet-50 (102 MB) takes a small part of a second.
    """
    total = hashlib.sha256()
    for name, value in sorted({**dict(module.named_buffers()), **module.state_dict()}.items()):
        if not isinstance(value, Tensor):  # what a module of the user's adds by get_extra_state
            total.update(digest_of(name, repr(value)).encode("ascii"))
            continue
        total.update(digest_of(name, str(value.dtype), list(value.shape)).encode("ascii"))
        total.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()[:16]


def network_digest(module: nn.Module) -> str:
    """Return a digest of what two networks with the same weights may differ in.

    That is the structure as printed, the plain public attributes of every submodule, and the code of their classes
    (but not torch's). Where a module keeps a count in such an attribute, its features are never found again.
    """
    plain = [
        [name, {key: value for key, value in vars(part).items() if _is_setting(key, value)}]
        for name, part in module.named_modules()
    ]
    classes = {type(part) for part in module.modules()}
    sources = sorted(_class_source(kind) for kind in classes if kind.__module__.split(".")[0] != "torch")
    return digest_of(_ADDRESS.sub("", repr(module)), plain, sources)


def described(transform: Transform) -> str:
    """Return the printed form of ``transform`` and a digest of its class's code.

    Raises:
        UserError: it is printed with an address in memory, as a function or a class without ``__repr__`` is.
    """
    text = repr(transform)
    if _ADDRESS.search(text):
        raise UserError(
            f"the transform {_ADDRESS.sub('', text)} does not tell its settings, so features made with it could not be "
            f"told from others; expected an object whose repr() says them, such as CentreCrop(resize=256, size=224)"
        )
    return f"{text} {_class_source(type(transform))}"


def _is_setting(key: str, value: object) -> bool:
    if key.startswith("_") or key == "training":
        return False
    if isinstance(value, (tuple, list)):
        return all(isinstance(item, (bool, int, float, str)) for item in value)
    return value is None or isinstance(value, (bool, int, float, str))


def _class_source(kind: type) -> str:
    """Return the name of a class and a digest of the file that defines it, where there is such a file."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    try:
        return f"{name}:{_source(inspect.getfile(kind))}"
    except (TypeError, OSError):  # built in, or typed at a prompt
        return name


def _source(file: str) -> str:
    return digest_of(Path(file).read_bytes())

"""The builders of all shapes, gathered from the modules of ``world.shapes``."""

from __future__ import annotations

import importlib
import logging
import pkgutil
import sys
import types
from pathlib import Path

from transferbench.world.parts import Builder

log = logging.getLogger(__name__)


def builders() -> dict[str, Builder]:
    """Return the builder of each concept by lemma."""
    folder = Path(__file__).parent / "shapes"
    name = "transferbench.world.shapes"
    if name not in sys.modules:
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    found: dict[str, Builder] = {}
    for module in pkgutil.iter_modules([str(folder)]):
        try:
            found.update(getattr(importlib.import_module(f"{name}.{module.name}"), "SHAPES", {}))
        except (ImportError, SyntaxError, AttributeError, NameError) as error:
            log.warning("%s: %s", module.name, error)
    return found

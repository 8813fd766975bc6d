"""Errors the way a colleague would say them: what was found, and what to type."""

from __future__ import annotations

import re

import hydra
from hydra import compose
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from transferbench.cli.usage import GROUPS, conf_dir


def sentence(error: BaseException, argv: list[str]) -> str:
    """Say an error the way a colleague would: what was found, and what to type."""
    from transferbench.check import did_you_mean

    text = "\n".join(str(e) for e in (error, error.__cause__) if e is not None)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        known = list(error.options or [])
        return (
            f"{group or 'config'}={option}: no such option{did_you_mean(option, known)}; there are: {', '.join(known)}"
        )
    unknown = re.search(r"Key '[^']+' (?:is not in struct|not in '\w+')\s+full_key: (\S+)", text)
    if unknown:
        path, _, key = unknown[1].rpartition(".")
        return f"{unknown[1]}: no such key{did_you_mean(key, _keys_at(path, argv))}; --cfg job shows all keys"
    kept = [
        line for line in text.splitlines() if line and not re.match(r"\s*(full_key|object_type|reference_type)", line)
    ]
    return "\n".join(dict.fromkeys(kept))


def _keys_at(path: str, argv: list[str]) -> list[str]:
    """Return the keys that stand at ``path`` when only the groups of the command line are composed."""
    groups = [word for word in argv[1:] if re.match(r"\+?(experiment|" + "|".join(GROUPS) + r")=", word)]
    try:
        with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
            node = OmegaConf.select(compose("config", overrides=groups), path) if path else compose("config", groups)
        return [str(key) for key in node]
    except (HydraException, OmegaConfBaseException, TypeError, ValueError):
        return []

"""The knowledge base: one module a fault, its name is the rule's and the fault's; each has a `RULE`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from cloud.diagnosis.rule import Rule


@cache
def load() -> Mapping[str, Rule]:
    """Return all rules by name: those of the modules of this folder."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    return {name: importlib.import_module(f"{__name__}.{name}").RULE for name in names}

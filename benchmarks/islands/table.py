"""The table of islands that the package carries (sim/rtl/islands/partition.py reads it)."""

import json
from collections.abc import Mapping

from benchmarks.islands.train import Trained


def table_text(trained: Trained, made_for: Mapping[str, str]) -> str:
    """JSON, an island a line so that a difference can be read.

    ``made_for``: the digest of the registers' keys (``digest_keys``) of each preset that the table is to serve.
    """
    islands = [f" {json.dumps(name)}: {json.dumps({'always': trained.always(place), 'registers': registers})}"
               for place, (name, registers) in enumerate(trained.islands.items())]
    lines = [f'{{"made_for": {json.dumps(dict(made_for))},', ' "islands": {', ",\n".join(islands) + "},",
             f' "by_enable": {json.dumps(trained.by_enable)},',
             f' "awake": {json.dumps(trained.awake, separators=(",", ":"))}}}']
    return "\n".join(lines) + "\n"

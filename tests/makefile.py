"""The targets of the Makefile, read from its text."""

import re
from pathlib import Path

MAKEFILE = Path(__file__).resolve().parent.parent / "Makefile"


def targets():
    """Every target that can be asked for by name."""
    rules = re.findall(r"^([a-z][a-z0-9 -]*):(?!=)", MAKEFILE.read_text(encoding="utf-8"), re.MULTILINE)
    return list(dict.fromkeys(target for rule in rules for target in rule.split()))

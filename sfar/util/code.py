"""Stub."""
import hashlib
from pathlib import Path


def version(*entries: str) -> str:
    """Stub."""
    h = hashlib.sha256()
    for e in entries:
        h.update((Path(__file__).parents[2] / (e.split(":")[0].replace(".", "/") + ".py")).read_bytes())
    return h.hexdigest()[:16]

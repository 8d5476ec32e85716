"""The record of Table 13: what sub-texts cost to make, and what they are worth.

The paper's columns are of LLMs on the authors' machines. Offline there is no LLM: the calls, tokens and seconds here are those of a *rehearsal*
against a server on this machine that replays bundled sub-texts, badly on purpose; the accuracies are measured (Figure 7b's record).
"""

from __future__ import annotations

import collections
import io
import json
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from sfar.config import Profile, digest, get_profile
from sfar.data.source import dataset, load_clips
from sfar.errors import SfarError
from sfar.studies import fig7b
from sfar.studies.core import record as R
from sfar.subtexts import loopback
from sfar.subtexts.generate import Asker, Question, Settings
from sfar.subtexts.groups import group
from sfar.subtexts.journal import Journal
from sfar.subtexts.visual import frames_of
from sfar.util import code, paths

MAKE = "make reproduce-table13"
FILES = ("sfar/paper/table6.csv", "sfar/paper/table7.csv")  # the prompts that are sent
REPLAYED = "bank"  # the group whose texts the server answers with
VISUAL = ("pull ups", "scene", 3, 8)  # class, group replayed, videos, frames of each


def inputs(profile: Profile) -> str:
    """Hash of all that the record follows from, the record of Figure 7b included."""
    texts = [digest(dict(group(REPLAYED))), digest(dict(group(VISUAL[1])))]
    return R.inputs(profile, code.entry(measure), *FILES, extra=[fig7b.inputs(profile), texts])


def path(profile: Profile) -> Path:
    """Where the record is written."""
    return R.folder(profile) / "table13.json"


def rehearse(journal: Path) -> dict[str, Any]:
    """Ask for every class of the replayed group over HTTP; the raw answers go to ``journal``. Returns what it took.

    Raises ``SfarError`` if an answer does not come back as the replayed texts: the pipeline would be wrong.
    """
    texts = group(REPLAYED)
    with loopback.Loopback(loopback.rehearsal(texts)) as server:
        asker = Asker(Settings("loopback", base_url=server.url, key_variable=""), Journal(journal))
        outcomes = asker.run([Question(c, 1) for c in texts])
        requests = len(server.requests)
    wrong = [
        o.question.name
        for o in outcomes
        if o.texts is None or [t.lower() for t in o.texts] != [t.lower() for t in texts[o.question.name]]
    ]
    if wrong:
        raise SfarError(f"the rehearsal gave other sub-texts than were replayed for {', '.join(wrong)}")
    entries = Journal(journal).entries()
    unusable = collections.Counter(
        e["problem"] or "other than four sub-texts"
        for e in entries
        if e["problem"] or e["attempt"] < max(x["attempt"] for x in entries if x["key"] == e["key"])
    )
    n = len(texts)
    return {
        "replayed": REPLAYED,
        "classes": n,
        "requests": requests,
        "answers": len(entries),
        "unusable": dict(sorted(unusable.items())),
        "unanswered": requests - len(entries),
        "calls_per_class": round(requests / n, 2),
        "tokens_per_class": round(sum(asker.tokens) / n, 1),
        "seconds_per_class": round(sum(e["seconds"] for e in entries) / n, 3),
    }


def rehearse_visual(profile: Profile, journal: Path) -> dict[str, Any]:
    """Table 14's way: 8 frames of each of three drawn videos to a vision model; here to the same server, which replays one text set."""
    name, replayed, count, frames = VISUAL
    clips = load_clips(profile, dataset(profile), "val").manifest
    chosen = [c.path for c in clips.clips if clips.classes[c.label] == name][:count]
    questions = [Question(name, 1, frames_of(clips.root / p, frames), Path(p).name) for p in chosen]
    texts = list(group(replayed)[name])
    with loopback.Loopback(lambda request, count: loopback.Reply(text=loopback.forms(texts)["prompted"])) as server:
        outcomes = Asker(Settings("loopback", base_url=server.url, key_variable=""), Journal(journal)).run(questions)
        arrived = [loopback.images(r) for r in server.requests]
    sizes = {Image.open(io.BytesIO(raw)).size for images in arrived for raw in images}
    return {
        "class": name,
        "replayed": replayed,
        "frames": frames,
        "pictures": sum(map(len, arrived)),
        "sizes": sorted(map(list, sizes)),
        "descriptions": {o.question.video: o.texts for o in outcomes},
    }


def measure(profile: Profile) -> tuple[dict[str, Any], str]:
    """The record and the journal of its rehearsal. The accuracies are Figure 7b's; raises ``SfarError`` where that record is missing or stale."""
    figure = fig7b.load(profile)
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "rehearsal.jsonl"
        took = rehearse(journal)
        visual = rehearse_visual(profile, journal)
        kept = journal.read_text(encoding="utf-8")
    rows = [
        {"group": g["name"], "title": g["title"], "kind": g["kind"], "top1": g["top1"]}
        for g in figure["groups"]
        if g["kind"] != "derived"
    ]
    record = {
        "table": "table13",
        "profile": profile.name,
        "inputs": inputs(profile),
        "seeds": figure["seeds"],
        "rehearsal": took,
        "visual": visual,
        "rows": rows,
        "provenance": R.provenance(MAKE, profile, sum(json.loads(line)["seconds"] for line in kept.splitlines())),
    }
    return record, kept


def load(profile: Profile) -> dict[str, Any]:
    """The written record. Raises ``SfarError`` if there is none or if it is stale."""
    return R.current(path(profile), inputs(profile), MAKE)


def table13(
    profile: str | Profile = "storyboard", source: str = "record", overrides: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The record of Table 13: the written one (``source="record"``) or rehearsed now (``"measure"``)."""
    if not isinstance(profile, Profile):
        profile = get_profile(profile, overrides)
    return R.obtain(source, lambda: load(profile), lambda: measure(profile)[0])


def write(profile: Profile) -> tuple[dict[str, Any], list[Path]]:
    """Measure and write ``table13.json`` and its journal ``rehearsal.jsonl``."""
    record, journal = measure(profile)
    out = path(profile)
    files = [out.with_name("rehearsal.jsonl"), out]
    paths.write_atomic(files[0], journal)
    paths.write_json(files[1], record)
    return record, files

"""Generation as a whole: the real ``openai`` client over real HTTP, every supervised class, a server that fails."""

import collections
import io
import json
import os

import numpy as np
import pytest
from loopback import Loopback, Reply, forms, images, unreliable
from PIL import Image

from sfar.cli.main import main
from sfar.data.transforms import val_indices
from sfar.data.video import probe, read_frames
from sfar.storyboard.render import HEIGHT, WIDTH
from sfar.storyboard.write import truth, write_kinetics
from sfar.subtexts import SubTexts
from sfar.subtexts.generate import Asker, Question, Settings
from sfar.subtexts.groups import CLASSES, group
from sfar.subtexts.journal import Journal
from sfar.subtexts.visual import frames_of

TEXTS = group("bank")


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    """Neither a proxy nor a key of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("OPENAI_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def ask(server, journal, questions):
    asker = Asker(Settings("m", base_url=server.url, key_variable=""), Journal(journal))
    return asker, asker.run(questions)


def lines(journal):
    return [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]


def lower(texts):
    return [t.lower() for t in texts]


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    """The journal, the asker, the outcomes and the number of requests of one run over all classes."""
    journal = tmp_path_factory.mktemp("rehearsal") / "journal.jsonl"
    with pytest.MonkeyPatch.context() as m, Loopback(unreliable(TEXTS)) as server:
        m.setenv("NO_PROXY", "127.0.0.1")
        asker, outcomes = ask(server, journal, [Question(c, 1) for c in TEXTS])
        return journal, asker, outcomes, len(server.requests)


def test_every_class_comes_back_as_it_was_replayed(rehearsed):
    _, _, outcomes, _ = rehearsed
    assert [o.question.name for o in outcomes] == list(CLASSES) and not any(o.problem for o in outcomes)
    assert [lower(o.texts) for o in outcomes] == [lower(TEXTS[c]) for c in CLASSES]


def test_every_request_and_every_answer_is_accounted_for(rehearsed):
    """8 of 25 classes meet trouble first: six requests have no answer, two answers cannot be used."""
    journal, asker, _, requests = rehearsed
    entries = lines(journal)
    assert (requests, asker.requests, len(entries)) == (33, 33, 27)
    last = {e["key"]: e["attempt"] for e in entries}
    assert len(last) == len(CLASSES) and set(last.values()) == {1, 2}
    unusable = collections.Counter(
        e["problem"] or "other than four sub-texts" for e in entries if e["attempt"] < last[e["key"]] or e["problem"]
    )
    assert unusable == {
        "refused by the model: I cannot describe that.": 1,
        "other than four sub-texts": 1,
    }
    used = [e["usage"] for e in entries if e["usage"]]
    assert asker.tokens == [sum(u[k] for u in used) for k in ("prompt_tokens", "completion_tokens")]
    assert len(used) == 27 and round(sum(asker.tokens) / len(CLASSES), 1) == 148.3
    assert all(e["seconds"] >= 0 for e in entries)


def test_a_second_run_asks_nothing(rehearsed):
    journal, _, outcomes, _ = rehearsed
    before = journal.read_bytes()
    with Loopback(unreliable(TEXTS)) as server:
        _, again = ask(server, journal, [Question(c, 1) for c in TEXTS])
        assert server.requests == [] and journal.read_bytes() == before
    assert [o.texts for o in again] == [o.texts for o in outcomes]


def test_a_rehearsal_with_another_set_is_noticed(tmp_path):
    """The comparison above can fail: a server with the texts of other classes is told apart."""
    other = group("shuffled")
    with Loopback(unreliable(other)) as server:
        _, outcomes = ask(server, tmp_path / "journal.jsonl", [Question(c, 1) for c in CLASSES[:3]])
    assert all(lower(o.texts) != lower(TEXTS[o.question.name]) for o in outcomes)


def test_the_commands_over_all_classes(tmp_path, monkeypatch, capsys):
    """``generate`` writes a file that ``check`` finds sound and a run could take."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    with Loopback(unreliable(TEXTS)) as server:
        argv = ["--model", "m", "--classes", "classes.txt", "--base-url", server.url, "--out", "o.json"]
        assert main(["subtexts", "generate", *argv]) == 0
    assert "33 requests" in capsys.readouterr().out
    made = SubTexts.load("o.json")
    assert tuple(made) == CLASSES and all(lower(made[c]) == lower(TEXTS[c]) for c in CLASSES)
    assert main(["subtexts", "check", "o.json", "--classes", "classes.txt"]) == 0
    assert len(lines(tmp_path / "o.json.journal.jsonl")) == 27


@pytest.mark.usefixtures("videos_here")
def test_frames_of_drawn_videos(tmp_path):
    """Table 14's way: 8 frames of each of three videos arrive as pictures of those very frames, in order."""
    write_kinetics(tmp_path / "world", 9, 3, 1, ("pull ups",), workers=1)
    videos = [tmp_path / "world" / p for p, row in truth(tmp_path / "world").items() if row["split"] == "train"]
    texts = list(group("scene")["pull ups"])
    questions = [Question("pull ups", 1, frames_of(v), v.name) for v in videos]
    with Loopback(lambda request, count: Reply(text=forms(texts)["prompted"])) as server:
        _, outcomes = ask(server, tmp_path / "journal.jsonl", questions)
        arrived = {frozenset(images(r)): images(r) for r in server.requests}
    assert [(o.question.video, lower(o.texts)) for o in outcomes] == [(v.name, lower(texts)) for v in videos]
    assert len(arrived) == 3
    for video, question in zip(videos, questions, strict=True):
        pictures = [Image.open(io.BytesIO(raw)) for raw in arrived[frozenset(question.images)]]
        frames = read_frames(video, val_indices(probe(video).frames, 8))
        assert [p.size for p in pictures] == [(WIDTH, HEIGHT)] * 8 and len(frames) == 8
        for picture, frame in zip(pictures, frames, strict=True):
            assert np.abs(np.asarray(picture, float) - frame).mean() < 5, "JPEG costs a few grey levels"

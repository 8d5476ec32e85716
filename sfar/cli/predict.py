"""``sfar predict``: what a model says of videos of one's own."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from sfar.cli import options
from sfar.data.disk import VIDEO_ENDINGS, is_video
from sfar.errors import ConfigError, SfarError, closed, one_line


def _videos(given: list[str]) -> dict[Path, Path]:
    """The files given, and those in the folders given, in order; each with its name below what was given."""
    out: dict[Path, Path] = {}
    for name in given:
        path = Path(name)
        if not os.path.isdir(path):
            out[path] = Path(path.name)  # one that is missing is said when its turn comes, beside the others
            continue
        inside = sorted(p for p in _below(path) if is_video(p.name) and not p.name.startswith("."))
        if not inside:
            raise ConfigError(f"{path}: no video in this folder (files that end in {', '.join(VIDEO_ENDINGS)})")
        out.update({p: p.relative_to(path) for p in inside})
    return out


def _below(folder: Path) -> Iterator[Path]:
    """The files below a folder. Raises ``ConfigError`` for one that cannot be read: its videos would be left out."""

    def refused(e: OSError) -> None:
        raise ConfigError(f"{e.filename}: cannot be read ({e.strerror}); {closed(e)}") from e

    for place, _, files in os.walk(folder, onerror=refused):
        yield from (p for name in files if os.path.isfile(p := Path(place, name)))


def _pictures(videos: dict[Path, Path], where: str) -> dict[Path, Path]:
    """The picture of each video: ``where`` itself of a single one, else a file in this folder, as the videos lie."""
    from sfar.util.paths import check_output

    if not where:
        return {}
    folder = Path(where)
    if len(videos) == 1:
        out = {video: folder for video in videos}
    else:
        out = {video: folder / name.with_suffix(".png") for video, name in videos.items()}
    first: dict[Path, Path] = {}
    for video, picture in out.items():
        if first.setdefault(check_output(picture), video) != video:
            raise ConfigError(f"--plot: {first[picture]} and {video} would both be drawn as {picture}: ask one by one")
    return out


def _answered(path: Path) -> set[str]:
    """The videos that a file of answers has already. A last line that a kill has cut off is taken out of it."""
    from sfar.util.paths import write_atomic

    done: set[str] = set()
    if not path.exists():
        return done
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path}: not the answers of `sfar predict` ({e}); give another --json FILE") from e
    if text and not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        write_atomic(path, text)
    for n, line in enumerate(text.split("\n")[:-1], 1):  # a name may have what else ends a line for Python
        try:
            done.add(json.loads(line)["video"])
        except (ValueError, KeyError, TypeError) as e:
            raise ConfigError(
                f"{path}, line {n}: not an answer of `sfar predict` ({e}); give another --json FILE"
            ) from e
    return done


def _subtexts(a: argparse.Namespace) -> Any:
    from sfar.subtexts import SubTexts
    from sfar.subtexts.source import NAME_ALONE

    return a.subtexts if a.subtexts in ("", NAME_ALONE) else SubTexts.load(a.subtexts)


def _asked(a: argparse.Namespace, names: Sequence[str], n: int, have: Collection[str]) -> dict[str, tuple[str, ...]]:
    """N sub-texts of the classes that have none, from the language model that ``--ask`` names.

    Every answer is kept, so that no class is asked about twice. Raises ``SfarError`` naming the classes that got none.
    """
    from sfar.cli.subtexts import key_of
    from sfar.subtexts.generate import Asker, Question, Settings
    from sfar.subtexts.journal import Journal
    from sfar.subtexts.source import known
    from sfar.util import paths

    lacking = [c for c in names if c not in have and not known(c, n)]
    if not lacking:
        return {}
    file = paths.cache() / "asked.jsonl"
    settings, journal = Settings(a.ask, n, a.base_url, key_of(a)).check(), Journal(file)
    journal.open()
    print(
        f"note: asking {a.ask} for the sub-texts of {', '.join(lacking)}; answers are kept in {file}", file=sys.stderr
    )
    outcomes = Asker(settings, journal).run([Question(c, 1) for c in lacking])
    for o in outcomes:
        if o.texts is None:
            raise SfarError(
                f"{a.ask} gave no usable sub-texts of class {o.question.name!r}: {o.problem}"
                f"{f' ({o.advice})' if o.advice else ''}; write them into a file (--subtexts FILE), or leave them out "
                "(--subtexts name)"
            )
    return {o.question.name: tuple(o.texts or ()) for o in outcomes}


def _predict(a: argparse.Namespace) -> int:
    from tqdm import tqdm

    from sfar.cli.subtexts import read_classes
    from sfar.errors import VideoError
    from sfar.recognizer import ZERO_SHOT, load
    from sfar.subtexts.source import NAME_ALONE
    from sfar.util.paths import check_output

    videos, answers = _videos(a.video), Path(a.json) if a.json else None
    pictures = _pictures(videos, a.plot)
    if answers:
        check_output(answers)
    done = _answered(answers) if answers else set()
    classes = read_classes(a.classes)[1] if a.classes else None
    subtexts = _subtexts(a) or None
    model = load(a.checkpoint or ZERO_SHOT, a.profile)
    if a.ask and classes is not None and subtexts != NAME_ALONE:
        have = {**model.texts, **(subtexts or {})}
        subtexts = {**_asked(a, classes, model.profile.model.n_subtexts, have), **(subtexts or {})} or None
    bad, todo = [], [v for v in videos if str(v) not in done]
    if done:
        print(f"{len(videos) - len(todo)} of {len(videos)} videos are in {answers} already")
    with tqdm(total=len(todo), unit="video", disable=len(todo) < 2) as bar:
        for video in todo:
            try:
                found = model.predict(video, classes, subtexts)
            except VideoError as e:
                # The reader speaks of lists and data roots: here the name itself was given.
                bad.append(str(e) if os.path.lexists(video) else f"{video}: no such file")
                bar.update()
                continue
            bar.clear()
            print(
                f"{one_line(str(video))}  " + ", ".join(f"{name} {100 * p:.1f} %" for name, p in found.top(a.top)),
                flush=True,
            )
            if answers:
                # A name on disk need not be text: JSON reads what stands for such bytes as it was.
                with answers.open("a", encoding="utf-8", errors="backslashreplace") as f:
                    f.write(json.dumps(found.to_json(a.top), ensure_ascii=False) + "\n")
            if a.plot:
                _save(found.plot(), pictures[video])
            bar.update()
    for line in bad:
        print(f"left out: {line}", file=sys.stderr)
    return int(bool(bad))


def _save(figure: Any, path: Path) -> None:
    import matplotlib.pyplot as plt

    from sfar.render import style

    style.save(figure, path)
    plt.close(figure)


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command to the ``sfar`` parser; ``command`` is the parser's own helper."""
    p = command("predict", _predict, "Recognise the action in videos of your own, one line each.")
    p.add_argument("video", nargs="+", metavar="VIDEO", help="a video, or a folder of videos")
    p.add_argument(
        "--classes", default="", metavar="A,B,C|FILE", help="class names, a file of them or a label set's name"
    )
    p.add_argument(
        "--checkpoint",
        default="",
        metavar="FILE",
        help="of `sfar train`, or storyboard, the bundled one (default: zero-shot CLIP)",
    )
    p.add_argument("--profile", default="", help="of zero-shot CLIP: storyboard (default) or paper (ViT-B/16)")
    p.add_argument(
        "--subtexts",
        default="",
        metavar="FILE|name",
        help="of the classes; name: go by the class names alone (default: the checkpoint's, else the bundled ones)",
    )
    p.add_argument(
        "--ask",
        default="",
        metavar="MODEL",
        help="a language model, such as gpt-4o, that is asked for the sub-texts of classes that have none (its key: "
        "OPENAI_API_KEY)",
    )
    p.add_argument("--base-url", default=None, metavar="URL", help="of --ask: another server than OpenAI's")
    p.add_argument("--key-env", default=None, metavar="NAME", help="of --ask: the environment variable with the key")
    p.add_argument("--top", type=options.positive, default=3, metavar="K", help="classes that are shown (default: 3)")
    p.add_argument("--json", default="", metavar="FILE", help="append a line a video; those in it are not asked again")
    p.add_argument(
        "--plot", default="", metavar="PNG|DIR", help="frames with their weights; of several videos a folder"
    )

"""Which file on disk is which entry of a list: in the places that a layout has, else wherever it is unambiguous.

A file is an entry by its name without endings. Where the documented places have none of the listed videos, the whole
tree is looked through: what is found once is read, and said; what is there several times, or not at all, is an error
that names the folders.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sfar.data.disk import Look, is_video, join, link, look, names_of, stem
from sfar.errors import LayoutError

DEPTH = 5  # folders below the root that are looked through for videos
FOLDERS = 20_000  # at most: a tree of extracted frames can have millions

Match = Callable[[str, str], Hashable | None]  # (folder's name, video's name) -> the entry that it is, if it is one


@dataclass
class VideoFiles:
    """What is on disk: key of a video -> path relative to the root.

    The first path of a key stays; ``twice``: (kept, left out) of video files. ``dangling``: links to what is not there,
    and ``unfinished``: downloads on the way. ``said``: what else ``Manifest.notes`` should say.
    """

    root: Path = Path()
    paths: dict[Hashable, str] = field(default_factory=dict)
    twice: list[tuple[str, str]] = field(default_factory=list)
    dangling: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    holding: bool | None = None  # whether folders with the names of videos hold videos; None: not looked

    def add(self, key: Hashable, path: str) -> None:
        """A video file."""
        if (kept := self.paths.setdefault(key, path)) is not path:
            self.twice.append((kept, path))

    def add_frames(self, key: Hashable, path: str) -> None:
        """A folder of extracted frames: it stands in where there is no video file, and beside one it is nothing odd."""
        if key not in self.paths:
            self.paths[key] = self.within(path)

    def within(self, path: str) -> str:
        """What is read of a folder with a video's name: the one video in it, as some downloaders arrange, or itself.

        The first folder tells for all: 240,000 folders of frames are not looked into.
        """
        if self.holding is None or self.holding:
            videos = [f for f in look(self.root / path).files if is_video(f)]
            self.holding = self.holding or bool(videos)
            named = [f for f in videos if stem(f) == PurePosixPath(path).name]
            if named or len(videos) == 1:
                return join(path, (named or videos)[0])
        return path

    def add_folder(self, place: str, seen: Look, entry: Callable[[str], Hashable | None], key: Callable | None) -> None:
        """The files of a folder: those that are an ``entry`` of the list, and under ``key`` the other videos.

        ``key``: None to leave the others out.
        """
        for file in seen.files:
            if (listed := next((e for n in names_of(file) if (e := entry(n)) is not None), None)) is not None:
                self.add(listed, join(place, file))
            elif key and is_video(file):
                self.add(key(stem(file)), join(place, file))
        self.dangling += [join(place, name) for name in seen.dangling]
        self.unfinished += [join(place, name) for name in seen.unfinished]

    def notes(self) -> tuple[str, ...]:
        """What ``Manifest.notes`` says of second copies, links and unfinished downloads, if there are any."""
        out = []
        if self.twice:
            kept, left = self.twice[0]
            out.append(
                f"{len(self.twice)} video files are second copies and not read (the first: {left}; {kept} is read)"
            )
        return (*out, *self.not_read(), *self.said)

    def not_read(self) -> list[str]:
        """What is there and cannot be a video: links that lead nowhere, unfinished downloads."""
        out = []
        if self.dangling:
            first = self.dangling[0]
            out.append(
                f"{len(self.dangling)} links lead to what is not there (the first: {first} {link(self.root / first)})"
            )
        if self.unfinished:
            out.append(f"{len(self.unfinished)} downloads are not finished (the first: {self.unfinished[0]})")
        return out

    def unnamed(self, listed: Collection[Hashable]) -> tuple[str, ...]:
        """Paths of what is on disk under none of the ``listed`` keys, sorted."""
        return tuple(sorted(path for key, path in self.paths.items() if key not in listed))


def folded(name: str) -> str:
    """A name without spaces, underscores, signs and capital letters, in which the folders of classes differ."""
    return "".join(c for c in name.casefold() if c.isalnum()) or name


def class_folders(
    root: Path,
    places: Sequence[str],
    number: Mapping[str, int],
    listed: Collection[tuple[int, str]],
    key: Callable[[str], str],
) -> tuple[VideoFiles, str]:
    """The videos and folders of frames of the classes under (class, ``key`` of the name without ending).

    They are in ``root/place/<class>/``, then in ``root/place/`` itself where one class alone lists the name, and where
    these have none of the ``listed``, anywhere else below the root (``elsewhere``). ``number``: class folder, as the
    lists have it -> index; spaces, underscores and capital letters do not matter. ``key``: ``str``, or ``str.casefold``
    where capital letters differ between copies. Also returns the first place that has a class folder (the first of all
    where none has): there a missing video belongs. Raises ``DataError`` for a folder that cannot be read,
    ``LayoutError`` for videos found in several folders, or in none.
    """
    classes: dict[str, int | None] = {}
    for name, k in number.items():
        classes[folded(name)] = k if folded(name) not in classes else None
    of_name: dict[str, list[int]] = defaultdict(list)
    for k, name in listed:
        of_name[name].append(k)

    def label(folder: str) -> int | None:
        exact = number.get(folder)
        return exact if exact is not None else classes.get(folded(folder))

    def match(folder: str, name: str) -> tuple[int, str] | None:
        own = label(folder)
        found = of_name.get(key(name), [])
        if own in found or len(found) == 1:
            return (own if own in found else found[0]), key(name)
        return None

    found, home, frames, flat = VideoFiles(root), None, [], []
    for place in places:
        seen = look(root / place)
        flat.append((place, seen))
        for name in seen.folders:
            if (k := label(name)) is None:
                continue
            home = place if home is None else home
            inner = look(root / place / name)
            found.add_folder(
                join(place, name),
                inner,
                lambda n, k=k: (k, key(n)) if (k, key(n)) in listed else None,
                lambda n, k=k: (k, key(n)),
            )
            # <class>/<class>/ comes of unpacking an archive one folder too deep: it is no clip.
            frames += [((k, key(f)), join(place, name, f)) for f in inner.folders if label(f) is None]
    for place, seen in flat:
        found.add_folder(place, seen, lambda n: match("", n), None)
        frames += [(m, join(place, f)) for f in seen.folders if (m := match("", f)) is not None]
    for video, path in frames:
        found.add_frames(video, path)
    if not any(video in found.paths for video in listed):
        elsewhere(found, match, f"{places[0]}/<class>/")
    return found, places[0] if home is None else home


# --- where a layout does not say ---


def walk(root: Path, leave_out: Callable[[str, str], bool]) -> Iterator[tuple[str, Look]]:
    """(relative path, what is in it) of ``root`` and the folders below it, breadth first, each once.

    ``leave_out(parent's name, name)``: a folder into which it does not go, as one of extracted frames. Ends quietly at
    ``DEPTH`` and ``FOLDERS``.
    """
    level, seen_folders = [""], set()
    for _ in range(DEPTH + 1):
        below = []
        for place in level:
            state = os.stat(root / place)
            # Seen already: a link in a circle, or two ways to the same folder.
            if (state.st_dev, state.st_ino) in seen_folders or len(seen_folders) >= FOLDERS:
                continue
            seen_folders.add((state.st_dev, state.st_ino))
            seen = look(root / place)
            yield place, seen
            parent = PurePosixPath(place).name
            below += [join(place, f) for f in seen.folders if not leave_out(parent, f)]
        level = below


def elsewhere(found: VideoFiles, match: Match, expected: str, skip: tuple[str, ...] = ()) -> None:
    """Take into ``found`` the videos that the list names, wherever below the root they lie.

    ``expected``: where the layout has them; ``skip``: how the names of folders begin that are read apart. Raises
    ``LayoutError`` where one of them is in several folders: which is the right one is not ours to say.
    """
    at: dict[Hashable, str] = {}
    home: Counter[str] = Counter()
    frames: list[tuple[Hashable, str]] = []

    def leave_out(parent: str, name: str) -> bool:
        return name.casefold().startswith(skip) or match(parent, name) is not None

    for place, seen in walk(found.root, leave_out):
        parent, here = PurePosixPath(place).name, VideoFiles(found.root)
        here.add_folder(place, seen, lambda name, parent=parent: match(parent, name), None)
        frames += [(m, join(place, f)) for f in seen.folders if (m := match(parent, f)) is not None]
        for key, path in here.paths.items():
            if (first := at.setdefault(key, path)) is not path:
                raise _several(found.root, first, path, expected)
            home[place] += 1
        found.twice += here.twice
        found.dangling = sorted({*found.dangling, *here.dangling})
        found.unfinished = sorted({*found.unfinished, *here.unfinished})
    for key, path in frames:
        if (first := at.setdefault(key, path)) is not path and not (found.root / first).is_file():
            raise _several(found.root, first, path, expected)
        home[str(PurePosixPath(path).parent)] += first is path
    if at:
        found.paths.update(
            {key: path if (found.root / path).is_file() else found.within(path) for key, path in at.items()}
        )
        where = ", ".join(f"{place or '.'}/" for place, _ in home.most_common(3)) + ", ..." * (len(home) > 3)
        found.said.append(f"{len(at)} videos are read from {where}: none is in {expected}")


def _several(root: Path, first: str, second: str, expected: str) -> LayoutError:
    return LayoutError(
        f"{root}: the same listed video is in several folders ({first} and {second}), and none in {expected}: "
        f"keep one of them, or arrange the videos as {expected}"
    )


def others(found: VideoFiles) -> str:
    """What to say where no listed video is there: which videos are, in which folders, or that there is none."""
    home: Counter[str] = Counter()
    example = ""
    for place, seen in walk(found.root, lambda parent, name: False):
        videos = [f for f in seen.files if is_video(f)]
        home[place] += len(videos)
        example = example or (join(place, videos[0]) if videos else "")
    rest = "".join(f"; {s}" for s in found.not_read())
    if not example:
        return f"no video file is anywhere below it{rest}"
    where = ", ".join(f"{n} in {place or '.'}/" for place, n in home.most_common(3) if n)
    return f"{home.total()} others are ({where}; for instance {example}), under other names than those{rest}"

"""Which data set a profile means and what is in it: the folder, its fingerprint, its lists, the clips of a split."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sfar.config import DRAWN, LAYOUT_NAMES, OWN, Profile, check, digest, few_shot, layout, turned_knobs
from sfar.data import fewshot, layouts
from sfar.data.disk import kept, once
from sfar.data.manifest import Manifest
from sfar.data.store import VideoClips, again, clips_of, decoded_bytes, examine, read_index
from sfar.data.transforms import scale_size
from sfar.data.video import reader_key
from sfar.errors import DataError
from sfar.storyboard import sets
from sfar.storyboard.knobs import PLAIN, Knobs
from sfar.storyboard.write import write_kinetics
from sfar.util import cache, paths, processes

# Test videos of each class (``draw``) without which a set is not drawn; one, where nothing else is said. Charades:
# each of its twenty classes is to be seen in one of ten times as many videos, of which some show none.
FEWEST = {"charades": 3}

# The lists that name every video of a data set once: what is decoded, and what its fingerprint is made of.
_SOURCES = {
    "kinetics400": ("train", "val"),
    "ucf101": ("all",),
    "hmdb51": ("all",),
    "charades": ("train-videos", "val"),
    OWN: ("all",),
}


@dataclass(frozen=True)
class Dataset:
    """A data set on disk.

    ``layout``: one of ``config.LAYOUT_NAMES``, or ``config.OWN``; ``fingerprint``: of its videos, "" where they were
    not looked at; ``drawn``: whether it is the storyboard world's, so that the truth about it is known; ``lists``: hash
    of what its training and validation lists name, "" for a drawn one, whose fingerprint says it.
    """

    layout: str
    root: Path
    fingerprint: str
    classes: tuple[str, ...]
    drawn: bool
    lists: str = ""

    def manifest(self, split: str, fold: int = 1) -> Manifest:
        """One of its lists, read once in a process; a changed folder is another ``Dataset``.

        Errors as ``layouts.read``.
        """
        if not self.fingerprint:  # what is in the folder now may be something else later
            return layouts.read(self.layout, self.root, split, fold)
        return _read(self.layout, self.root, self.fingerprint + self.lists, split, fold)


# The lists that this process has read, by layout, root, version of the content, split, fold.
_lists: dict[tuple[str, Path, str, str, int], Manifest] = {}


def _read(which: str, root: Path, version: str, split: str, fold: int) -> Manifest:
    key = (which, root, version, split, fold)
    if key not in _lists:
        _lists[key] = layouts.read(which, root, split, fold)
    return _lists[key]


def draw(folder: Path, which: str, seed: int, train: int, val: int, knobs: Knobs = PLAIN) -> None:
    """Write the storyboard world in the layout ``which`` (one of ``config.LAYOUT_NAMES``): so many videos per class."""
    if which == "kinetics400":
        write_kinetics(folder, seed, train, val, knobs=knobs)
    elif which == "ucf101":
        sets.write_ucf101(folder, seed, train, val, knobs=knobs)
    elif which == "hmdb51":
        sets.write_hmdb51(folder, seed, train, val, knobs=knobs)
    else:  # a video has about two of the twenty classes
        sets.write_charades(folder, seed, 10 * train, 10 * val, knobs=knobs)


def knobs_of(profile: Profile) -> Knobs:
    """What the profile turns in the drawn world."""
    return Knobs(**turned_knobs(profile.data))


def is_drawn(profile: Profile) -> bool:
    """Whether the profile's data sets are the storyboard world's."""
    return not profile.data.root and profile.data.dataset in DRAWN


def sets_in(root: str) -> tuple[Path, tuple[str, ...]]:
    """The folder ``data.root``, and the data sets that it holds under the names of their layouts.

    The names are of ``config.LAYOUT_NAMES``; none where the folder is one of the data sets itself.
    """
    folder = Path(os.path.expanduser(root)).resolve()
    # Listed, not asked for: where case is ignored, Charades' folder of lists would be taken for charades/.
    names = {p.name for p in folder.iterdir() if p.is_dir()} if root and folder.is_dir() else set()
    return folder, tuple(n for n in LAYOUT_NAMES if n in names)


def root_of(profile: Profile, which: str) -> Path:
    """The folder of the data set in the layout ``which``: in ``data.root`` under that name, else ``data.root`` itself.

    Raises ``DataError`` where ``data.root`` holds others only.
    """
    folder, held = sets_in(profile.data.root)
    if which == OWN:  # whose classes may be called anything
        return folder
    if held and which not in held:
        raise DataError(
            f"{folder} (data.root) holds {', '.join(held)}, but no folder {which}: put the data set, or a link to it, "
            f"there under this name; `sfar data layout {which}` shows what it must look like"
        )
    return (folder / which).resolve() if held else folder


def need_sets(profile: Profile, names: tuple[str, ...]) -> None:
    """Raise ``DataError`` naming what is missing where ``data.root`` does not hold all of ``names``.

    ``names``: of ``config.LAYOUT_NAMES``, each to be a sub-folder.
    """
    folder, held = sets_in(profile.data.root)
    if missing := [n for n in names if n not in held]:
        where = (
            f"{folder} (data.root) has no sub-folder {', '.join(missing)}"
            if profile.data.root
            else "data.root is empty"
        )
        raise DataError(
            f"{where}: several data sets are needed here. Give one folder with DATA=/path (data.root) that holds each, "
            f"or a link to it, under its name: {', '.join(names)}; `sfar data layout {missing[0]}` shows what it must "
            "look like"
        )


def dataset(profile: Profile) -> Dataset:
    """The data set of a profile: drawn now or found in the cache, or the folder that ``data.root`` names (``root_of``).

    A folder is looked at anew with every call, in one command once (``disk.once``). Raises ``DataError``.
    """
    d, which = profile.data, layout(profile)
    if d.root:
        return _on_disk(which, root_of(profile, which), d.fold)
    if d.dataset not in DRAWN:
        raise DataError(
            f"profile {profile.name!r} needs the data set {d.dataset} on disk: give its folder with --root DIR "
            f"(of make: DATA=/path; data.root); `sfar data layout {d.dataset}` shows what it must look like"
        )
    stage = "world" if which == "kinetics400" else "sets"
    knobs = knobs_of(profile)
    inputs = [d.seed, d.train_per_class, d.val_per_class] + ([which] if stage == "sets" else [])
    inputs += [knobs.turned] if knobs.turned else []
    root = cache.folder(
        stage,
        cache.key(stage, inputs),
        lambda folder: draw(folder, which, d.seed, d.train_per_class, d.val_per_class, knobs),
    )
    fingerprint = cache.key(stage, inputs, with_libraries=False)
    return Dataset(which, root, fingerprint, _read(which, root, fingerprint, "val", 1).classes, True)


def _on_disk(which: str, root: Path, fold: int) -> Dataset:
    """A real data set, of which all lists that a run can ask for are read now."""
    with once():
        return kept(("data set", which, root, fold), lambda: _look_at(which, root, fold))


def _look_at(which: str, root: Path, fold: int) -> Dataset:
    found = {s: layouts.read(which, root, s, fold) for s in dict.fromkeys((*_SOURCES[which], "train", "val"))}
    sources = [found[s] for s in _SOURCES[which]]
    named = digest([[fewshot.content(found[s]), found[s].missing] for s in ("train", "val")])
    data = Dataset(which, root, _fingerprint(sources), sources[0].classes, False, named)
    _lists.update({(which, root, data.fingerprint + data.lists, s, fold): m for s, m in found.items()})
    return data


def _fingerprint(manifests: list[Manifest]) -> str:
    """Hash of every listed video's path, labels, size and time of change: another copy of the data is another input."""
    h = hashlib.sha256()
    for m in manifests:
        root = str(m.root)
        for c in m.clips:
            s = os.stat(os.path.join(root, c.path))
            names = [m.classes[k] for k in c.labels] if m.multi_label else m.classes[c.label]
            # A name on disk need not be text.
            h.update(f"{c.path}\t{names}\t{s.st_size}\t{s.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return h.hexdigest()[:16]


def training_profile(profile: Profile) -> Profile:
    """The profile whose data set has the training videos: another drawing of the world for ``data.replicate`` > 0."""
    d = profile.data
    if not d.replicate:
        return profile
    # Its test videos are not used: as few as make it a whole data set.
    few = FEWEST.get(layout(profile), 1)
    other = dataclasses.replace(d, seed=1000 * d.seed + d.replicate, replicate=0, val_per_class=few)
    return check(dataclasses.replace(profile, data=other))


def training_data(profile: Profile, data: Dataset) -> Dataset:
    """The data set that has the training videos; ``data`` is the one that has the test videos."""
    return dataset(training_profile(profile)) if profile.data.replicate else data


def by_name(profile: Profile, name: str) -> Profile:
    """The profile on another data set, drawn or beside its own in ``data.root``: the test side of a zero-shot run.

    First fold, all clips.
    """
    root = profile.data.root if name in LAYOUT_NAMES else ""
    other = dataclasses.replace(
        profile.data, dataset=name, root=root, fold=1, shots=0, shot_draws=1, shot_list="", replicate=0
    )
    return check(dataclasses.replace(profile, data=other))


def all_clips(profile: Profile) -> Profile:
    """The profile without its few-shot fields: on the full training list."""
    whole = dataclasses.replace(profile.data, shots=0, shot_draws=1, shot_list="")
    return dataclasses.replace(profile, data=whole)


def few_shot_manifest(profile: Profile, data: Dataset) -> Manifest:
    """The training list: all of it, or K clips of each class (section 4.1, few-shot).

    Raises ``DataError`` for a class with fewer.
    """
    d = profile.data
    full = data.manifest("train", d.fold)
    if d.shot_list:
        return fewshot.load_list(Path(os.path.expanduser(d.shot_list)), full)
    if d.shot_draws > 1:
        return fewshot.union(full, d.shots, d.shot_draws, d.shot_seed)
    return fewshot.choose(full, d.shots, d.shot_seed) if d.shots else full


def load_clips(profile: Profile, data: Dataset, split: str) -> VideoClips:
    """The clips of a split ("train" as the few-shot fields say), decoded once where that fits on the disk.

    ``data.decode_limit`` says what fits. A frozen tower sees each training video once: they are not decoded beforehand.
    ``data``: of the split (``training_data``). Raises ``DataError`` (see ``store.check_bad``).
    """
    fold = profile.data.fold
    manifest = few_shot_manifest(profile, data) if split == "train" else data.manifest(split, fold)
    listed = _SOURCES[data.layout]
    source = listed[0] if len(listed) == 1 or split == "train" else listed[1]
    whole = data.manifest(source, fold)
    short = scale_size(profile.data.image_size)
    place, reader = str(data.root) if not data.drawn else "", profile.data.reader
    keys = {
        d: cache.key("frames", [data.fingerprint, place, source, short, d, *reader_key(reader)]) for d in (True, False)
    }
    decode = (split != "train" or profile.train.train_visual) and _decoded(keys[True], whole, short, profile)
    k = keys[decode]

    def look(into: Path, earlier: Path | None = None) -> None:
        examine(whole, short, into, decode, reader=reader, earlier=earlier)
        _looked.add(k)

    folder = cache.folder("frames", k, look)
    if k not in _looked:
        _look_again(folder, look)
    return clips_of(manifest, short, folder, profile.data.max_bad_share, reader)


_decoding: dict[tuple[str, float], bool] = {}  # by key and limit: what this process has decided


def _decoded(k: str, whole: Manifest, short: int, profile: Profile) -> bool:
    """Whether ``whole`` is to be decoded beforehand, or is already, under the key ``k``.

    A few of its videos are opened to see how large it is.
    """
    limit = profile.data.decode_limit
    if not limit or cache.kept("frames", k):
        return bool(limit)
    if (k, limit) not in _decoding:
        need = decoded_bytes(whole, short, profile.data.reader)
        _decoding[k, limit] = need <= min(1e9 * limit, paths.free(paths.cache()) / 2)
    return _decoding[k, limit]


_looked: set[str] = set()  # keys of what this process has looked at itself


def _look_again(folder: Path, look: Callable[[Path, Path], None]) -> None:
    """Look again at the videos of ``folder`` that an earlier process was refused for the moment.

    The folder is replaced where one of them can be read now. Processes that share a training, or the runs of a study,
    have to find the same clips: they do not try those again that were too slow.
    """
    before, several = read_index(folder)["videos"], processes.launched() or processes.inside()
    if not any(before[p]["kind"] == "unreadable" or not several for p in again(before)):
        return
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        look(Path(place), folder)
        if len(again(read_index(Path(place))["videos"])) < len(again(before)):
            cache.replace(folder, lambda f: shutil.copytree(place, f, dirs_exist_ok=True))


def epoch_repeats(profile: Profile, data: Dataset, chosen: int) -> int:
    """Passes through a few-shot list of ``chosen`` clips in one epoch (``train.few_shot_epoch``)."""
    if not few_shot(profile) or profile.train.few_shot_epoch == "once":
        return 1
    return fewshot.repeats(len(data.manifest("train", profile.data.fold).clips), chosen)

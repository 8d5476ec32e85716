"""Which sub-texts a profile means: the bundled bank, one of the storyboard world's groups, or a file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from sfar.config import Profile, layout
from sfar.errors import ConfigError
from sfar.model.clip import STORYBOARD
from sfar.subtexts.groups import GROUPS, group
from sfar.subtexts.texts import SubTexts, bank_names


@lru_cache(maxsize=16)
def _bank(name: str, n: int | None = None) -> SubTexts:
    return SubTexts.load(name, n)


def _file(profile: Profile) -> str:
    """``model.subtexts`` with its places filled in.

    Raises ``ConfigError`` naming the file and the command that makes it where such a one is not there.
    """
    m, which = profile.model, layout(profile)
    name = m.subtexts.replace("{n}", str(m.n_subtexts)).replace("{dataset}", which)
    if name != m.subtexts and not Path(name).expanduser().is_file():
        raise ConfigError(
            f"model.subtexts={m.subtexts!r}: there is no file {name}; `sfar subtexts generate --classes {which} "
            f"--n {m.n_subtexts} --model MODEL --out {name}` makes it (or --classes FILE with your class names)"
        )
    return name


def subtexts_of(profile: Profile, classes: tuple[str, ...]) -> SubTexts:
    """The sub-texts ``model.subtexts`` names, for these classes in their order.

    "bank": the bundled set of the first label set that has every class; else one of the storyboard world's groups
    (``subtexts/groups.py``) or the path of a JSON file, in which {n} is N and {dataset} the data set's layout. Raises
    ``ConfigError`` for a class without sub-texts.
    """
    m = profile.model
    if m.subtexts in GROUPS and m.subtexts != "bank":
        texts = group(m.subtexts)
    elif m.subtexts != "bank":
        texts = SubTexts.load(_file(profile), m.n_subtexts)
    else:
        missing = {
            name: [c for c in classes if c not in _bank(name)]
            for name in (*(b for b in bank_names() if b != STORYBOARD), STORYBOARD)
        }
        best = min(missing, key=lambda name: len(missing[name]))
        if missing[best]:
            raise ConfigError(
                f"no bundled label set has all {len(classes)} classes: the nearest, {best!r}, lacks "
                f"{', '.join(map(repr, missing[best][:3]))}{' and others' * (len(missing[best]) > 3)}. Write them with "
                "`sfar subtexts generate` and give the file as model.subtexts"
            )
        texts = _bank(best, m.n_subtexts)
    if texts.n != m.n_subtexts:
        raise ConfigError(f"{texts.source} has N = {texts.n}, not {m.n_subtexts} (model.n_subtexts)")
    return texts.only(classes)

"""Which sub-texts a profile means: the bundled bank, one of the storyboard world's groups, or a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from sfar.config import OWN, Profile, layout
from sfar.errors import ConfigError
from sfar.model.clip import STORYBOARD
from sfar.subtexts.groups import GROUPS, group
from sfar.subtexts.texts import SPATIO, STEPS, SubTexts, bank_names

NAME_ALONE = "name"  # in place of sub-texts: the class name, which leaves nothing but the global text
SHOWN = 3  # classes in a message


@lru_cache(maxsize=64)
def _bank(name: str, n: int | None = None, kind: str = STEPS) -> SubTexts:
    return SubTexts.load(name, n, kind)


@lru_cache(maxsize=32)
def _bank_of(name: str, n: int) -> SubTexts | None:
    """A bundled label set with N texts, None where it has none of that number."""
    try:
        return SubTexts.load(name, n)
    except ConfigError:  # no set of this N in the file: another label set may have one
        return None


def _order() -> tuple[str, ...]:
    """The label sets, that of the drawn world last."""
    return (*(b for b in bank_names() if b != STORYBOARD), STORYBOARD)


def _bundled(name: str, n: int) -> tuple[str, ...] | None:
    return next((t[name] for bank in _order() if (t := _bank_of(bank, n)) is not None and name in t), None)


def known(name: str, n: int) -> bool:
    """Whether a class has N bundled sub-texts in some label set."""
    return _bundled(name, n) is not None


def bundled(name: str, n: int) -> tuple[str, ...]:
    """The bundled sub-texts of a class, from the first label set that has it. Raises ``ConfigError`` where none has."""
    return each([name], n)[name]


def each(
    names: Sequence[str],
    n: int,
    asked: Mapping[str, Sequence[str]] | str | None = None,
    own: Mapping[str, tuple[str, ...]] | None = None,
) -> dict[str, tuple[str, ...]]:
    """N sub-texts of each class on its own, whichever label set it is of.

    Those of ``asked``, of a class that it lacks those of ``own`` and else the bundled ones; ``asked`` = "name": the
    class name in place of them. Raises ``ConfigError`` for classes that have none, and for another number than N.
    """
    if isinstance(asked, str) and asked != NAME_ALONE:
        raise ConfigError(f"subtexts={asked!r}: expected N texts of each class, or {NAME_ALONE!r}")
    given: Mapping[str, Sequence[str]] = {} if asked is None or isinstance(asked, str) else asked
    out, lacking = {}, []
    for name in names:
        if asked == NAME_ALONE:
            out[name] = (name,) * n
            continue
        texts = given[name] if name in given else (own or {}).get(name) or _bundled(name, n)
        if texts is None:
            lacking.append(name)
        elif isinstance(texts, str) or len(texts) != n:
            raise ConfigError(f"subtexts: class {name!r} has {len(texts)}, expected {n} texts (model.n_subtexts)")
        else:
            out[name] = tuple(texts)
    if lacking:
        which = ", ".join(map(repr, lacking[:SHOWN])) + f" and {len(lacking) - SHOWN} more" * (len(lacking) > SHOWN)
        raise ConfigError(
            f"{'subtexts: none of' if given else 'no bundled sub-texts for'} class {which}: give {n} of your own "
            "(subtexts=..., --subtexts FILE; `sfar subtexts generate` asks a language model), or "
            f"{NAME_ALONE!r} to go by the class name alone"
        )
    return out


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


def _covering(classes: tuple[str, ...], advice: str) -> str:
    """The first label set that has every one of ``classes``.

    Raises ``ConfigError`` naming those that the nearest lacks, with what to do.
    """
    missing = {name: [c for c in classes if c not in _bank(name)] for name in _order()}
    best = min(missing, key=lambda name: len(missing[name]))
    if missing[best]:
        raise ConfigError(
            f"no bundled label set has all {len(classes)} classes: the nearest, {best!r}, lacks "
            f"{', '.join(map(repr, missing[best][:3]))}{' and others' * (len(missing[best]) > 3)}. {advice}"
        )
    return best


def scenes_of(classes: tuple[str, ...]) -> SubTexts:
    """OST's spatio descriptors, four things or places that are seen, of ``classes`` in their order.

    They are bundled for the same label sets as the sub-texts. Raises ``ConfigError`` for other classes.
    """
    name = _covering(classes, "A method that looks at scene texts, as OST, can have the classes of one of them alone")
    return _bank(name, kind=SPATIO).only(classes)


def subtexts_of(profile: Profile, classes: tuple[str, ...]) -> SubTexts:
    """The sub-texts ``model.subtexts`` names, for these classes in their order.

    "bank": the bundled set of the first label set that has every class; "name": the class names alone; else one of the
    storyboard world's groups (``subtexts/groups.py``) or the path of a JSON file, in which {n} is N and {dataset} the
    data set's layout. A data set of one's own may have classes of several label sets, and a file for it need not have
    those that are bundled (``each``). Raises ``ConfigError`` for a class without sub-texts.
    """
    m = profile.model
    if m.subtexts == NAME_ALONE:
        return SubTexts(
            each(classes, m.n_subtexts, NAME_ALONE), OWN, None, source="the class names alone", n=m.n_subtexts
        )
    if layout(profile) == OWN and (m.subtexts == "bank" or m.subtexts not in GROUPS):
        file = None if m.subtexts == "bank" else SubTexts.load(_file(profile), m.n_subtexts)
        of_file = [c for c in classes if file is not None and c in file]
        source = f"{len(of_file)} classes of {file.source}, " if file is not None else ""
        source += f"{len(classes) - len(of_file)} classes bundled"
        return SubTexts(each(classes, m.n_subtexts, file), OWN, None, source=source, n=m.n_subtexts)
    if m.subtexts in GROUPS and m.subtexts != "bank":
        texts = group(m.subtexts)
    elif m.subtexts != "bank":
        texts = SubTexts.load(_file(profile), m.n_subtexts)
    else:
        texts = _bank(
            _covering(classes, "Write them with `sfar subtexts generate` and give the file as model.subtexts"),
            m.n_subtexts,
        )
    if texts.n != m.n_subtexts:
        raise ConfigError(f"{texts.source} has N = {texts.n}, not {m.n_subtexts} (model.n_subtexts)")
    return texts.only(classes)

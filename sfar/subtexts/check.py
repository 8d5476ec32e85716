"""What makes a set of sub-texts fit for use: the same rules for the bank, an LLM's answers and a user's own file."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from sfar.data.labels import LABEL_SETS, class_names
from sfar.model.clip import token_ids
from sfar.model.systems import ost
from sfar.storyboard.scripts import ACTIVITIES
from sfar.subtexts.texts import SPATIO, STEPS

WINDOW = 77  # tokens of CLIP's text window, start and end included
_EMPTY = {"a", "an", "the", "of", "some", "to"}
_ENGLISH = "the a an of with on in and to into from at over up down by for is are his her their its"
# What a text encoder is given of a text, by its kind; the template of spatio descriptors is OST's.
TEMPLATES = {STEPS: "{}", SPATIO: ost.SPATIO}
# An English word in -ing before one of these has an object or a place: somebody does something.
_GOVERNED = (
    "a an the his her their its this that these those one's someone something "
    "in on at into onto to from of off over under up down out with through across along around toward towards "
    "by for behind before beside between above below against back forward away"
)
# Words in -ing that are things, or no form of a verb.
_THINGS = (
    "awning bedding building ceiling clothing clearing coating crossing drawing dressing earring filling flooring "
    "frosting icing landing lighting lining opening padding painting paneling piping railing rigging scaffolding "
    "siding sling spring string stuffing swing topping tubing webbing wedding wiring wrapping writing handwriting "
    "thing something anything nothing everything morning evening"
)
# Little words of other languages in Latin letters, none of them an English one.
_FOREIGN = (
    "der das und mit auf eine einen einem einer dem im zum zur vom über durch wird sich beim "  # German
    "le les une et dans avec sur du aux vers puis ses est leur au la "  # French
    "el los las una con del por hacia sobre para mientras al y en su "  # Spanish
    "uma com da dos das em os ao na "  # Portuguese
    "il lo gli della nel sul per di che "  # Italian
    "het een van naar zijn aan de op met "  # Dutch
    "och med ett på till att som og til av "  # Swedish, Danish, Norwegian
    "się oraz przez ve bir ile için dan dengan yang"  # Polish, Turkish, Indonesian
)


def label_set_names(label_set: str) -> tuple[str, ...] | None:
    """The class names that a label set must have, or None for a label set of the user's own."""
    if label_set == "storyboard":
        return tuple(ACTIVITIES)
    return class_names(label_set) if label_set in LABEL_SETS else None


def _stem(word: str) -> str:
    for end in ("ing", "es", "s", "ed"):
        if word.endswith(end) and len(word) - len(end) >= 3:
            word = word[: -len(end)]
            break
    word = word.rstrip("e")
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def meaning(text: str) -> frozenset[str]:
    """The words of a text without order, articles and endings: "Riding a bike" and "ride bikes" are the same."""
    return frozenset(_stem(w) for w in re.findall(r"\w+", text.lower()) if w not in _EMPTY)


def is_step(text: str) -> bool:
    """Whether a text says, as far as its words tell, what somebody does ("tossing dough") and not what is seen.

    A word in -ing is taken for an action by two signs of three: the text begins with it, it is no common name of a
    thing, an object or a place follows. So "drawing a bow" is one, "a drawing on a wall" and "a running track" none.
    """
    words = re.findall(r"[\w'-]+", text.lower())
    things, governed = set(_THINGS.split()), set(_GOVERNED.split())
    for k, word in enumerate(words):
        if len(word) > 4 and word.endswith("ing"):
            # Three signs: no article before it, no thing by its name, an object or a place after it.
            signs = (k == 0) + (word not in things) + (words[k + 1 : k + 2] != [] and words[k + 1] in governed)
            if signs > 1:
                return True
    return False


def problems(name: str, texts: Sequence[str], n: int, kind: str = STEPS) -> list[str]:
    """What is wrong with the sub-texts of one class; nothing for a good set.

    Refused: another number than ``n``, an empty text, one of more than 77 tokens, one that just repeats the class name,
    two that say the same; of spatio descriptors (``kind``) also an action (``is_step``). Their tokens are counted in
    OST's template.
    """
    out = [] if len(texts) == n else [f"{len(texts)} sub-texts instead of {n}"]
    seen: dict[frozenset[str], str] = {}
    for t in texts:
        if any("\ud800" <= c <= "\udfff" for c in t):
            out.append(f"half a character that no file can hold: {t!r}")
            continue
        m = meaning(t)
        if not m:
            out.append(f"an empty sub-text {t!r}")
            continue
        tokens = len(token_ids(TEMPLATES[kind].format(t)))
        if tokens > WINDOW:
            out.append(f"{tokens} tokens, more than CLIP's window of {WINDOW}: {t[:60]!r}")
        if kind == SPATIO and is_step(t):
            out.append(f"an action and not something that is seen: {t!r}")
        if m <= meaning(name):
            out.append(f"just repeats the class name: {t!r}")
        if m in seen:
            out.append(f"twice the same: {seen[m]!r} and {t!r}")
        seen[m] = t
    return out


def validate(
    texts: Mapping[str, Sequence[str]], n: int, expected: Iterable[str] | None, kind: str = STEPS
) -> list[str]:
    """All that is wrong with a whole set of sub-texts, one line each.

    ``problems`` of every class, two classes with the same set, and (where ``expected`` class names are given) a missing
    or an unknown class. ``n``: sub-texts of a class. ``kind``: "steps", or "spatio" for OST's descriptors.
    """
    out = [f"{name!r}: {p}" for name, t in texts.items() for p in problems(name, t, n, kind)]
    sets: dict[frozenset[frozenset[str]], str] = {}
    for name, t in texts.items():
        key = frozenset(meaning(x) for x in t)
        if key in sets:
            out.append(f"{sets[key]!r} and {name!r} have the same set")
        sets.setdefault(key, name)
    if expected is not None:
        expected = list(expected)
        out += [f"{name!r}: missing" for name in expected if name not in texts]
        out += [f"{name!r}: not a class of this label set" for name in texts if name not in set(expected)]
    return out


def _is_foreign(texts: Iterable[str]) -> bool:
    """Whether the texts of a class are, as far as letters and little words tell, not in English."""
    joined = " ".join(texts).lower()
    letters = [c for c in joined if c.isalpha()]
    if 2 * sum(not unicodedata.name(c, "").startswith("LATIN") for c in letters) > len(letters):
        return True
    words = re.findall(r"[^\W\d_]+", joined)
    known, other = set(_ENGLISH.split()), set(_FOREIGN.split())
    foreign = [w for w in words if w in other]
    accented = sum(not w.isascii() for w in words)
    little = len(set(foreign)) > 1 and len(foreign) > sum(w in known for w in words)
    return little or (accented > 1 and 5 * accented > len(words))


def remarks(texts: Mapping[str, Sequence[str]]) -> list[str]:
    """What is no mistake but worth a look, one line each: texts in another script or language than CLIP's English."""
    foreign = [name for name, t in texts.items() if _is_foreign(t)]
    if not foreign:
        return []
    return [
        f"{len(foreign)} of {len(texts)} classes have sub-texts in another script or language than the English that "
        f"CLIP has learned, such as {foreign[0]!r}: {texts[foreign[0]][0][:60]!r}"
    ]

"""What can be said of a configuration field, kept with the field: ``sfar/config.py`` declares each with ``setting``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from sfar.errors import ConfigError


@dataclass(frozen=True)
class Measured:
    """A measured effect by its place in a record: the text is made from the record where it is shown.

    Attributes:
        study: Name of the record.
        field: All readings of the study that change this field alone.
        pair: Two variants of the study: the first against the second.
    """

    study: str
    field: str = ""
    pair: tuple[str, str] | None = None


Effect = str | Measured | tuple[str | Measured, ...]  # text, numbers of a record, or both in turn


@dataclass(frozen=True)
class Reading:
    """One row of DEVIATIONS.md: something open in the paper, and what was read.

    Attributes:
        section: Which of its sections (``sfar/paper/deviations.py``).
        where: The place in the paper; of the storyboard profile: what differs.
        says: What the paper says; of the storyboard profile: the paper profile's value.
        taken: What was read here, and why.
        effect: What the choice does to a number computed here.
        also: Other fields that belong to the same choice.
    """

    section: Literal["model", "subtexts", "loss", "videos", "storyboard", "protocols"]
    where: str
    says: str
    taken: str
    effect: Effect
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """A range that bounds alone cannot say: ``expected`` says it, ``holds`` tests a value."""

    expected: str
    holds: Callable[[Any], bool]


MOST = 2**63 - 1  # of a whole number: torch, numpy and files hold no larger one


@dataclass(frozen=True)
class Setting:
    """What is known of a field; ``setting`` makes it, ``SETTINGS`` has all.

    Attributes:
        doc: What it means, one sentence.
        source: Where the paper profile's value comes from.
        kind: Type of the value, or of each value of a list.
        length: None for a single value, else the number of values, 0 for any number of them.
        optional: Whether None is allowed; ``doc`` says what it means.
        unit: Of what the number is.
        low: Least value that is allowed.
        above: The value has to be more than this.
        high: Greatest value that is allowed.
        choices: The values that are allowed.
        rule: A range of another form.
        free: Why neither of these limits it.
        role: ``"how"`` to train and evaluate, ``"what"`` to run on (the user's choice, no deviation from the paper),
            or of the ``"drawn"`` world only.
        laid_out: Whether it only says how the work is laid out: no number follows from it but by rounding, so that no
            key has it, and a result with another value is the same result.
        protocols: Where the value that a protocol gives instead comes from (``config.by_dataset``): by data set, or
            "few-shot".
        readings: Rows of DEVIATIONS.md that this field switches.
    """

    doc: str
    source: str
    kind: type
    length: int | None
    optional: bool
    unit: str
    low: float | None
    above: float | None
    high: float | None
    choices: tuple[Any, ...]
    rule: Rule | None
    free: str
    role: Literal["how", "what", "drawn"]
    laid_out: bool
    protocols: dict[str, str]
    readings: tuple[Reading, ...]

    @property
    def type_name(self) -> str:
        """The type in words: "int", "2 float", "a list of int"."""
        name = self.kind.__name__
        return name if self.length is None else f"{self.length or 'a list of'} {name}"

    @property
    def expected(self) -> str:
        """The range in words, "" for none."""
        if self.rule:
            return self.rule.expected
        if self.choices:
            return f"one of {', '.join(map(str, self.choices))}"
        if self.low is not None and self.high is not None:
            return f"{self.low} to {self.high}"
        if self.above is not None:
            return f"more than {self.above}"
        return "" if self.low is None else f"at least {self.low}"

    def typed(self, key: str, value: Any) -> Any:
        """``value`` as the field ``key`` holds it: a list as a tuple, a whole number where fractions are as a fraction.

        Raises:
            ConfigError: It has another type; nothing is converted otherwise.
        """
        if value is None and self.optional:
            return None
        if self.length is None:
            out = _number(value, self.kind)
            if type(out) is self.kind:
                return out
        elif isinstance(value, (list, tuple)) and self.length in (0, len(value)):
            items = tuple(_number(v, self.kind) for v in value)
            if all(type(v) is self.kind for v in items):
                return items
        raise ConfigError(f"configuration key {key!r}: expected {self.type_name}, got {value!r}")

    def check(self, key: str, value: Any) -> None:
        """Raise ``ConfigError`` if ``value`` of the field ``key`` is outside its range or above ``MOST``."""
        if type(value) is int and abs(value) > MOST:
            raise ConfigError(
                f"configuration key {key!r}: expected {self.expected or self.type_name}, got a number of "
                f"{value.bit_length()} bits; at most 2**63 - 1 is read"
            )
        if not (self.optional and value is None) and not self._holds(value):
            raise ConfigError(f"configuration key {key!r}: expected {self.expected}, got {value!r}")

    def _holds(self, value: Any) -> bool:
        if self.rule:
            return self.rule.holds(value)
        if self.choices:
            return value in self.choices
        if self.low is None and self.above is None:
            return True
        return (
            math.isfinite(value)
            and (self.low is None or value >= self.low)
            and (self.above is None or value > self.above)
            and (self.high is None or value <= self.high)
        )

    def source_of(self, layout: str, shots: bool) -> str:
        """Where the value in the paper profile comes from, under the protocol of a data set or of few-shot."""
        if shots and "few-shot" in self.protocols:
            return self.protocols["few-shot"]
        return self.protocols.get(layout, self.source)


def _number(value: Any, kind: type) -> Any:
    """A whole number as a fraction where fractions are held and it is not above all of them; anything else as it is."""
    return float(value) if kind is float and type(value) is int and value.bit_length() < 1024 else value


Value = TypeVar("Value")


def setting(
    default: Value,
    doc: str,
    *,
    source: str,
    kind: type | None = None,
    any_length: bool = False,
    optional: bool = False,
    unit: str = "",
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] = (),
    rule: Rule | None = None,
    free: str = "",
    role: Literal["how", "what", "drawn"] = "how",
    laid_out: bool = False,
    protocols: dict[str, str] | None = None,
    reading: Reading | tuple[Reading, ...] = (),
) -> Value:
    """A dataclass field with all that is known of it.

    The type is that of ``default``, or ``kind`` where that does not tell; a tuple has as many values as ``default``
    unless it may have ``any_length``; ``reading`` is one row of DEVIATIONS.md or several. The rest as in ``Setting``.
    """
    many = isinstance(default, tuple)
    known = Setting(
        doc=doc,
        source=source,
        kind=kind or type(default[0] if many else default),
        length=None if not many else 0 if any_length else len(default),
        optional=optional,
        unit=unit,
        low=low,
        above=above,
        high=high,
        choices=choices,
        rule=rule,
        free=free,
        role=role,
        laid_out=laid_out,
        protocols=protocols or {},
        readings=(reading,) if isinstance(reading, Reading) else reading,
    )
    return field(default=default, metadata={"setting": known})

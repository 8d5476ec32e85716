"""The record of Table 2e, Figure 7a and of what each open reading of the paper is worth (DEVIATIONS.md, "measured effect")."""

from __future__ import annotations

from typing import Any

from sfar.config import Profile, layout
from sfar.data.source import dataset, is_drawn
from sfar.errors import ConfigError
from sfar.studies.core import claims, study
from sfar.studies.core.study import FROZEN, Variant
from sfar.subtexts.source import subtexts_of

# Table 2e and Figure 7a: the visual tower fine-tuned, as in the paper. Three of these runs are Table 1's, found again.
TABLE2E = (
    Variant("clip", "Baseline (CLIP)", "clip", zero_shot=True),
    Variant("temporal", "Baseline (Temporal)", "temporal", zero_shot=True),
    Variant("fine", "Fine only", "sfar", (("model.coarse", False),)),
    Variant("coarse", "Coarse only", "sfar", (("model.fine", False),)),
    Variant("both", "Coarse and fine", "sfar", views="4x3", zero_shot=True),
)
FIG7A = tuple(
    Variant(
        f"n{n}",
        f"N = {n}",
        "sfar",
        (("model.n_subtexts", n),),
        **({"views": "4x3", "zero_shot": True} if n == 4 else {}),
    )
    for n in (2, 3, 4, 5)
)
TUNED = (
    Variant("single", "BIKE's head, 6 temporal layers", "single", views="4x3", zero_shot=True),
    Variant("single-0", "BIKE's head without temporal layers", "single", (("model.temporal_layers", 0),)),
    Variant("residual", "SFAR, residual around the FFNs", "sfar", (("model.ffn_residual", True),)),
)

# Readings (of what, title, changed fields), the tower frozen; each against SFAR as it is by default.
READINGS: tuple[tuple[str, str, tuple[tuple[str, Any], ...]], ...] = (
    ("frame temperature (Eq. 7, 9)", "0.01, BIKE's", (("model.frame_temperature", 0.01),)),
    ("frame temperature (Eq. 7, 9)", "0.03", (("model.frame_temperature", 0.03),)),
    ("frame temperature (Eq. 7, 9)", "0.1", (("model.frame_temperature", 0.1),)),
    ("frame temperature (Eq. 7, 9)", "0.3", (("model.frame_temperature", 0.3),)),
    ("frame temperature (Eq. 7, 9)", "1, none as printed", (("model.frame_temperature", 1.0),)),
    ("words that count (Eq. 7, 9)", "start token too", (("model.word_mask", "real"),)),
    ("words that count (Eq. 7, 9)", "all 77 positions, BIKE's", (("model.word_mask", "all"),)),
    ("sum or mean over words (Eq. 7)", "sum, as printed", (("model.coarse_reduce", "sum"),)),
    ("length of frame embeddings (Eq. 8, 10)", "raw", (("model.frame_norm", False),)),
    ("cross-attention (Eq. 4-6)", "multi-head", (("model.attention", "mha"),)),
    ("FFN (Eq. 11)", "none", (("model.ffn", "none"),)),
    ("FFN (Eq. 11)", "with a residual", (("model.ffn_residual", True),)),
    ("lambda (Eq. 14)", "0: text to video alone", (("train.loss_lambda", 0.0),)),
    ("lambda (Eq. 14)", "0.5", (("train.loss_lambda", 0.5),)),
    ("lambda (Eq. 14)", "2", (("train.loss_lambda", 2.0),)),
    ("weight decay (Table 5)", "0.2, BIKE's", (("train.weight_decay", 0.2),)),
    ("prompt (preliminary)", "a photo of a ...", (("model.prompt", "a photo of a {}"),)),
)
LONGER = 3  # times as many epochs, the last of the readings
FROZEN_ROWS = (
    Variant("frozen/vanilla", "Vanilla CLIP (zero-shot)", "vanilla"),
    Variant("frozen/temporal", "Baseline (Temporal)", "temporal", FROZEN),
    Variant("frozen/single", "Single granularity (BIKE)", "single", FROZEN),
    Variant("frozen/fine", "Fine only", "sfar", (*FROZEN, ("model.coarse", False))),
    Variant("frozen/coarse", "Coarse only", "sfar", (*FROZEN, ("model.fine", False))),
    Variant("frozen/both", "SFAR", "sfar", FROZEN),
)


def need_subtexts(profile: Profile, classes: tuple[str, ...]) -> None:
    """Raise one ``ConfigError`` for all N of Figure 7a for which there are no sub-texts of these classes; it says what makes them."""
    missing = {}
    for v in FIG7A:
        p = v.profile(profile, profile.seeds[0])
        try:
            subtexts_of(p, classes)
        except ConfigError as e:
            missing[p.model.n_subtexts] = str(e)
    if missing:
        which = layout(profile)
        told = (
            "; ".join(missing.values())
            if "{n}" in profile.model.subtexts
            else (
                f"{next(iter(missing.values()))}. Write a file for each N with `sfar subtexts generate --classes {which} --n N --model MODEL --out DIR/{which}.nN.json` "
                "and give them as --set 'model.subtexts=DIR/{dataset}.n{n}.json'"
            )
        )
        raise ConfigError(
            f"no sub-texts of N = {', '.join(map(str, missing))} (Figure 7a and Table 4 compare N = 2, 3, 4, 5): {told}"
        )


def readings(profile: Profile) -> tuple[tuple[str, Variant], ...]:
    """What each reading is of, and its variant, named "reading/0" and so on."""
    rows = (*READINGS, ("epochs", f"{LONGER} times as many", (("train.epochs", LONGER * profile.train.epochs),)))
    return tuple(
        (of, Variant(f"reading/{i}", title, "sfar", (*FROZEN, *changes))) for i, (of, title, changes) in enumerate(rows)
    )


def _runs(profile: Profile, workers: int | None) -> dict[str, Any]:
    if not is_drawn(profile):
        need_subtexts(profile, dataset(profile).classes)
    open_ = readings(profile)
    variants = (*TABLE2E, *FIG7A, *TUNED, *FROZEN_ROWS, *(v for _, v in open_))
    by = study.run(profile, variants, profile.seeds, workers, "ablations")
    value = {name: study.hits(runs) for name, runs in by.items()}
    record: dict[str, Any] = {"temperature": by["both"][0]["temperature"], "data": study.about(by["both"])}
    for part, rows in (("table2e", TABLE2E), ("fig7a", FIG7A), ("tuned", TUNED), ("frozen", FROZEN_ROWS)):
        record[part] = [study.row(v, by[v.name]) for v in rows]
    pair = lambda a, b: study.difference(a, b, value[a], value[b])  # noqa: E731
    record["differences"] = [
        pair(a, b)
        for a, b in (
            ("temporal", "clip"),
            ("fine", "clip"),
            ("coarse", "clip"),
            ("both", "clip"),
            ("both", "temporal"),
            ("both", "coarse"),
            ("both", "fine"),
            ("coarse", "fine"),
            ("n3", "n2"),
            ("n4", "n3"),
            ("n5", "n4"),
            ("n5", "n2"),
            ("both", "single"),
            ("both", "single-0"),
            ("single", "single-0"),
            ("residual", "both"),
            ("residual", "single"),
            ("frozen/both", "frozen/vanilla"),
            ("frozen/both", "frozen/temporal"),
            ("frozen/both", "frozen/single"),
            ("frozen/both", "frozen/coarse"),
            ("frozen/both", "frozen/fine"),
        )
    ]
    record["readings"] = [
        {
            "of": of,
            **study.row(v, by[v.name], changes=dict(v.changes[len(FROZEN) :])),
            "difference": pair(v.name, "frozen/both"),
        }
        for of, v in open_
    ]
    find = {(d["name"], d["against"]): d for d in record["differences"]}
    bend = study.difference("n4 - n2", "n5 - n4", (value["n4"] - value["n2"]) / 2, value["n5"] - value["n4"])
    titles = {v.name: v.title for v in variants}
    said = lambda text, source, key: claims.row(
        text, source, titles[key[1]], *(find[key][k] for k in ("mean", "low", "high"))
    )  # noqa: E731
    record["claims"] = [
        said("the temporal baseline beats fine-tuned CLIP", "Table 2e", ("temporal", "clip")),
        said("the fine embedding alone beats fine-tuned CLIP", "Table 2e, section 4.3", ("fine", "clip")),
        said("the coarse embedding alone beats fine-tuned CLIP", "Table 2e, section 4.3", ("coarse", "clip")),
        said("coarse and fine together beat fine-tuned CLIP (paper: +4.6)", "Table 2e, section 4.3", ("both", "clip")),
        said("coarse and fine together beat the temporal baseline", "Table 2e", ("both", "temporal")),
        said("coarse and fine together beat coarse alone", "Table 2e, section 4.3", ("both", "coarse")),
        said("coarse and fine together beat fine alone", "Table 2e, section 4.3", ("both", "fine")),
        said("coarse alone beats fine alone", "Table 2e", ("coarse", "fine")),
        said("accuracy rises from N = 2 to N = 5", "Fig. 7a, section 4.3", ("n5", "n2")),
        claims.row(
            "one sub-text more gains more from N = 2 to 4 than from 4 to 5",
            "Fig. 7a, section 4.3",
            "the gain from 4 to 5",
            *(bend[k] for k in ("mean", "low", "high")),
        ),
    ]
    record["seconds"] = study.seconds(by)
    return record


STUDY = study.Study("ablations", "make reproduce-table2e", _runs)

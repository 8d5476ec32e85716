"""The audit: rounding against brute force, every check can fail, nothing found is missing, all forms say the same."""

import copy
import csv
import dataclasses
import inspect
import io
import itertools
import random
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest

from sfar import paper
from sfar.config import get_profile
from sfar.data import transforms
from sfar.errors import SfarError
from sfar.paper import audit
from sfar.paper.audit import Cell, Tables, rows
from sfar.studies import ablations, few_shot
from sfar.studies import audit as study
from sfar.studies.audit import STUDY
from sfar.studies.core import page
from sfar.studies.core.record import Contrast, Record, Row
from sfar.training import train
from sfar.util import paths

COUNTED = study.counted()
ROWS = {r.id: r for r in audit.statements(Tables(), COUNTED)}


def cell(text):
    return Cell("table1", 0, "top1", text)


def rounds_to(value, printed, digits="0.1"):
    """Whether some usual rule prints ``value`` as ``printed``."""
    return any(
        Decimal(str(value)).quantize(Decimal(digits), rule) == Decimal(printed)
        for rule in (ROUND_HALF_UP, ROUND_HALF_EVEN)
    )


# --- rounding --------------------------------------------------------------------------------------------------------


def test_the_half_digit_of_a_cell():
    for text, half in (("84.5", "0.05"), ("84.52", "0.005"), ("312", "0.5"), ("+5.4", "0.05"), ("8.25e4", "0.005")):
        assert cell(text).half == Fraction(half)
    assert cell("-2.8").number == Fraction(-14, 5) and cell("5e-6").number == Fraction(5, 10**6)


OFFSETS = [Decimal(x) for x in ("-0.0499", "-0.025", "0", "0.025", "0.0499")]


@pytest.mark.parametrize("seed", range(40))
def test_a_difference_against_all_that_could_be_printed_so(seed):
    rng = random.Random(seed)
    a, b = (f"{rng.randint(300, 999) / 10:.1f}" for _ in range(2))
    p = Decimal(a) - Decimal(b) + Decimal(rng.choice(("0", "0.1", "-0.1", "0.2", "-0.2", "5.6")))
    verdict = rows.judge(cell(str(p)), *rows.linear([(1, cell(a)), (-1, cell(b))]))
    reachable = any(rounds_to(Decimal(a) + x - Decimal(b) - y, str(p)) for x, y in itertools.product(OFFSETS, OFFSETS))
    assert (verdict == "right") == rounds_to(Decimal(a) - Decimal(b), str(p))
    assert (verdict != "wrong") == reachable


@pytest.mark.parametrize("seed", range(40))
def test_an_average_against_all_that_could_be_printed_so(seed):
    rng = random.Random(seed)
    cells = [f"{rng.randint(300, 999) / 10:.1f}" for _ in range(3)]
    mean = sum(map(Decimal, cells)) / 3
    p = mean.quantize(Decimal("0.1")) + Decimal(rng.choice(("0", "0.1", "-0.1", "0.2", "-0.2")))
    verdict = rows.judge(cell(str(p)), *rows.linear([(Fraction(1, 3), cell(c)) for c in cells]))
    reachable = any(
        rounds_to(sum(Decimal(c) + x for c, x in zip(cells, xs, strict=True)) / 3, str(p))
        for xs in itertools.product(OFFSETS, repeat=3)
    )
    assert (verdict == "right") == rounds_to(mean, str(p))
    assert (verdict != "wrong") == reachable


def test_a_tie_may_be_rounded_either_way():
    terms = rows.linear([(Fraction(1, 2), cell("84.4")), (Fraction(1, 2), cell("84.5"))])
    assert [rows.judge(cell(p), *terms) for p in ("84.4", "84.5", "84.3", "84.6", "84.2")] == [
        "right",
        "right",
        "wrong",
        "wrong",
        "wrong",
    ]


@pytest.mark.parametrize(
    "pair",
    [
        ("71.0", "76.3"),
        ("98.6", "97.4"),
        ("47.2", "50.0"),
        ("89.2", "94.6"),
        ("100.0", "100.0"),
        ("33.3", "66.7"),
        ("0.0", "3.1"),
    ],
)
def test_class_sizes_against_every_count(pair):
    def fits(n, text, rules):
        return any(
            (Decimal(100 * k) / n).quantize(Decimal("0.1"), rule) == Decimal(text)
            for k in range(n + 1)
            for rule in rules
        )

    rounded = [
        n
        for n in range(1, 121)
        if all(fits(n, t, (ROUND_HALF_UP, ROUND_HALF_EVEN)) or (fits(n, t, (ROUND_DOWN,)) and _tie(n, t)) for t in pair)
    ]
    assert rows.class_sizes([cell(t) for t in pair], 120) == rounded
    assert rows.class_sizes([cell(t) for t in pair], 120, cut=True) == [
        n for n in range(1, 121) if all(fits(n, t, (ROUND_DOWN,)) for t in pair)
    ]


def _tie(n, text):
    """Whether some count is exactly half a digit above ``text``: a tie that rounding down would print so."""
    return any(Fraction(100 * k, n) == Fraction(text) + Fraction(1, 20) for k in range(n + 1))


# --- every check can fail --------------------------------------------------------------------------------------------

# Nothing printed decides these: the verdict rests on what the paper leaves out, or on a formula.
GIVEN = {
    "temperature",
    "weight-decay",
    "r2",
    "tpp-direction",
    "table3-frames",
    "kinetics-seconds",
    "fig1-stand",
    "class-aware",
    "fig7a",
    "text-ffn",
}


SEVERAL = {
    "table1-backbones",
    "prefix",
    "ost-twice",
    "table12-shots",
    "below-clip",
    "params-others",
    "table8-mean-coarse",
    "table8-mean-fine",
    "table8-mean-fusion",
}  # more than one cell at once


def changed(c, text):
    rows = {name: table if name != c.table else copy.deepcopy(table) for name, table in Tables().rows.items()}
    rows[c.table][c.index][c.column] = text
    return Tables(rows)


def others(c):
    """Other texts that this cell could have held."""
    try:
        value, digits = float(c.text), len(c.text.partition(".")[2]) if "e" not in c.text else 0
    except ValueError:
        return {"✓": ["✗"], "✗": ["✓"]}.get(c.text, ["ViT-H/15", "7x9", "five parts, none the same", "GPT-9", "None"])
    if "e" in c.text:
        return ["7e-3", "5e-5", "5e-6"]
    return [f"{value + d:.{digits}f}" for d in (-2 * value, 7, -7, 0.7, -0.7, 2, -2, -3, 13, 60, -60, 500, -6000)]


BUILDER = {r.id: build for build in (m.build for m in audit.MODULES) for r in build(Tables(), COUNTED)}


@pytest.mark.parametrize("name", [n for n, r in ROWS.items() if r.cells and n not in GIVEN | SEVERAL])
def test_a_changed_cell_changes_the_verdict(name):
    row = ROWS[name]
    for c in row.cells:
        for text in dict.fromkeys([*others(c), *(x.text for x in row.cells[:8])]):
            try:
                again = {r.id: r for r in BUILDER[name](changed(c, text), COUNTED)}
            except (SfarError, ValueError, KeyError, ZeroDivisionError):  # a table that is no table any more
                continue
            if name in again and again[name].verdict != row.verdict:
                return
    raise AssertionError(f"no change of its cells changes the verdict of {name}")


def test_what_no_cell_decides():
    assert {n for n, r in ROWS.items() if r.cells and n in GIVEN} == GIVEN
    better = dataclasses.replace(COUNTED, tpp_slope={"printed": 1.0, "diverse": 1.0})
    assert next(r for r in audit.statements(Tables(), better) if r.id == "tpp-direction").verdict == "right"
    rows = copy.deepcopy(Tables().rows)
    for row in rows["table1"]:
        row["backbone"] = "ViT-B/16"
        row["params_m"] = {"ST-Adapter": "93.2", "EVL": "119.0", "ActionCLIP": "105.1"}.get(
            row["method"], row["params_m"]
        )
    for row in rows["figure8"]:
        row["text"] = "This action is " + row["text"]
    for a, b in zip(
        [r for r in rows["table3"] if r["method"] == "OST" and r["shots"] == "2"],
        [r for r in rows["table12"] if r["method"] == "OST"],
        strict=True,
    ):
        b["value"] = b["value"] and a["value"]
    for row in rows["table12"]:
        row["shots"] = "2" if row["method"] != "VideoPrompt" else "4"
    for row in rows["table3"]:
        if (row["method"], row["dataset"]) == ("Vanilla CLIP", "Kinetics-400"):
            row["value"] = "10.0"
    for row in rows["table8"]:
        row["top1"] = {"Single": "83.2", "Coarse": "83.5", "Fine": "82.7", "Fusion": "84.5"}[row["method"]]
    assert {r.verdict for r in audit.statements(Tables(rows), COUNTED) if r.id in SEVERAL} == {"right"}
    heavier = dataclasses.replace(
        COUNTED,
        gmacs={k: 2 * v for k, v in COUNTED.gmacs.items()},
        params={k: v + 3 for k, v in COUNTED.params.items()},
    )
    again = {r.id: r.verdict for r in audit.statements(Tables(), heavier)}
    assert {again[n] for n in ("gflops-b16", "gflops-bike-l14", "gflops-l14", "params-b16", "params-bike-b16")} == {
        "wrong"
    }


def test_a_missing_row_is_named():
    rows = Tables().rows
    with pytest.raises(SfarError, match=r"table9.csv: expected one cell .* found 0"):
        audit.statements(Tables({**rows, "table9": [r for r in rows["table9"] if r["method"] != "BIKE"]}), COUNTED)


# --- nothing is missing ----------------------------------------------------------------------------------------------

# What the paper contradicts or leaves open: by subject, the statements that must be there.
OPEN = {
    "learning rate": {"lr"},
    "weight decay": {"weight-decay"},
    "number of sub-texts": {"n"},
    "loss": {"loss-sign", "loss-temperature", "loss-b", "loss-directions", "lambda"},
    "average over k_b": {"loss-mean"},
    "averages printed as sums": {"averages"},
    "direction of the non-uniform score": {"nus-direction"},
    "top 10 %": {"top-actions"},
    "TPP": {"tpp-direction", "linear"},
    "sum over words": {"coarse-sum"},
    "temperature": {"temperature"},
    "words": {"words"},
    "prompts": {"prompt", "prefix"},
    "FFN": {"ffn", "ffn-residual"},
    "few-shot warm-up": {"fewshot-warmup"},
    "few-shot lists": {"fewshot-draw", "fewshot-epoch"},
    "Charades, BIKE": {"table2a-bike", "charades-map"},
    "Table 1, others": {"bike-b16", "xclip-b16"},
    "GLOPs": {"glops"},
    "below CLIP": {"below-clip"},
    "attention": {"attention"},
    "frames": {"frame-norm"},
    "zero-shot": {"zero-shot-protocol"},
    "GFLOPs": {"gflops-b16", "gflops-l14", "gflops-bike-l14"},
    "parameters": {"params-b16", "params-l14", "params-bike-b16", "params-bike-l14"},
}


@pytest.mark.parametrize("subject", OPEN)
def test_every_open_point_is_a_row_with_evidence_and_a_reading(subject):
    for name in OPEN[subject]:
        row = ROWS[name]
        assert row.found and row.where and (row.reading or row.id == "params-bike-l14" or row.id == "params-bike-b16")
        assert row.effect or row.measure or row.verdict == "right", (
            "what the reading changes, or how it would be measured"
        )


def test_every_number_in_the_text_and_every_row_with_numbers_is_used():
    used = {(c.table, c.index) for r in ROWS.values() for c in r.cells}
    tables = Tables()
    texts = {"table7", "table14", "figure4", "figure7a"}  # no numbers of their own
    unused = [
        (name, row.get("source_row") or row["id"])
        for name, rows in tables.rows.items()
        if name not in texts
        for i, row in enumerate(rows)
        if (name, i) not in used
    ]
    assert [u for u in unused if u[1] != "Table 3, row 3"] == [] and len(unused) == 4  # VideoPrompt's four empty cells
    assert all(
        tables.rows["table3"][i]["value"] is None
        for i in range(len(tables.rows["table3"]))
        if ("table3", i) not in used
    )


def test_rows_are_well_formed():
    assert len(ROWS) == len(audit.statements(Tables(), COUNTED)), "an id stands twice"
    profile = get_profile("paper")
    for r in ROWS.values():
        assert r.part in audit.PARTS and r.verdict in audit.VERDICTS and r.statement and r.found
        assert not r.measure or r.measure[0] in study.QUOTED
        if r.field:
            node = profile
            for part in r.field.split("."):
                node = getattr(node, part)
    assert {r.part for r in ROWS.values()} == set(audit.PARTS)


@pytest.mark.parametrize(
    "name, verdict, said",
    [
        ("table3-ours", "right", "78.7"),
        ("table3-lead", "right", "TC-CLIP"),
        ("table2e-lead", "right", "84.5 - 79.9 = 4.6"),
        ("table2b-lead", "right", "BIKE with 55.6: 1.0"),
        ("table9-lead", "right", "2.6"),
        ("table1-lead", "depends on rounding", "84.5 - 84.0 = 0.5 to ILA"),
        ("table4-clapping", "wrong", "50.0 - 47.2 = 2.8"),
        ("table3-avg-ost", "depends on rounding", "67.658"),
        ("table8-fusion", "wrong", "Non 4: fusion 88.9, coarse 90.7"),
        ("table8-table9", "contradicts", "72.2 and 72.1"),
        ("table8-overall-fusion-non", "contradicts", "2.9 to 6.4"),
        ("table8-overall-fusion-ambi", "depends on rounding", "1.3 to 3.4"),
        ("videos-slicing-onion", "contradicts", "up to 200"),
        ("videos-kicking-soccer-ball", "depends on rounding", "38 would"),
        ("table1-multipliers", "contradicts", "M2-CLIP: 4x3 views, 214x3"),
        ("table11-multipliers", "contradicts", "AIM: 3x1 views, 2802x1"),
        ("ost-twice", "contradicts", "59.1 and 64.8"),
        ("gflops-b16", "right", "90.163"),
        ("gflops-l14", "contradicts", "416.104"),
        ("params-b16", "right", "2 inventories"),
        ("r2", "not decidable", "0.96"),
        ("table11-top5", "depends on rounding", "MoTED 97.8"),
        ("table1-backbones", "wrong", "MVFNet_En, ViViT B/16x2, MTV B, VideoSwin B"),
        ("lr", "contradicts", "5e-5 and 5e-6"),
        ("fewshot-warmup", "contradicts", "0.4"),
    ],
)
def test_findings(name, verdict, said):
    assert ROWS[name].verdict == verdict and said in ROWS[name].found


def test_the_gain_over_all_videos_is_a_mean_of_the_degrees():
    """The claim behind ``table8-overall``: whatever the sizes of the degrees, the mean stays among the gains."""
    rng = random.Random(0)
    gains = [
        float(a.number - b.number)
        for a, b in zip(
            Tables().cells("table8", "top1", method="Fusion", type="Non"),
            Tables().cells("table8", "top1", method="Single", type="Non"),
            strict=True,
        )
    ]
    for _ in range(200):
        weights = [rng.random() ** 4 for _ in gains]
        mean = sum(w * g for w, g in zip(weights, gains, strict=True)) / sum(weights)
        assert min(gains) - 1e-9 <= mean <= max(gains) + 1e-9
    assert min(gains) > 84.5 - 83.2 + 0.2


# --- Table 5 ---------------------------------------------------------------------------------------------------------


def test_table_5_is_the_paper_profile():
    rows = [r for r in ROWS.values() if r.where.startswith("Table 5, row")]
    assert len(rows) == 15 and {r.verdict for r in rows} == {"right"}
    p = get_profile("paper").train
    assert (p.batch, p.epochs, p.warmup_epochs, p.lr_clip, p.lr_head, p.weight_decay, p.flip, p.gray, p.betas) == (
        256,
        30,
        5,
        5e-6,
        5e-5,
        0.02,
        0.5,
        0.2,
        (0.9, 0.999),
    )
    # what no field holds: cosine, AdamW, RandomSizedCrop
    assert train.learning_rate(17.5, 5, 30) == pytest.approx(0.5) and train.learning_rate(30, 5, 30) == pytest.approx(
        0, abs=1e-9
    )
    assert "torch.optim.AdamW(" in inspect.getsource(train.adamw) and "_random_sized_crop" in inspect.getsource(
        transforms.ClipAugment.__call__
    )


# --- page, table, record ---------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A project folder without records."""
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    return tmp_path


@pytest.fixture
def record(elsewhere):
    """Measured where there is no other record."""
    return STUDY.measure(get_profile("storyboard"))


def test_all_forms_say_the_same(elsewhere, record):
    out = elsewhere / "out"
    files = page.write(STUDY, record, out)
    assert sorted(f.name for f in files) == ["audit.csv", "audit.json", "audit.md", "audit.png", "audit.tex"]
    assert files[-1].name == "audit.json"
    rows = list(csv.DictReader(io.StringIO((out / "audit.csv").read_text())))
    text = (out / "audit.md").read_text()
    statements = record.extra["statements"]
    assert [r["id"] for r in rows] == [s["id"] for s in statements] == list(ROWS)
    for row, s in zip(rows, statements, strict=True):
        assert row["verdict"] == s["verdict"] == ROWS[s["id"]].verdict
        assert row["found"] == s["found"] and row["effect"] == s["effect"]
        assert s["found"].replace("|", "\\|") in text and s["statement"].replace("|", "\\|") in text
        assert (row["value"] == "") == (s["value"] is None)
        assert s["value"] is None or float(row["value"]) == s["value"]
    for verdict in audit.VERDICTS:
        counted = sum(c[verdict] for c in record.extra["counts"].values())
        assert counted == sum(r["verdict"] == verdict for r in rows)
    p = record.provenance
    assert p["command"] == "make reproduce-audit" and p["training_seconds"] == 0
    assert (out / "audit.png").stat().st_size > 50_000
    latex = (out / "audit.tex").read_text()
    doubtful = sum(r["verdict"] in ("wrong", "contradicts", "depends on rounding") for r in rows)
    assert latex.isascii() and "Clapping" in latex and latex.count("\\\\") == 1 + doubtful
    assert "not measured: make reproduce-table2e" in text and "nan" not in text


def test_the_terminal_text(record):
    text = page.terminal(STUDY, record)
    assert "Clapping" in text and "| All " in text and "Dribbling basketball: change" not in text


def test_a_table_can_be_given(elsewhere):
    (clapping,) = [c for c in Tables().cells("table4", "difference") if Tables().name(c) == "Clapping"]
    found = study.statements(get_profile("storyboard"), changed(clapping, "+2.8"))
    assert next(s for s in found if s["id"] == "table4-clapping")["verdict"] == "right"


@pytest.mark.parametrize("name", paper.TABLES)
def test_transcribed_tables_are_shown_whole(name):
    text = str(study.paper_table(name))
    for row in paper.raw(name):
        for column, value in row.items():
            if value is not None and column not in ("source_row", "dataset", "shots", "degree"):
                assert value.replace("|", "\\|") in text


# --- effects ---------------------------------------------------------------------------------------------------------


def contrast(row, against, part="", **setting):
    return Contrast(row, against, -1.24, -3.0, 0.5, "undecided", part, setting=setting)


def row(part, name, mean, metric="top1", title="", more=None, **setting):
    return Row(part, name, title, metric, mean, mean - 5, mean + 5, setting=setting, more=more or {})


def correlation(reading):
    where = {"reading": reading, "which": "all"}
    return Contrast("TPP", "top1", 0.1, 0.01, 0.47, "holds", "correlations", "r2", "", where)


PAIRS = [
    ("n3", "n2"),
    ("n4", "n3"),
    ("n5", "n4"),
    ("n5", "n2"),
    ("temporal", "clip"),
    ("frozen/single", "frozen/single-0"),
]
LAYOUTS = ("ucf101", "hmdb51")
RECORDS = {
    "ablations": (
        [
            row("readings", "reading/0", 50, title="0.2, BIKE's", of="weight decay (Table 5)"),
            row("readings", "reading/1", 50, title="2", of="lambda (Eq. 14)"),
        ],
        [contrast(f"reading/{i}", "frozen/both", "readings") for i in (0, 1)] + [contrast(*p) for p in PAIRS],
    ),
    "zero_shot": (
        [
            row(of, m, mean, protocol=p)
            for of in LAYOUTS
            for m in ("clip", "sfar")
            for p, mean in (("half10", 50.0), ("split3", 40.0))
        ],
        [],
    ),
    "few_shot": (
        [],
        [
            contrast("sfar/repeat/1", "sfar/once/1", "averages"),
            contrast(f"sfar/repeat/{few_shot.PROCESSES}", "sfar/repeat/1", "averages"),
        ],
    ),
    "multi_label": (
        [row("fine-tuned", "fine-tuned/sfar", 44.44, "map", more={"variants": {"present": 44.44, "running": 40.0}})],
        [],
    ),
    "sub_actions": ([], [contrast("own", "fixed", "class-aware")]),
    "fig7b": (
        [row("groups", name, 60.0) for name in ("bank", "prefixed")],
        [correlation(r) for r in ("printed", "diverse")],
    ),
}
SAID = {
    "weight-decay": "0.2, BIKE's: -1.2 (-3.0 to +0.5) [ablations.json]",
    "lambda": "2: -1.2",
    "n": "N = 5 minus N = 4: -1.2",
    "temporal-layers": "Baseline (Temporal) minus Baseline (CLIP): -1.2",
    "zero-shot-protocol": "UCF-101 layout: half10 50.0, split3 40.0",
    "fewshot-epoch": "repeated minus once: -1.2",
    "fewshot-draw": f"{few_shot.PROCESSES} lists united minus one: -1.2",
    "charades-map": "present 44.4, running 40.0",
    "class-aware": "an N for each class minus N = 5: -1.2",
    "r2": "printed 0.10 (0.01 to 0.47)",
    "prefix": "with the prefix 60.0 (55.0 to 65.0)",
}


def write(name, profile, inputs=None):
    quoted, _ = study.QUOTED[name]
    rows_, contrasts = RECORDS[name]
    version = inputs or quoted.inputs(profile)
    record = Record(name, "storyboard", version, [0], {}, rows_, contrasts, [], {}, {})
    paths.write_json(quoted.path(profile), record.to_json())
    return quoted.path(profile)


def test_effects_come_from_records_that_fit(elsewhere):
    profile = get_profile("storyboard")
    measured = [r for r in ROWS.values() if r.measure]
    assert {r.measure[0] for r in measured} == set(RECORDS) == set(study.QUOTED)
    assert all(study.effect(r, profile).startswith("not measured: make reproduce-") for r in measured)
    for name in RECORDS:
        write(name, profile)
    for name, text in SAID.items():
        assert text in study.effect(ROWS[name], profile)
    path = write("few_shot", profile, "0" * 16)
    assert study.effect(ROWS["fewshot-epoch"], profile) == "not measured by the code at hand: make reproduce-table3"
    paths.write_atomic(path, "{")
    with pytest.raises(SfarError, match="not valid JSON"):
        study.effect(ROWS["fewshot-epoch"], profile)
    found = study.effect(ROWS["fewshot-epoch"], get_profile("paper"))
    assert found == "not measured: make reproduce-table3 PROFILE=paper"


def test_every_reading_of_the_ablations_has_its_row():
    of = {what for r in ROWS.values() if r.measure and r.measure[0] == "ablations" for what in r.measure[1:]}
    measured = {reading[0] for reading in ablations.READINGS} - {"frames in context (section 4.1)"}  # of no equation
    assert not measured - of, "a reading that is measured and not in the audit"
    assert of - measured == {"fig7a", "layers"}

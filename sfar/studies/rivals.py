"""The systems that Tables 1, 2b and 3 quote beside SFAR, measured in one harness: same frames, seeds and lists.

Two recipes for each: its own, as published, brought to this world by one rule (``recipes.scaled``), and the shared one,
the profile's, of which every method gets the same search over its rates on a development world, chosen by its own
accuracy.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from sfar.config import Profile, changed
from sfar.model import registry
from sfar.model.method import Method
from sfar.render import plots, style
from sfar.render.plots import Series
from sfar.render.tables import NOTHING, Table, with_interval
from sfar.studies import table1
from sfar.studies.core import page, study
from sfar.studies.core.blocks import Drawn, Printed, Provenance, Shown, Text, Verdicts
from sfar.studies.core.claims import Claim, above, highest, named
from sfar.studies.core.record import Contrast, Record, Row
from sfar.studies.core.study import TESTS, Content, Item, Study, Variant
from sfar.studies.table1 import PAPER_COLUMNS
from sfar.training.recipes import RATES, part_of_it, scaled

# --- what is compared ------------------------------------------------------------------------------------------------

MOST = 3  # seeds of a row, each of which trains a visual tower, and often a text tower
WORLD = 1001  # data seed of the development world; nothing is reported on it
FACTORS = (0.3, 1.0, 3.0)  # of the profile's rates, or of what the search on a frozen tower found (``config.TUNED``)
RECIPES = ("shared", "own")
VARIED = ("ost",)  # of which system the parts are measured alone
SHUFFLED = ("temporal", "x-clip", "tc-clip")  # attention among the frames: behind the tower, in it, on all tokens


def systems() -> tuple[Method, ...]:
    """The systems in full, without the controls that stand beside them."""
    return tuple(m for m in registry.SYSTEMS.values() if not m.control)


def methods() -> tuple[Method, ...]:
    """All that is compared: the methods of every table, then the systems."""
    return (*registry.METHODS.values(), *systems())


def shared(profile: Profile, method: Method, factor: float) -> Variant:
    """A method under the shared recipe with its rates times ``factor``; a table's own row where that is 1."""
    plain = next((v for v in table1.variants() if v.name == method.name), None)
    if plain is None:
        plain = Variant(
            method.name, method.title, method.name, tuple(part_of_it(method).items()), zero_shot=not method.closed
        )
    if factor == 1 or not method.trained:
        return plain
    at = plain.profile(profile, 0).train
    rates = tuple((k, float(f"{getattr(at, k.removeprefix('train.')) * factor:.3g}")) for k in RATES)
    return replace(plain, changes=(*plain.changes, *rates), views="1x1")


def own(profile: Profile, method: Method) -> Variant:
    """A system under its own recipe."""
    changes = tuple(scaled(method, profile).items())
    return Variant(f"{method.name}/own", method.title, method.name, changes, zero_shot=not method.closed)


def trials(profile: Profile) -> list[tuple[Method, float, Variant]]:
    """The search: every trained method at every factor, on the development world in the single view."""
    return [
        (m, f, replace(shared(profile, m, f), name=f"{m.name}/{f}", views="1x1"))
        for m in methods()
        if m.trained
        for f in FACTORS
    ]


def development(profile: Profile) -> Profile:
    """The profile on the development world, one seed, half of its test videos."""
    return changed(profile, {"data.seed": WORLD, "data.val_per_class": 16, "seeds": profile.seeds[:1]})


def controls(profile: Profile, factor: dict[str, float]) -> list[tuple[str, str, Variant]]:
    """(what for, against which row, variant): parts of systems, trained texts, shuffled frames."""
    at = {m.name: shared(profile, m, factor.get(m.name, 1.0)) for m in methods()}
    out = []
    for m in registry.SYSTEMS.values():
        if m.control in VARIED:
            like = replace(at[m.control], name=m.name, title=m.title, method=m.name)
            out.append(("parts", m.control, like))
    for name in ("single", "sfar"):
        v = at[name]
        text = (*v.changes, ("train.train_text", "tower"))
        out.append(
            ("text", name, replace(v, name=f"{name}/text", title=f"{v.title}, text tower trained", changes=text))
        )
    for name in SHUFFLED:
        v = at[name]
        order = (*v.changes, ("train.frame_order", "shuffled"))
        title = f"{v.title}, frames shuffled"
        out.append(("order", name, replace(v, name=f"{name}/shuffled", title=title, changes=order)))
    base = at["sfar"]
    context = (*base.changes, ("model.context_layers", 6), ("model.frame_norm", True))
    title = "SFAR after the temporal transformer"
    out.append(("order", "sfar", replace(base, name="sfar/context", title=title, changes=context)))
    return [(what, row, replace(v, views="1x1")) for what, row, v in out]


def _search(profile: Profile, workers: int | None) -> tuple[dict[str, float], list[Row], float]:
    """The factor of each method, the trials' values and their seconds."""
    plan, dev = trials(profile), development(profile)
    by = study.run(dev, [v for *_, v in plan], workers, "searching on the development world")
    value: dict[str, dict[float, float]] = {}
    rows = []
    for m, f, v in plan:
        each = [float(hits.mean()) for hits in study.tested(by[v.name]).values()]
        value.setdefault(m.name, {})[f] = mean = float(np.mean(each))
        rows.append(Row("search", m.name, m.title, "mean top1", round(mean, 4), mean, mean, setting={"factor": f}))
    return {m: max(of, key=lambda f: of[f]) for m, of in value.items()}, rows, study.seconds(by)


def measure(profile: Profile, workers: int | None) -> Content:
    """The search, then every method under both recipes on fresh worlds, both readings of SFAR against each."""
    factor, rows, seconds = _search(profile, workers)
    few = changed(profile, {"seeds": profile.seeds[:MOST]})
    plan = {("shared", m.name): shared(profile, m, factor.get(m.name, 1.0)) for m in methods()}
    plan |= {("own", m.name): own(profile, m) for m in systems()}
    beside = controls(profile, factor)
    by = study.run(few, [*plan.values(), *(v for *_, v in beside)], workers, "training and testing rivals")
    value: dict[tuple[str, str], dict[str, np.ndarray]] = {at: study.tested(by[v.name]) for at, v in plan.items()}
    for at, v in plan.items():
        of = registry.get(v.method)
        for test, hits in value[at].items():
            trained = by[v.name][0]["trained"]
            rows.append(study.measured(test, of.name, of.title, hits, "top1", trained, recipe=at[0]))
    contrasts: list[Contrast] = []
    for a in registry.own():
        for (recipe, b), tested in value.items():
            if b != a.name:
                contrasts += [
                    study.difference(a.name, b, value["shared", a.name][t], hits, t, recipe=recipe)
                    for t, hits in tested.items()
                ]
    for what, row, v in beside:
        tested, like = study.tested(by[v.name]), value["shared", row]
        for test, hits in tested.items():
            trained = by[v.name][0]["trained"]
            rows.append(study.measured(what, v.name, v.title, hits, "top1", trained, test=test))
            contrasts.append(study.difference(v.name, row, hits, like[test], what, test=test))
    first = by["sfar"] if "sfar" in by else by[plan["shared", "sfar"].name]
    tests = {test: hits.shape[1] for test, hits in value["shared", "sfar"].items()}
    recipes = {
        m.name: {k: list(v) if isinstance(v, tuple) else v for k, v in scaled(m, profile).items()} for m in systems()
    }
    extra = {"factors": factor, "recipes": recipes}
    data = {**study.about(first), "tests": tests}
    return Content(data, rows, contrasts, extra, seconds + study.seconds(by), list(few.seeds))


# --- what is claimed -------------------------------------------------------------------------------------------------

TITLES = {test: title[0].lower() + title[1:] for test, title in TESTS.items()}  # inside a sentence
SOURCES = {"supervised": "Table 1, section 4.2", "ucf101": "Table 2b", "hmdb51": "Table 2b"}
BLIND = ("sfar", "sfar-printed", "clip", "vanilla", "ost", "vifi-clip")  # none of these can see the order of frames


def _rivals(record: Record, m: Method, test: str) -> list[Contrast]:
    """Against every rival in the better of its two recipes on this test."""
    best: dict[str, Contrast] = {}
    names = {r.name for r in registry.own()}
    for c in record.contrasts_of(test, m.name):
        if c.against not in names and (c.against not in best or c.mean < best[c.against].mean):
            best[c.against] = c
    return list(best.values())


CLAIMS = (
    *(
        Claim(
            named(f"rivals-{test}-highest", m),
            "rivals",
            f"{m.title} is above every measured system, each under the better of its two recipes, {TITLES[test]}",
            SOURCES[test],
            highest(lambda r, m=m, test=test: _rivals(r, m, test)),
        )
        for m in registry.own()
        for test in TESTS
    ),
    *(
        Claim(
            f"rivals-{name}-order",
            "rivals",
            f"{registry.get(name).title} needs the order of the frames: in time it is above the same with frames "
            "shuffled",
            "not a claim of the paper",
            above(f"{name}/shuffled", name, part="order", sign=-1, test="supervised"),
            own=True,
        )
        for name in SHUFFLED
    ),
)


# --- what is shown ---------------------------------------------------------------------------------------------------


def _cell(record: Record, test: str, name: str, recipe: str) -> Any:
    found = record.select(test, name, recipe=recipe)
    return with_interval(found[0]) if found else NOTHING


def accuracy_table(record: Record) -> Table:
    """Both recipes on each test."""
    rows = []
    for m in methods():
        if not record.select("supervised", m.name):
            continue
        row = record.find("supervised", m.name, recipe="shared")
        cells = [_cell(record, test, m.name, recipe) for test in TESTS for recipe in RECIPES]
        rows.append([m.title, *cells, row.trained_text])
    heads = [f"{h}, {r}" for h in ("Supervised", "UCF-101", "HMDB-51") for r in RECIPES]
    return Table(["Method", *heads, "Trained"], rows)


def differences_table(record: Record) -> Table:
    """Both readings of SFAR against each, with marks."""
    rows = []
    for a in registry.own():
        for m in methods():
            for recipe in RECIPES:
                found = {c.part: c for c in record.contrasts_of(row=a.name, against=m.name, recipe=recipe)}
                if found:
                    cells = [page.marked(found[t]) if t in found else NOTHING for t in TESTS]
                    rows.append([f"{a.title} − {m.title}", recipe, *cells])
    return Table(["Difference [points]", "Its recipe", *(TITLES[t] for t in TESTS)], rows)


def controls_table(record: Record) -> Table:
    """Each control against the row that it varies."""
    rows = []
    for part in ("parts", "text", "order"):
        for name in record.names(part):
            against = record.contrasts_of(part, name)[0].against
            cells = []
            for test in TESTS:
                found = record.contrasts_of(part, name, test=test)
                cells.append(page.marked(found[0]) if found else NOTHING)
            rows.append([f"{record.title(name)} − {record.title(against)}", *cells])
    return Table(["Difference [points]", *(TITLES[t] for t in TESTS)], rows)


def search_table(record: Record) -> Table:
    """All trials of the search, and which was taken."""
    rows = []
    for name, taken in record.extra["factors"].items():
        values = [record.find("search", name, "mean top1", factor=f).mean for f in FACTORS]
        rows.append([registry.get(name).title, *values, f"{taken:g}"])
    return Table(["Method", *(f"rates x {f:g}" for f in FACTORS), "Taken"], rows)


def recipes_table(record: Record) -> Table:
    """The recipes of the systems: as published, and as scaled to this world."""
    rows = []
    for m in systems():
        assert m.recipe is not None
        scaled = record.extra["recipes"].get(m.name, {})
        for key, here in scaled.items():
            rows.append([m.title, f"`{key}`", _plain(m.recipe.fields.get(key)), _plain(here)])
    return Table(["System", "Field", "Published", "Here"], rows, 6)


def _plain(value: Any) -> str:
    return NOTHING if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def sources_text(record: Record) -> str:
    """Where the recipes come from, and what of the systems is left out."""
    found = [m for m in systems() if m.recipe]
    return "\n".join(
        f"- **{m.title}**: {m.recipe.source}." + (f" Left out: {m.recipe.left_out}." if m.recipe.left_out else "")
        for m in found
        if m.recipe
    )


def figure(record: Record) -> Figure:
    """Accuracy under both recipes on each test, methods at the same height in all; those blind to the order marked."""
    style.use()
    fig, axes = plt.subplots(1, len(TESTS), figsize=(9.6, 6.4), layout="constrained")
    of = [*registry.own(), *registry.rivals(), *systems()]
    series = (Series({}, "shared recipe", "o", size=5, shift=0.19), Series({}, "its own", "D", True, 4.2, -0.19))
    for k, (ax, test) in enumerate(zip(axes, TESTS, strict=True)):
        for y, m in enumerate(reversed(of)):
            found = {r.setting["recipe"]: r for r in record.select(test, m.name)}
            for recipe, s in zip(RECIPES, series, strict=True):
                if recipe in found:
                    # Two rows to a method: no room for the seeds. One recipe alone stands in the middle.
                    bare = Row(**{**vars(found[recipe]), "per_seed": []})
                    plots.dots(ax, y + s.shift * (len(found) > 1), bare, m.colour, s.marker, s.hollow, s.size)
        names = [f"{m.title} °" if m.name in BLIND else m.title for m in reversed(of)]
        plots.categories(ax, range(len(of)), names if k == 0 else [""] * len(of))
        plots.widen(ax, right=0.12)
        ax.set_xlabel("Top-1 accuracy [%]")
        ax.set_title(f"{TESTS[test]}\n{record.data['tests'][test]} test videos", loc="left")
    what = f"Measured: {record.profile} profile, {page.seeds(record)}, 95 % intervals; ° blind to the order of frames"
    bold = {"weight": "bold", "size": 8}
    place = {"loc": "outside upper left", "ncols": 2, "alignment": "left"}
    plots.marker_legend(fig, series, title=what, title_fontproperties=bold, **place)
    return fig


HOW = (
    "Every method is trained on the same videos, seeds and frames and tested in the single view, on its last weights. "
    "**Shared recipe**: this profile's, with the rates times 0.3, 1 or 3, whichever gave the method itself the best "
    f"mean accuracy on a development world (data seed {WORLD}); methods of the tables begin from what the search on a "
    "frozen tower found for them, SFAR's readings among that. **Its own**: the published recipe; rates and epochs "
    "stand to this profile's as the published ones stand to those of section 4.1 at the same batch, no rate above "
    "0.002; loss, decay, moments, prompt and what is trained are as published. What a text tower learns and the class "
    "prompt belong to the method and are the same in both. Where the least or the greatest factor was taken, a wider "
    "search might find more. SFAR is compared in its shared recipe with each system in "
    "both. ▲ the first is higher, ▼ lower, = equal."
)

BLOCKS = (
    Text(HOW, "How it is measured", "how"),
    Drawn("figure", figure, "The systems, measured", file="rivals"),
    Shown("accuracy", accuracy_table, "Accuracy [%], 95 % intervals over seeds and videos", terminal=True),
    Shown("differences", differences_table, "SFAR against each"),
    Verdicts(),
    Shown("controls", controls_table, "Controls"),
    Shown("search", search_table, "The search on the development world: mean accuracy over the tests [%]"),
    Shown("recipes", recipes_table, "Recipes of their own"),
    Text(sources_text, "Sources, and what is left out", "sources"),
    Printed("table1", PAPER_COLUMNS, "Table 1 as printed (transcribed, Kinetics-400)"),
    Provenance(),
)

STUDY = Study(
    id="rivals",
    title="Rivals: the systems that the paper quotes, measured (not of the paper)",
    notebook="17_rivals",
    covers=(Item("rivals", "Rivals: the systems that the paper quotes, measured (not of the paper)"),),
    measure_content=measure,
    claims=CLAIMS,
    blocks=BLOCKS,
    describe=page.videos,
    check=study.drawn_alone,
    drawn_only=True,
    beyond=True,
)

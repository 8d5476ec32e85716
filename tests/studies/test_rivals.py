"""The systems that the paper quotes, measured: what is compared, how recipes are brought here, what the record says."""

import pytest

from sfar import studies
from sfar.config import PROFILES, get_profile
from sfar.model import registry
from sfar.studies import rivals
from sfar.studies.core import study
from sfar.training import recipes

PROFILE = get_profile("storyboard")
STUDY = studies.load("rivals")


@pytest.fixture(scope="module")
def record():
    return STUDY.load(PROFILE)


def test_every_trained_method_gets_the_same_search():
    found = {}
    for m, factor, variant in rivals.trials(PROFILE):
        found.setdefault(m.name, []).append(factor)
        assert variant.method == m.name and variant.views == "1x1"
    assert set(found) == {m.name for m in rivals.methods() if m.trained}
    assert all(factors == list(rivals.FACTORS) for factors in found.values())


def test_nothing_is_reported_on_the_world_of_the_search():
    dev = rivals.development(PROFILE)
    assert dev.data.seed == rivals.WORLD != PROFILE.data.seed and len(dev.seeds) == 1


@pytest.mark.parametrize("name", [m.name for m in rivals.methods() if m.trained])
def test_the_factor_multiplies_both_rates_and_nothing_else(name):
    m = registry.get(name)
    plain, more = (rivals.shared(PROFILE, m, f).profile(PROFILE, 0) for f in (1.0, 3.0))
    for rate in ("lr_clip", "lr_head"):
        assert getattr(more.train, rate) == pytest.approx(3 * getattr(plain.train, rate), rel=5e-3)
    same = {"lr_clip": 0.0, "lr_head": 0.0}
    assert {**vars(plain.train), **same} == {**vars(more.train), **same} and plain.model == more.model


def test_recipes_are_scaled_by_one_rule():
    here, there = PROFILE.train, PROFILES["paper"].train
    vifi = recipes.scaled(registry.get("vifi-clip"), PROFILE)
    # 2.2e-5 at a batch of 512 is 1.1e-5 at SFAR's 256, 2.2 times its 5e-6; 30 epochs are as many as SFAR's.
    assert vifi["train.lr_clip"] == pytest.approx(2.2 * here.lr_clip) and vifi["train.epochs"] == here.epochs
    assert vifi["train.loss"] == "cross_entropy" and vifi["train.train_text"] == "tower"
    action = recipes.scaled(registry.get("actionclip"), PROFILE)  # 50 epochs, 5e-6 and 5e-5 at a batch of 128
    assert action["train.epochs"] == 5 and action["train.lr_clip"] == pytest.approx(2 * here.lr_clip)
    assert action["train.lr_head"] == here.lr_head, "twice the rate would be above the greatest"
    assert recipes.scaled(registry.get("st-adapter"), PROFILE)["train.epochs"] == 1, "12 of 30, and at least one"
    for m in rivals.systems():
        made = rivals.own(PROFILE, m).profile(PROFILE, 0).train
        assert max(made.lr_clip, made.lr_head) <= here.lr_head and made.frames == here.frames, m.name
        assert made.batch == here.batch and made.warmup_epochs == here.warmup_epochs, m.name
    assert there.batch == 256 and there.epochs == 30


def test_what_a_recipe_is_the_default_of():
    ost, paper = registry.get("ost"), PROFILES["paper"]
    assert recipes.defaults(ost, PROFILE) == {"train.train_text": "all"}
    assert recipes.defaults(ost, paper) == dict(ost.recipe.fields)
    few = get_profile("paper", {"data.shots": 2})
    assert recipes.defaults(ost, few)["train.epochs"] == 50
    assert recipes.defaults(registry.get("aim"), PROFILE) == {
        "train.train_text": "frozen",
        "train.loss": "cross_entropy",
    }
    assert recipes.defaults(registry.get("sfar"), paper) == {}


def test_controls_change_one_thing():
    at = {m.name: rivals.shared(PROFILE, m, 1.0).profile(PROFILE, 0) for m in rivals.methods()}
    seen = set()
    for what, row, variant in rivals.controls(PROFILE, {}):
        own, like = variant.profile(PROFILE, 0), at[row]
        differ = {
            f"{group}.{k}"
            for group in ("model", "train")
            for k, v in vars(getattr(own, group)).items()
            if v != getattr(getattr(like, group), k)
        }
        want = {
            "parts": set(),
            "text": {"train.train_text"},
            "order": {"model.context_layers", "model.frame_norm"}
            if "context" in variant.name
            else {"train.frame_order"},
        }
        assert differ == want[what], variant.name
        seen.add(what)
    assert seen == {"parts", "text", "order"}


def test_the_record_has_every_method_under_both_recipes(record):
    for m in rivals.methods():
        tests = study.TESTS if not m.closed else ("supervised",)
        for test in tests:
            have = {r.setting["recipe"] for r in record.select(test, m.name)}
            assert have == ({"shared", "own"} if m.recipe else {"shared"}), (m.name, test)
    for m in rivals.systems():
        assert record.find("supervised", m.name, recipe="own").seeds == rivals.MOST


def test_the_factor_that_was_taken_is_the_best_of_the_search(record):
    for name, taken in record.extra["factors"].items():
        values = {f: record.find("search", name, "mean top1", factor=f).mean for f in rivals.FACTORS}
        assert values[taken] == max(values.values()), name


def test_highest_is_against_each_in_its_better_recipe(record):
    for m in registry.own():
        for test in study.TESTS:
            against = rivals._rivals(record, m, test)
            names = [c.against for c in against]
            assert len(set(names)) == len(names) and not {r.name for r in registry.own()} & set(names)
            for c in against:
                both = record.contrasts_of(test, m.name, c.against)
                assert c.mean == min(x.mean for x in both)
            claim = record.claim(f"rivals-{test}-highest" + ("" if m.name == "sfar" else "-printed"))
            worst = min(against, key=lambda c: c.mean)
            assert (claim.verdict == "holds") == all(c.low > 0 for c in against)
            assert claim.verdict != "does not hold" or worst.high < 0


def test_accuracy_of_a_closed_system_is_supervised_alone(record):
    table = rivals.accuracy_table(record)
    row = next(r for r in table.rows if r[0] == "AIM")
    assert row[1] != "–" and row[3:7] == ["–"] * 4


def test_the_figure_has_a_row_for_each_in_all_panels(record):
    fig = rivals.figure(record)
    assert len(fig.axes) == len(study.TESTS)
    assert len({tuple(ax.get_yticks()) for ax in fig.axes}) == 1
    assert len(fig.axes[0].get_yticks()) == len(rivals.methods())


def test_seeds_are_the_first_of_the_profile(record):
    assert record.seeds == list(PROFILE.seeds[: rivals.MOST])
    assert study.seeds_of(PROFILE, rivals.shared(PROFILE, registry.get("vanilla"), 1.0)) == PROFILE.seeds[:1]

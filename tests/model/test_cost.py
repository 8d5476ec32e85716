"""Cost accounting against counters that do not share its formulas: module hooks and torch's operator counter."""

import socket

import open_clip
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sfar import paper
from sfar.errors import ConfigError
from sfar.model import cost

B16, L14 = cost.ARCHS


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("counting costs must not open a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def hooked_macs(tower: nn.Module, video: torch.Tensor) -> dict[str, int]:
    """MACs of one forward pass of ``tower`` on ``video`` (frames, 3, size, size), as seen by hooks on its modules."""
    seen = {"conv": 0, "linear": 0, "attention": 0}

    def conv(module, args, out):
        seen["conv"] += out.numel() * module.weight[0].numel()

    def linear(module, args, out):
        seen["linear"] += out.numel() * module.in_features

    def attention(module, args, out):
        query, key, value = args
        batch, length, width = query.shape
        for projected in (query, key, value, out[0]):
            seen["attention"] += projected.numel() * width
        scores = batch * module.num_heads * length * length
        seen["attention"] += 2 * scores * (width // module.num_heads)

    kinds = ((nn.Conv2d, conv), (nn.Linear, linear), (nn.MultiheadAttention, attention))
    handles = [
        module.register_forward_hook(hook)
        for module in tower.modules()
        for kind, hook in kinds
        if isinstance(module, kind)
    ]
    try:
        tower(video)
    finally:
        for handle in handles:
            handle.remove()
    return seen


@pytest.mark.parametrize(
    "arch, hooked, complete",
    [
        (B16, 90_162_855_936, 140_507_627_520),
        (L14, 415_160_598_528, 648_102_150_144),
    ],
)
def test_totals_agree_with_hooks_and_with_the_operator_counter(arch, hooked, complete):
    totals = cost.macs(arch)["totals"]
    assert totals[cost.SKIPS_MHA] == hooked / 1e9
    assert totals[cost.COMPLETE] == complete / 1e9
    tower, video = cost.skeleton(arch).visual, torch.empty(8, 3, 224, 224, device="meta")
    with FlopCounterMode(display=False) as counter:
        seen = hooked_macs(tower, video)
    assert seen["conv"] + seen["linear"] == hooked
    # the projection to the joint space is a raw parameter: no hook sees it, the operator counter does
    assert sum(seen.values()) + 8 * tower.proj.numel() == complete
    assert counter.get_total_flops() == 2 * complete


def test_the_paper_prints_the_hooked_total_of_vit_b():
    printed = next(r for r in paper.load("table1") if r["method"] == "SFAR (ours)")["gflops"]
    totals = cost.macs(B16)["totals"]
    assert f"{totals[cost.SKIPS_MHA]:.1f}x1" == printed == "90.2x1"
    assert round(totals[cost.COMPLETE], 1) == 140.5


def test_no_one_inventory_gives_the_published_cost_of_both():
    """ViT-L needs the FFNs of 400 classes to reach 416 (415 without); with them ViT-B leaves 90.2."""
    tower = {arch: cost.macs(arch)["totals"][cost.SKIPS_MHA] for arch in cost.ARCHS}
    head = {arch: cost.head_macs(width, 400, 8, 77, 5)["totals"]["hooked"] for arch, width in ((B16, 512), (L14, 768))}
    assert [round(tower[B16], 1), round(tower[B16] + head[B16], 1)] == [90.2, 90.6]
    assert [round(tower[L14]), round(tower[L14] + head[L14])] == [415, 416]
    assert round(cost.macs(L14)["totals"][cost.COMPLETE], 1) == 648.1


def test_components_add_up_and_scale_with_frames():
    for arch in cost.ARCHS:
        one, eight = cost.macs(arch, frames=1), cost.macs(arch, frames=8)
        assert sum(eight["components"].values()) == pytest.approx(eight["totals"][cost.COMPLETE])
        for name, value in one["components"].items():
            assert eight["components"][name] == pytest.approx(8 * value)


def test_a_small_tower_run_for_real():
    shape = {"width": 64, "layers": 3, "patch": 8, "embed_dim": 48, "size": 40}
    vision = {"image_size": 40, "layers": 3, "width": 64, "patch_size": 8, "head_width": 16}
    text = {"context_length": 8, "vocab_size": 16, "width": 48, "heads": 4, "layers": 1}
    for frames in (1, 5):
        tower = open_clip.CLIP(embed_dim=48, vision_cfg=vision, text_cfg=text, quick_gelu=True).visual.eval()
        expected = cost.tower_macs(frames=frames, **shape)
        seen = hooked_macs(tower, torch.randn(frames, 3, 40, 40))
        assert seen["conv"] == expected["patch_conv"]
        assert seen["linear"] == expected["mlp"]  # so `out_proj`, a Linear inside the attention, was never called
        assert seen["attention"] == sum(expected[n] for n in ("attention_projections", "attention_qk", "attention_av"))
        with FlopCounterMode(display=False) as counter:
            tower.to("meta")(torch.empty(frames, 3, 40, 40, device="meta"))
        assert counter.get_total_flops() == 2 * sum(expected.values())


def test_head_macs_against_the_operator_counter():
    """Eqs. 4-11 written out as products of the sizes they have, counted by torch."""
    d, classes, frames, words, subtexts = 32, 6, 4, 7, 3
    kept = words * subtexts

    def empty(*shape):
        return torch.empty(*shape, device="meta")

    def total(*products):
        with FlopCounterMode(display=False) as counter:
            for left, right in products:
                left @ right
        return counter.get_total_flops() / 2 / 1e9

    text, sub, square = empty(classes * words, d), empty(classes * kept, d), empty(d, d)
    got = cost.head_macs(d, classes, frames, words, subtexts)
    cached, per_view = got["cached"], got["components"]
    assert cached["text_projections"] == total((text, square), (sub, square), (sub, square))
    assert cached["text_qk"] == total((empty(classes, words, d), empty(classes, d, kept)))
    assert cached["text_av"] == total((empty(classes, words, kept), empty(classes, kept, d)))
    assert per_view["coarse_similarity"] == total((text, empty(d, frames)))
    assert per_view["coarse_pooling"] == per_view["fine_pooling"] == total((empty(classes, frames), empty(frames, d)))
    assert per_view["fine_similarity"] == total((empty(classes * subtexts, d), empty(d, frames)))
    assert per_view["ffn_coarse"] == per_view["ffn_fine"] == total(*[(empty(classes, d), square)] * 2)
    assert per_view["class_similarity"] == total((empty(classes, 1, d), empty(classes, d, 1)))
    assert got["totals"]["per view"] == pytest.approx(sum(per_view.values()))
    assert got["totals"]["once per class set"] == pytest.approx(sum(cached.values()))
    more = cost.head_macs(d, classes, frames, words, subtexts, head="mha")
    assert more["cached"]["text_projections"] == total((text, square), (text, square), (sub, square), (sub, square))
    assert more["components"] == per_view


def test_head_macs_at_400_classes():
    assert cost.head_macs(512, 400, 8, 77, 5)["totals"]["hooked"] == 419_430_400 / 1e9
    assert cost.head_macs(768, 400, 8, 77, 5)["totals"]["hooked"] == 943_718_400 / 1e9


def test_exact_head_counts_against_modules():
    def ffn(d):
        return nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, d))

    def count(*modules):
        return sum(p.numel() for module in modules for p in module.parameters())

    assert sum(cost.head_parameters(512, "printed").values()) == 1_837_056
    assert sum(cost.head_parameters(512, "mha").values()) == 2_101_248
    assert sum(cost.head_parameters(768, "mha").values()) == 4_724_736
    with torch.device("meta"):
        for d in (512, 768):
            projections = [nn.Linear(d, d, bias=False) for _ in range(3)]
            assert sum(cost.head_parameters(d, "printed").values()) == count(*projections, ffn(d), ffn(d))
            attention = nn.MultiheadAttention(d, 8)
            assert sum(cost.head_parameters(d, "mha").values()) == count(attention, ffn(d), ffn(d))


@pytest.mark.parametrize(
    "arch, visual, blocks, total",
    [
        (B16, 86_192_640, 37_828_608, 149_620_737),
        (L14, 303_966_208, 85_054_464, 427_616_513),
    ],
)
def test_parameters_of_clip(arch, visual, blocks, total):
    counts = cost.parameters(arch)
    assert (counts["visual"], counts["text_blocks"], counts["logit_scale"]) == (visual, blocks, 1)
    assert sum(n for name, n in counts.items() if not name.startswith("head.")) == total
    assert sum(p.numel() for p in cost.skeleton(arch).parameters()) == total


def test_the_counted_model_has_no_memory():
    assert {p.device.type for p in cost.skeleton(B16).parameters()} == {"meta"}


def by_name(arch):
    return {entry["name"]: entry for entry in cost.inventories(arch)}


def test_two_inventories_give_the_printed_parameters_of_vit_b():
    entries = by_name(B16)
    for entry in entries.values():
        assert entry["total_m"] == sum(entry["components"].values()) / 1e6
        assert entry["fits"] == (round(entry["total_m"], 1) == entry["paper_m"])
    fitting = {name: e for name, e in entries.items() if e["fits"] and e["paper_row"] == "Table 1, row 22"}
    assert {name: sum(e["components"].values()) for name, e in fitting.items()} == {
        "visual + text blocks + text_projection + printed head": 126_120_448,
        "visual + text blocks + mha head": 126_122_496,
    }
    assert {e["paper_m"] for e in fitting.values()} == {126.1}
    assert round(entries["plain CLIP, everything"]["total_m"], 2) == 149.62
    bike = entries["visual + text blocks + positional embedding (BIKE without a head)"]
    assert bike["fits"] and bike["paper_m"] == 124.1 and round(bike["total_m"], 2) == 124.06


def test_no_counted_inventory_gives_the_printed_parameters_of_vit_l():
    entries = by_name(L14)
    assert round(entries["visual + text blocks + mha head"]["total_m"], 1) == 393.7
    assert round(entries["visual + mha head"]["total_m"], 1) == 308.7
    assert round(entries["plain CLIP, everything"]["total_m"], 2) == 427.62
    assert {name for name, e in entries.items() if e["fits"]} == {
        "BIKE's row + mha head",
        "BIKE's row + text_projection + printed head",
    }
    assert round(entries["BIKE's row + mha head"]["total_m"], 1) == 311.7
    assert {e["paper_m"] for name, e in entries.items() if "without a head" not in name} == {312.0}


@pytest.mark.parametrize("call", [cost.macs, cost.parameters, cost.inventories, cost.skeleton])
def test_an_unknown_architecture_names_the_known_ones(call):
    with pytest.raises(ConfigError, match=f"ViT-B-16'.*{B16}, {L14}"):
        call("ViT-B-16")


def test_impossible_sizes_and_heads():
    with pytest.raises(ConfigError, match="multiple of the patch size 16"):
        cost.macs(B16, size=225)
    with pytest.raises(ConfigError, match="frames"):
        cost.macs(B16, frames=0)
    with pytest.raises(ConfigError, match="classes"):
        cost.head_macs(512, 0, 8, 77, 5)
    with pytest.raises(ConfigError, match="printed, mha"):
        cost.parameters(B16, head="temporal")


def test_the_reason_is_one_sentence():
    assert cost.WHY_LOWER.endswith(".") and cost.WHY_LOWER.count(". ") == 0
    assert "nn.MultiheadAttention" in cost.WHY_LOWER

"""What SFAR costs: multiply-accumulates (MACs) and parameters, counted piece by piece.

Only the shapes of the model matter, so nothing here needs weights, data or a network: the configurations come with
open_clip and models are built on torch's ``meta`` device, where a tensor has a shape and no memory.

Two totals are given for the visual tower, because they differ by a third and papers print either. The GFLOPs columns
of Tables 1 and 11 belong to a counter that hooks module classes: it sees the patch convolution and the MLP linears.
``nn.MultiheadAttention`` reads its projections as raw parameters (its ``out_proj`` is never called as a module) and
CLIP projects to the joint space with a raw parameter as well, so such a counter gives both nothing. A multiply and
its add count as one operation ("FLOP" in the paper, MAC here). Additions, norms, activations and softmax count as
zero in both totals, and so does the text side, which is a constant at inference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sfar import paper
from sfar.errors import ConfigError

if TYPE_CHECKING:
    from open_clip.model import CLIP

ARCHS: tuple[str, ...] = ("ViT-B-16-quickgelu", "ViT-L-14-quickgelu")
HEADS: tuple[str, ...] = ("printed", "mha")

SKIPS_MHA = "skips nn.MultiheadAttention (paper)"
COMPLETE = "complete"

WHY_LOWER = (
    "The paper's GFLOPs are lower than a complete count because they agree (ViT-B/16 to the printed digit, ViT-L/14 "
    "within 1) with a counter of module calls, which sees the patch convolution and the MLP linears of the visual "
    "tower but gives zero to nn.MultiheadAttention (its projections and both attention products), to products with "
    "raw parameters and to the text side, and which takes a multiply and its add as one operation."
)

# What module hooks on convolutions and linears see of the tower; the rest runs inside nn.MultiheadAttention or as `@`.
_HOOKED = ("patch_conv", "mlp")

# Where the paper prints the costs of each architecture, and with how many decimals it prints millions of parameters.
_PAPER = {"ViT-B-16-quickgelu": ("table1", 1), "ViT-L-14-quickgelu": ("table11", 0)}


def _config(arch: str) -> dict[str, Any]:
    if arch not in ARCHS:
        raise ConfigError(f"unknown architecture {arch!r}: costs are known for {', '.join(ARCHS)}")
    import open_clip  # takes seconds to import, and most users of this module only want WHY_LOWER or head_macs

    config = open_clip.get_model_config(arch)
    assert config is not None, "open_clip knows both"
    return config


def _positive(**values: int) -> None:
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ConfigError(f"{name} must be a whole number of at least 1, not {value!r}")


def skeleton(arch: str) -> CLIP:
    """The open_clip ``CLIP`` module of ``arch`` on the ``meta`` device: every shape, no weights, no memory.

    Raises ``ConfigError`` for an unknown architecture.
    """
    config = _config(arch)
    import open_clip
    import torch

    with torch.device("meta"):
        return open_clip.CLIP(**config).eval()


def tower_macs(
    width: int, layers: int, patch: int, embed_dim: int, frames: int, size: int, mlp_ratio: float = 4.0
) -> dict[str, int]:
    """MACs of a CLIP visual transformer on ``frames`` RGB frames of ``size`` x ``size`` pixels, by component.

    The T = (size / patch)^2 + 1 tokens of a frame (patches and class token) attend within the frame only. Returns
    exact counts: ``patch_conv``, ``mlp`` (c_fc and c_proj), ``attention_projections`` (q, k, v and output),
    ``attention_qk`` and ``attention_av`` (T x T products, all heads together), ``visual_projection`` (class token to
    ``embed_dim``). Raises ``ConfigError`` when a size is not positive or the frame is not a whole number of patches.
    """
    _positive(width=width, layers=layers, patch=patch, embed_dim=embed_dim, frames=frames, size=size)
    if size % patch:
        raise ConfigError(f"size must be a multiple of the patch size {patch}, not {size}")
    patches = (size // patch) ** 2
    tokens = patches + 1
    return {
        "patch_conv": frames * patches * 3 * patch * patch * width,
        "mlp": frames * tokens * layers * 2 * width * int(width * mlp_ratio),
        "attention_projections": frames * tokens * layers * 4 * width * width,
        "attention_qk": frames * layers * tokens * tokens * width,
        "attention_av": frames * layers * tokens * tokens * width,
        "visual_projection": frames * width * embed_dim,
    }


def macs(arch: str, frames: int = 8, size: int = 224) -> dict[str, dict[str, float]]:
    """GMACs (10^9) of the visual tower of ``arch`` for one view of ``frames`` frames of ``size`` x ``size`` pixels.

    Returns ``{"components": {name: G}, "totals": {convention: G}}`` with the components of ``tower_macs`` and the
    conventions ``SKIPS_MHA`` (to compare with the GFLOPs of Tables 1 and 11) and ``COMPLETE``. What SFAR adds is in
    ``head_macs``. Raises ``ConfigError`` for an unknown architecture or an impossible size.
    """
    counts = _tower_macs(_config(arch), frames, size)
    return {
        "components": {name: count / 1e9 for name, count in counts.items()},
        "totals": {
            SKIPS_MHA: sum(counts[name] for name in _HOOKED) / 1e9,
            COMPLETE: sum(counts.values()) / 1e9,
        },
    }


def head_macs(
    width: int, classes: int, frames: int, words: int, subtexts: int, head: str = "printed"
) -> dict[str, dict[str, float]]:
    """GMACs (10^9) that SFAR adds to the visual tower, for one view scored against every class.

    ``width``: d, the width of CLIP's joint space; ``classes``: C; ``frames``: L; ``words``: word embeddings kept of a
    text, global or sub-text, padding included; ``subtexts``: N per class.

    The text tower is frozen, so whatever depends on text alone is computed once for a set of classes and kept:
    ``cached`` has Eqs. 4-6 (``text_projections``: W^q on the global text, W^k and W^v on the sub-texts, and with
    ``head="mha"`` the output projection; ``text_qk`` and ``text_av``). ``components`` is paid for every view:
    ``coarse_similarity`` (Eq. 7, each augmented word against each frame), ``coarse_pooling`` (Eq. 8),
    ``fine_similarity`` (Eq. 9, with the mean over words taken beforehand, which the cosine allows: C x N vectors of
    width d instead of C x N x words), ``fine_pooling`` (Eq. 10), ``ffn_coarse`` and ``ffn_fine`` (Eq. 11, on the
    embedding of every class) and ``class_similarity`` (o against the class embedding).

    Returns ``{"components": {...}, "cached": {...}, "totals": {"per view": G, "once per class set": G, "hooked": G}}``;
    ``hooked`` is the part of a view that a counter of module calls sees (the linears of the two FFNs), the one to add
    to ``SKIPS_MHA``. Raises ``ConfigError`` for sizes below 1 or an unknown head.
    """
    _positive(width=width, classes=classes, frames=frames, words=words, subtexts=subtexts)
    _known_head(head)
    ffn = classes * 2 * width * width
    components = {
        "coarse_similarity": classes * words * frames * width,
        "coarse_pooling": classes * frames * width,
        "fine_similarity": classes * subtexts * frames * width,
        "fine_pooling": classes * frames * width,
        "ffn_coarse": ffn,
        "ffn_fine": ffn,
        "class_similarity": classes * width,
    }
    rows = words + 2 * subtexts * words + (words if head == "mha" else 0)
    cached = {
        "text_projections": classes * rows * width * width,
        "text_qk": classes * words * subtexts * words * width,
        "text_av": classes * words * subtexts * words * width,
    }
    return {
        "components": {name: count / 1e9 for name, count in components.items()},
        "cached": {name: count / 1e9 for name, count in cached.items()},
        "totals": {
            "per view": sum(components.values()) / 1e9,
            "once per class set": sum(cached.values()) / 1e9,
            "hooked": 2 * ffn / 1e9,
        },
    }


def _known_head(head: str) -> None:
    if head not in HEADS:
        raise ConfigError(f"unknown head {head!r}: the heads are {', '.join(HEADS)}")


def head_parameters(width: int, head: str = "printed") -> dict[str, int]:
    """Exact parameter counts of SFAR's head at width d, by component.

    ``head.attention``: W^q, W^k and W^v without biases, as Eq. 4 prints them (``"printed"``, 3 d^2), or an
    ``nn.MultiheadAttention`` with output projection and biases (``"mha"``, 4 d^2 + 4 d). ``head.ffn_coarse`` and
    ``head.ffn_fine``: Linear-ReLU-Linear of width d with biases (Eq. 11). Raises ``ConfigError`` for an unknown head.
    """
    _positive(width=width)
    _known_head(head)
    ffn = 2 * (width * width + width)
    attention = 3 * width * width if head == "printed" else 4 * width * width + 4 * width
    return {"head.attention": attention, "head.ffn_coarse": ffn, "head.ffn_fine": ffn}


def parameters(arch: str, head: str = "printed") -> dict[str, int]:
    """Exact parameter counts of SFAR on ``arch``, by component; their sum is every parameter there is.

    Components of CLIP: ``visual`` (the whole tower with its projection), ``text_blocks`` (the 12 blocks of the text
    transformer), ``token_embedding``, ``positional_embedding``, ``ln_final``, ``text_projection``, ``logit_scale``;
    then those of ``head_parameters`` at the width of the joint space. Raises ``ConfigError`` for an unknown
    architecture or head.
    """
    _known_head(head)
    return {**_clip_parameters(arch), **head_parameters(_config(arch)["embed_dim"], head)}


def _clip_parameters(arch: str) -> dict[str, int]:
    names = {"transformer": "text_blocks"}
    order = (
        "visual",
        "text_blocks",
        "token_embedding",
        "positional_embedding",
        "ln_final",
        "text_projection",
        "logit_scale",
    )
    counts: dict[str, int] = {
        name: 0 for name in order
    }  # a parameter of no known part is a KeyError, not a wrong total
    for name, parameter in skeleton(arch).named_parameters():
        part = name.split(".")[0]
        counts[names.get(part, part)] += parameter.numel()
    return counts


def _printed_millions(arch: str, method: str) -> tuple[float, str]:
    """The number of parameters (millions) the paper prints for ``method`` beside ``arch``, and the row it stands in."""
    table, _ = _PAPER[arch]
    backbone = "-".join(arch.split("-")[:2]) + "/" + arch.split("-")[2]
    row = next(r for r in paper.load(table) if r["method"] == method and r["backbone"] == backbone)
    return row["params_m"], row["source_row"]


def inventories(arch: str) -> list[dict[str, Any]]:
    """Ways to add up the parameters of ``arch``, each beside what the paper prints.

    The paper prints one number per architecture and never says what is in it. For ViT-B/16 two inventories round to
    the printed one, so no total is claimed here as the paper's own: read the components. Those whose name starts with
    "BIKE's row" start from the number printed for BIKE in the same table instead of a counted tower, because no
    counted inventory of ViT-L/14 reaches the printed one.

    Each entry has ``name``, ``components`` ({component: count}), ``total_m`` (millions), ``paper_row`` (the row it is
    compared with), ``paper_m`` (millions as printed) and ``fits`` (bool: rounded like the paper, the two are equal).
    Raises ``ConfigError`` for an unknown architecture.
    """
    clip, width = _clip_parameters(arch), _config(arch)["embed_dim"]
    printed, mha = head_parameters(width, "printed"), head_parameters(width, "mha")
    _, decimals = _PAPER[arch]
    ours, bike = _printed_millions(arch, "SFAR (ours)"), _printed_millions(arch, "BIKE")
    nominal = {"BIKE's row": round(bike[0] * 1e6)}

    def entry(name: str, components: dict[str, int], against: tuple[float, str] = ours) -> dict[str, Any]:
        total = sum(components.values()) / 1e6
        return {
            "name": name,
            "components": components,
            "total_m": total,
            "paper_row": against[1],
            "paper_m": against[0],
            "fits": round(total, decimals) == against[0],
        }

    def pick(*names: str) -> dict[str, int]:
        return {name: clip[name] for name in names}

    towers = ("visual", "text_blocks")
    return [
        entry("visual + text blocks + text_projection + printed head", pick(*towers, "text_projection") | printed),
        entry("visual + text blocks + mha head", pick(*towers) | mha),
        entry("visual + text blocks + positional embedding + mha head", pick(*towers, "positional_embedding") | mha),
        entry("visual + mha head", pick("visual") | mha),
        entry("BIKE's row + text_projection + printed head", nominal | pick("text_projection") | printed),
        entry("BIKE's row + mha head", nominal | mha),
        entry("plain CLIP, everything", clip),
        entry("CLIP + printed head, everything", clip | printed),
        entry("CLIP + mha head, everything", clip | mha),
        entry(
            "visual + text blocks + positional embedding (BIKE without a head)",
            pick(*towers, "positional_embedding"),
            bike,
        ),
    ]


# --- a training run, estimated -------------------------------------------------------------------------------------

# What autograd keeps of one block for the backward pass, in values a token: widths of the residual stream (inputs of
# both norms, of the attention's and the MLP's projections, q, k, v and the attention's output: 8) and hidden widths of
# the MLP (before and after QuickGELU, and its factor: 3). Attention runs as one fused kernel that keeps no T x T
# matrix. A test counts them.
KEPT_WIDTHS, KEPT_HIDDEN = 8, 3
# Vectors of width d that the head keeps of each video and class: the video embedding (``kernels.fused``).
KEPT_PER_CLASS = 1


@dataclass(frozen=True)
class _Tower:
    """Of a vision transformer: width, number of blocks, patch size in pixels, width of the MLP over width."""

    width: int
    layers: int
    patch: int
    mlp_ratio: float


def _tower(config: dict[str, Any]) -> _Tower:
    """The visual tower of an open_clip model configuration, with open_clip's defaults for what it leaves out.

    Raises ``ConfigError`` for what is no vision transformer of open_clip's own.
    """
    import open_clip

    v = open_clip.CLIPVisionCfg(**config["vision_cfg"])
    if not isinstance(v.layers, int) or v.timm_model_name:
        raise ConfigError("costs are known for vision transformers of open_clip's own only")
    return _Tower(v.width, v.layers, v.patch_size, v.mlp_ratio)


def _tower_macs(config: dict[str, Any], frames: int, size: int) -> dict[str, int]:
    v = _tower(config)
    return tower_macs(v.width, v.layers, v.patch, config["embed_dim"], frames, size, v.mlp_ratio)


def clip_macs(config: dict[str, Any], frames: int, size: int) -> int:
    """Exact MACs, everything counted, of the visual tower of an open_clip model configuration; see ``tower_macs``."""
    return sum(_tower_macs(config, frames, size).values())


def training_memory(
    config: dict[str, Any],
    batch: int,
    frames: int,
    size: int,
    classes: int,
    train_visual: bool = True,
    half: bool = True,
    checkpointed: bool = False,
) -> dict[str, float]:
    """Bytes that one training step of SFAR needs at the least, by part: an estimate from shapes.

    ``batch`` videos of ``frames`` frames of ``size`` x ``size`` pixels on one device, logits over ``classes``;
    ``half``: bf16 autocast; ``checkpointed``: of each block the input alone is kept, and all of one block.

    ``weights``: single precision, and their bf16 copies. ``gradients and Adam``: gradient and two moments of what is
    trained. ``activations``: what the visual tower keeps for the backward pass (``KEPT_WIDTHS``, ``KEPT_HIDDEN``; under
    autocast in bf16, but the norms' inputs in single precision), nothing of a frozen tower. ``head``:
    ``KEPT_PER_CLASS`` vectors of each video and class. Not counted: the GPU's own context, the temporaries of a kernel,
    what the allocator holds in reserve.
    """
    import open_clip
    import torch

    v = _tower(config)
    with torch.device("meta"):
        clip = open_clip.CLIP(**config)
    total, visual = (sum(p.numel() for p in m.parameters()) for m in (clip, clip.visual))
    head = sum(head_parameters(config["embed_dim"]).values())
    trained = head + 1 + (visual if train_visual else 0)
    tokens = (size // v.patch) ** 2 + 1
    value = 2 if half else 4
    norms = 2 * v.width * (4 - value)  # the inputs of both stay in single precision
    block = v.width * KEPT_WIDTHS * value + norms + KEPT_HIDDEN * int(v.width * v.mlp_ratio) * value
    token = v.layers * v.width * value + block if checkpointed else v.layers * block
    return {
        "weights": 4.0 * (total + head) + (2.0 * visual if half else 0.0),
        "gradients and Adam": 12.0 * trained,
        "frames": 4.0 * batch * frames * 3 * size * size,
        "activations": float(batch * frames * tokens * token) if train_visual else 0.0,
        "head": 4.0 * KEPT_PER_CLASS * batch * classes * config["embed_dim"],
    }

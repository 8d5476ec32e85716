"""Every form in which CLIP is published is read to the same tensors; any other file is called what it is."""

import json
import zipfile
from collections import OrderedDict

import numpy as np
import open_clip
import pytest
import safetensors.torch
import tiny
import torch
from safetensors.torch import save, save_file

from sfar.errors import ConfigError
from sfar.model.clip import build, load_clip, weights_hash, weights_id
from sfar.model.weights_kind import Shape, models_of, shape_of

QUICK, GELU = "tiny-quickgelu", "tiny"


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Two open_clip models of 32 pixels, with QuickGELU and without, one of 64 pixels, and one that is much larger."""
    from open_clip import factory

    larger = {**tiny.CONFIG, "vision_cfg": {**tiny.CONFIG["vision_cfg"], "image_size": 64}}
    own = {GELU: tiny.CONFIG, QUICK: {**tiny.CONFIG, "quick_gelu": True}, "tiny-64": larger}
    plain = {name: factory._MODEL_CONFIGS[name] for name in ("ViT-L-14", "ViT-L-14-quickgelu", "RN50", "ViT-S-32-alt")}
    monkeypatch.setattr(factory, "_MODEL_CONFIGS", own | plain)


def weights():
    return dict(tiny.clip().state_dict())


def hugging_face(state):
    """The same weights under the names of transformers' ``CLIPModel``, as it lays them out."""
    out = {"logit_scale": state["logit_scale"]}
    towers = (
        ("vision_model", "visual.", "pre_layrnorm ln_pre post_layernorm ln_post"),
        (
            "text_model",
            "",
            "final_layer_norm ln_final",
        ),
    )
    out["vision_model.embeddings.class_embedding"] = state["visual.class_embedding"]
    out["vision_model.embeddings.patch_embedding.weight"] = state["visual.conv1.weight"]
    out["visual_projection.weight"] = state["visual.proj"].T.contiguous()
    out["text_model.embeddings.token_embedding.weight"] = state["token_embedding.weight"]
    out["text_projection.weight"] = state["text_projection"].T.contiguous()
    for tower, own, norms in towers:
        out[f"{tower}.embeddings.position_embedding.weight"] = state[f"{own}positional_embedding"]
        out[f"{tower}.embeddings.position_ids"] = torch.arange(len(state[f"{own}positional_embedding"]))[None]
        named = norms.split()
        for theirs, ours in zip(named[::2], named[1::2], strict=True):
            for kind in ("weight", "bias"):
                out[f"{tower}.{theirs}.{kind}"] = state[f"{own}{ours}.{kind}"]
        for i in range(tiny.CONFIG["vision_cfg" if own else "text_cfg"]["layers"]):
            here, there = f"{own}transformer.resblocks.{i}", f"{tower}.encoder.layers.{i}"
            for kind in ("weight", "bias"):
                for x, part in zip("qkv", state[f"{here}.attn.in_proj_{kind}"].chunk(3), strict=True):
                    out[f"{there}.self_attn.{x}_proj.{kind}"] = part.contiguous()
                for theirs, ours in (
                    ("self_attn.out_proj", "attn.out_proj"),
                    ("layer_norm1", "ln_1"),
                    ("layer_norm2", "ln_2"),
                    ("mlp.fc1", "mlp.c_fc"),
                    ("mlp.fc2", "mlp.c_proj"),
                ):
                    out[f"{there}.{theirs}.{kind}"] = state[f"{here}.{ours}.{kind}"]
    return out


def under(prefix, state):
    return {f"{prefix}{k}": v for k, v in state.items()}


def with_numbers(state):
    """As OpenAI's scripted model gives it."""
    return state | {
        "input_resolution": torch.tensor(32),
        "context_length": torch.tensor(77),
        "vocab_size": torch.tensor(49408),
    }


def apart(state):
    """The towers kept apart, as models with learned prompts keep them."""
    names = {k: f"image_encoder.{k[7:]}" if k.startswith("visual.") else f"text_encoder.{k}" for k in state}
    return {k if k == "logit_scale" else names[k]: v for k, v in state.items()}


class Archive(torch.nn.Module):
    """The tensors of a CLIP under their own names, with the three numbers that OpenAI's archives hold besides."""

    def __init__(self, model):
        super().__init__()
        for name, child in model.named_children():
            self.add_module(name, child)
        for name, p in model.named_parameters(recurse=False):
            self.register_parameter(name, p)
        for name, value in with_numbers({}).items():
            self.register_buffer(name, value)

    def forward(self, x):
        return x * self.logit_scale


def archive(path, model=None):
    model = (model or tiny.clip()).half()
    torch.jit.save(torch.jit.trace(Archive(model), torch.ones(1).half()), path)


SAVED = {
    "state dict": weights,
    "open_clip, training": lambda: {
        "epoch": 3,
        "name": "run",
        "state_dict": under("module.", weights()),
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]},
        "scaler": {"scale": 65536.0},
    },
    "model": lambda: {"model": weights(), "epoch": 1},
    "model_state_dict": lambda: {"model_state_dict": weights(), "optimizer_state_dict": {"state": {}}},
    "model, state_dict": lambda: {"model": {"state_dict": weights()}},
    "BIKE without a head": lambda: {"model_state_dict": weights(), "fusion_model_state_dict": OrderedDict()},
    "OpenAI, state dict of the scripted model": lambda: with_numbers(weights()),
    "OpenAI, in a trained model": lambda: {"state_dict": under("module.clip.", with_numbers(weights()))},
    "half": lambda: {k: v.half() for k, v in weights().items()},
    "bfloat16": lambda: {k: v.bfloat16() for k, v in weights().items()},
    "double": lambda: {k: v.double() for k, v in weights().items()},
    **{
        f"under {p}": lambda p=p: under(p, weights())
        for p in ("module.", "model.", "clip.", "clip_model.", "module.model.", "_orig_mod.", "backbone.clip.")
    },
    "towers apart": lambda: apart(weights()),
    "towers apart, under module.": lambda: under("module.", apart(weights())),
    "scale in a list": lambda: weights() | {"logit_scale": weights()["logit_scale"][None]},
    "causal mask": lambda: weights() | {"attn_mask": torch.zeros(77, 77).fill_(-torch.inf).triu_(1)},
    "averaged": lambda: {"n_averaged": torch.tensor(5)} | under("module.", weights()),
    "counted": lambda: weights() | {"visual.total_ops": torch.zeros(1), "total_params": torch.zeros(1)},
    "Hugging Face": lambda: hugging_face(weights()),
    "Hugging Face, in a trained model": lambda: {"state_dict": under("model.clip.", hugging_face(weights()))},
}


def check(path, cast=None):
    want, got = weights(), load_clip(QUICK, str(path)).state_dict()
    assert got.keys() == want.keys()
    for k, v in want.items():
        v = v if cast is None else v.to(cast).float()
        assert got[k].dtype == torch.float32 and torch.equal(got[k], v), k


@pytest.mark.parametrize("form", SAVED)
def test_what_torch_wrote(form, tmp_path):
    path = tmp_path / "weights"  # told by its bytes, not by its name
    torch.save(SAVED[form](), path)
    check(path, {"half": torch.float16, "bfloat16": torch.bfloat16}.get(form))


@pytest.mark.parametrize("form", ["state dict", "Hugging Face", "half", "under clip.", "towers apart"])
def test_what_safetensors_wrote(form, tmp_path):
    save_file(SAVED[form](), tmp_path / "weights.pt")
    check(tmp_path / "weights.pt", {"half": torch.float16}.get(form))


def test_what_torch_wrote_before_1_6(tmp_path):
    torch.save({"state_dict": weights()}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    check(tmp_path / "old.pth")


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_openais_own_archive(tmp_path):
    archive(tmp_path / "ViT.pt")
    check(tmp_path / "ViT.pt", torch.float16)
    with pytest.raises(ConfigError, match=r"made with QuickGELU \(OpenAI's weights\).*set model.clip=tiny-quickgelu"):
        load_clip(GELU, str(tmp_path / "ViT.pt"))
    archive(tmp_path / "wide.pt", build({**tiny.CONFIG, "embed_dim": 24}))
    with pytest.raises(ConfigError, match=r"wide.pt does not .*another CLIP, of dimensions 24 \(.*: dimensions 16\)"):
        load_clip(QUICK, str(tmp_path / "wide.pt"))


# --- folders and what stands beside the weights ---


def config(act="quick_gelu", kind="clip", heads=2):
    return {
        "model_type": kind,
        "vision_config": {"hidden_act": act, "num_attention_heads": 2},
        "text_config": {"hidden_act": act, "num_attention_heads": heads},
    }


def folder(path, file="model.safetensors", about=None, name="config.json"):
    state = hugging_face(weights()) if name == "config.json" else weights()
    path.mkdir(exist_ok=True)
    if file.endswith(".safetensors"):
        save_file(state, path / file)
    else:
        torch.save(state, path / file)
    if about is not None:
        (path / name).write_text(json.dumps(about))
    return path


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_a_folder_of_hugging_face(tmp_path, file):
    check(folder(tmp_path, file))  # without a configuration: the name of the model decides
    check(folder(tmp_path, file, config()))
    check(tmp_path / file)
    assert weights_id(QUICK, str(tmp_path)) == [QUICK, weights_hash(tmp_path / file)]
    for path in (tmp_path, tmp_path / file):
        with pytest.raises(
            ConfigError, match=r"QuickGELU \(config.json\), tiny has GELU.*set model.clip=tiny-quickgelu"
        ):
            load_clip(GELU, str(path))
    folder(tmp_path, file, config("gelu"))
    load_clip(GELU, str(tmp_path))
    with pytest.raises(ConfigError, match=r"made with GELU \(config.json\), .* has QuickGELU.*set model.clip=tiny$"):
        load_clip(QUICK, str(tmp_path))


def test_a_folder_in_parts(tmp_path):
    state = hugging_face(weights())
    halves = [dict(list(state.items())[::2]), dict(list(state.items())[1::2])]
    names = [f"model-{i}-of-2.safetensors" for i in (1, 2)]
    for half, name in zip(halves, names, strict=True):
        save_file(half, tmp_path / name)
    index = {"weight_map": {k: name for half, name in zip(halves, names, strict=True) for k in half}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    check(tmp_path)
    assert weights_id(QUICK, str(tmp_path)) == [QUICK, *(weights_hash(tmp_path / n) for n in names)]
    (tmp_path / names[1]).unlink()
    for read in (load_clip, weights_id):
        with pytest.raises(ConfigError, match=r"lacks 1 of the 2 files .*, such as model-2-of-2"):
            read(QUICK, str(tmp_path))
    for wrong in ({}, {"weight_map": {"a": 1}}, {"weight_map": ["a"]}):
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps(wrong))
        with pytest.raises(ConfigError, match=r"index.json does not list the parts"):
            load_clip(QUICK, str(tmp_path))


def test_the_clip_of_a_larger_model_in_parts_is_saved_from_all_of_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state = {**hugging_face(weights()), "classifier.weight": torch.ones(3, 4)}
    index = {"weight_map": {k: f"model-{1 + i % 2}-of-2.safetensors" for i, k in enumerate(state)}}
    for name in set(index["weight_map"].values()):
        save_file({k: v for k, v in state.items() if index["weight_map"][k] == name}, name)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ConfigError) as e:
        load_clip(QUICK, str(tmp_path))
    exec(str(e.value).partition("save it: ")[2], {"torch": torch, "safetensors": safetensors})
    check("clip.pt")


@pytest.mark.parametrize(
    "about, words",
    [
        (config("gelu_new"), "says hidden_act gelu_new, which no CLIP here has"),
        (config(heads=1), r"its text tower has 1 heads \(config.json\), that of tiny-quickgelu 2"),
        (config(kind="metaclip_2"), r"another architecture, metaclip_2 \(config.json\)"),
        ([1], r"config.json beside it is no configuration of CLIP"),
    ],
)
def test_what_the_configuration_says(tmp_path, about, words):
    with pytest.raises(ConfigError, match=words):
        load_clip(QUICK, str(folder(tmp_path, about=about)))


def test_a_folder_of_open_clip(tmp_path):
    about = {"model_cfg": {**tiny.CONFIG, "quick_gelu": True}, "preprocess_cfg": {}}
    check(folder(tmp_path, "open_clip_model.safetensors", about, "open_clip_config.json"))
    with pytest.raises(ConfigError, match=r"QuickGELU \(open_clip_config.json\)"):
        load_clip(GELU, str(tmp_path / "open_clip_model.safetensors"))
    about["model_cfg"]["text_cfg"] = {**tiny.CONFIG["text_cfg"], "heads": 4}
    with pytest.raises(ConfigError, match=r"text tower has 4 heads"):
        load_clip(QUICK, str(folder(tmp_path, "open_clip_model.safetensors", about, "open_clip_config.json")))


def test_a_folder_without_weights(tmp_path):
    for use in (load_clip, weights_id):
        with pytest.raises(ConfigError, match=r"holds no weights of CLIP: expected one of open_clip_model.safetensors"):
            use(QUICK, str(tmp_path))


def test_a_tag_is_no_file(tmp_path, monkeypatch):
    """Whatever lies in the folder at hand under the same name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "openai").mkdir()
    assert weights_id("ViT-B-16-quickgelu", "openai") == ["ViT-B-16-quickgelu", "openai"]
    with pytest.raises(ConfigError, match=r"'none.pt' is neither a file nor weights that open_clip has for tiny"):
        load_clip(GELU, "none.pt")


# --- refused ---


def without(state, *patterns):
    return {k: v for k, v in state.items() if not k.startswith(patterns)}


TEXT = ("token_embedding", "positional_embedding", "transformer.", "ln_final", "text_projection", "logit_scale")


def part(value, key="visual.proj"):
    state = weights()
    state[key] = state[key].clone()
    state[key].view(-1)[3] = value
    return state


def resized():
    torch.manual_seed(0)
    return dict(build({**tiny.CONFIG, "vision_cfg": {**tiny.CONFIG["vision_cfg"], "image_size": 64}}).state_dict())


def named(*names):
    return {n: torch.zeros(2, 2) for n in names}


REFUSED = {
    "vision alone": (lambda: without(weights(), *TEXT), "a vision-only tower, and texts are needed too"),
    "vision alone, its own names": (
        lambda: {k[7:]: v for k, v in weights().items() if k.startswith("visual.")},
        "a vision-only tower",
    ),
    "text alone": (lambda: without(weights(), "visual."), "a text-only tower, and frames are needed too"),
    "vision alone, Hugging Face": (lambda: without(hugging_face(weights()), "text_"), "a vision-only tower"),
    "text alone, Hugging Face": (lambda: without(hugging_face(weights()), "vis"), "a text-only tower"),
    "a tensor is missing": (
        lambda: without(weights(), "visual.ln_post.bias"),
        "1 of CLIP's .* tensors are missing, such as 'visual.ln_post.bias'",
    ),
    "a value projection is missing": (
        lambda: without(hugging_face(weights()), "text_model.encoder.layers.1.self_attn.v_proj.bias"),
        r"missing, such as 'transformer.resblocks.1.attn.in_proj_bias'",
    ),
    "another tensor": (lambda: weights() | named("visual.more"), "1 tensors within its towers .* 'visual.more'"),
    "a head": (
        lambda: {"model": under("clip.", weights()) | named("temporal.weight")},
        r"its CLIP is complete, and 1 tensors \(temporal\) would be left out. .*_only=True\)\['model'\].items\(\)",
    ),
    "BIKE": (
        lambda: {
            "epoch": 29,
            "model_state_dict": weights(),
            "fusion_model_state_dict": named("frame_position_embeddings.weight", "transformer.resblocks.0.ln_1.weight"),
            "optimizer_state_dict": {"state": {}, "param_groups": []},
        },
        r"such as BIKE's: its CLIP is complete, and its head \('fusion_model_state_dict', 2 tensors\) would be left "
        r"out. To take the CLIP alone, save it: torch.save\(torch.load\(.*\)\['model_state_dict'\]",
    ),
    "two models": (lambda: {"model": weights(), "model_ema": weights()}, "2 CLIPs, in 'model', 'model_ema'"),
    "two models, one dictionary": (
        lambda: under("student.", weights()) | under("teacher.", weights()),
        "2 CLIPs, under 'student.', 'teacher.'",
    ),
    "ViFi-CLIP": (
        lambda: (
            under("module.", without(apart(weights()), "text_encoder.token_embedding"))
            | named("module.prompt_learner.complete_text_embeddings")
        ),
        r"prompts for the classes .*, such as ViFi-CLIP or CoOp, without the vocabulary \(token_embedding.weight\)",
    ),
    "X-CLIP": (lambda: weights() | named("mit.positional_embedding"), "X-CLIP"),
    "AIM": (
        lambda: weights() | named("visual.transformer.resblocks.0.S_Adapter.D_fc1.weight"),
        "video model with adapters in its tower, such as AIM: 1 tensors within its towers",
    ),
    "attention over time": (lambda: weights() | named("visual.time_embedding"), "attention over time in its tower"),
    "adapters": (lambda: named("base_model.model.visual.proj.lora_A.weight"), "LoRA"),
    "SigLIP": (lambda: named("visual.trunk.attn_pool.latent", "logit_bias"), "SigLIP, which is no CLIP"),
    "SigLIP, Hugging Face": (
        lambda: hugging_face(weights()) | named("vision_model.head.probe", "logit_bias"),
        "SigLIP, which is no CLIP",
    ),
    "EVA": (lambda: named("visual.blocks.0.attn.q_proj.weight", "text.ln_final.bias"), "EVA-CLIP"),
    "CoCa": (lambda: weights() | named("text_decoder.ln_final.bias"), "CoCa, which is no CLIP"),
    "ConvNeXt": (lambda: named("visual.trunk.stages.0.blocks.0.norm.bias", "text.ln_final.bias"), "a ConvNeXt"),
    "BERT for texts": (lambda: named("text.transformer.embeddings.x", "visual.proj"), "a BERT for its texts"),
    "ResNet CLIP": (
        lambda: without(weights(), "visual.") | named("visual.layer1.0.conv1.weight", "visual.attnpool.k_proj.bias"),
        "a ResNet CLIP: set model.clip to its name, such as RN50-quickgelu",
    ),
    "ViT": (lambda: named("cls_token", "blocks.0.attn.qkv.weight"), "a ViT without texts"),
    "ResNet": (lambda: named("layer1.0.conv1.weight", "fc.bias"), "a ResNet without texts"),
    "language model": (lambda: named("model.embed_tokens.weight"), "a language model"),
    "something else": (lambda: named("encoder.weight"), "another architecture: none of CLIP's .* 'encoder.weight'"),
    "another resolution": (
        resized,
        "another CLIP, of pixels 64 .*: pixels 32.; set model.clip=tiny-64 and data.image_size=64",
    ),
    "another width": (
        lambda: dict(build({**tiny.CONFIG, "vision_cfg": {**tiny.CONFIG["vision_cfg"], "width": 48}}).state_dict()),
        r"another CLIP, of width 48, hidden 96 \(tiny-quickgelu: width 32, hidden 64\); open_clip has no model like",
    ),
    "another shape": (
        lambda: weights() | {"visual.ln_pre.bias": torch.zeros(31)},
        "1 tensors have other shapes: 'visual.ln_pre.bias' 31, tiny-quickgelu takes 32",
    ),
    "NaN": (lambda: part(torch.nan), r"NaN or infinite numbers in 1 tensors \(1 in 'visual.proj'\)"),
    "infinite": (lambda: part(-torch.inf, "ln_final.bias"), r"in 1 tensors \(1 in 'ln_final.bias'\)"),
    "too large for single": (
        lambda: {k: v.double() for k, v in part(1e4).items()} | {"logit_scale": torch.tensor(1e300)},
        "NaN",
    ),
    "whole numbers": (
        lambda: weights() | {"visual.proj": torch.zeros(32, 16, dtype=torch.int8)},
        r"quantised \('visual.proj' is int8\)",
    ),
    "complex": (
        lambda: weights() | {"visual.proj": torch.zeros(32, 16, dtype=torch.complex64)},
        "'visual.proj' is complex64, which no weights of CLIP are",
    ),
    "eight bits": (
        lambda: {k: v.to(torch.float8_e4m3fn) for k, v in weights().items()},
        r"quantised \('.*' is float8_e4m3fn\)",
    ),
    "sfar train": (lambda: under("clip.", without(weights(), *TEXT)) | named("head.ffn.0.weight"), "of `sfar train`"),
    "a list": (lambda: [1, 2], "it holds a list and no dictionary"),
    "a tensor": (lambda: torch.zeros(2), "it holds a single tensor"),
    "nothing": (dict, "holds no tensors .an empty dictionary"),
    "an empty list": (lambda: {"state_dict": []}, "holds no tensors .'state_dict'"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_is_no_clip(form, tmp_path):
    make, words = REFUSED[form]
    torch.save(make(), tmp_path / "x.pt")
    with pytest.raises(
        ConfigError, match=rf"(?s)^{tmp_path}/x.pt does not hold the weights of {QUICK}: .*{words}"
    ) as e:
        load_clip(QUICK, str(tmp_path / "x.pt"))
    assert "\n" not in str(e.value)


def test_the_clip_of_a_trained_model_is_had_as_the_message_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for form in ("BIKE", "a head"):
        torch.save(REFUSED[form][0](), "trained.pt")
        with pytest.raises(ConfigError) as e:
            load_clip(QUICK, "trained.pt")
        exec(str(e.value).partition("save it: ")[2], {"torch": torch})
        check("clip.pt")


class Config:
    """Stands for the objects that many a trainer saves with its weights."""


def test_objects_are_not_unpickled(tmp_path):
    torch.save({"model": weights(), "config": Config()}, tmp_path / "x.pt")
    with pytest.raises(ConfigError, match=r"objects besides tensors \(\w*test_weights.Config\), which could run code"):
        load_clip(QUICK, str(tmp_path / "x.pt"))
    torch.save({"model": {k: v.numpy() for k, v in weights().items()}}, tmp_path / "x.pt")
    with pytest.raises(ConfigError, match=r"objects besides tensors \(numpy"):
        load_clip(QUICK, str(tmp_path / "x.pt"))


def zipped(path, **files):
    with zipfile.ZipFile(path, "w") as z:
        for name, text in files.items():
            z.writestr(name, text)


def numpys(path):
    with open(path, "wb") as f:
        np.savez(f, np.zeros(3))


BYTES = {
    "empty": (b"", "it is empty"),
    "LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n",
        "pointer of Git LFS.*git lfs pull",
    ),
    "HTML": (b"\n<!DOCTYPE html><html>Sign in</html>", r"a web page \(HTML\)"),
    "XML": (b"<?xml version='1.0'?><Error>AccessDenied</Error>", "a web page"),
    "JSON": (b'{"error": "Repository not found"}', "it is JSON"),
    "gzip": (b"\x1f\x8b\x08" + bytes(20), "a gzip archive; unpack it"),
    "tar": (bytes(257) + b"ustar" + bytes(300), "a tar archive; unpack it"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(90), "TensorFlow or Keras"),
    "text": (b"not a model\n" * 9, "no file of weights"),
    "pickle": (b"\x80\x02.", "cannot be read"),
}


@pytest.mark.parametrize("form", BYTES)
@pytest.mark.parametrize("name", ["x.pt", "x.safetensors"])
def test_what_is_no_file_of_weights(form, name, tmp_path):
    content, words = BYTES[form]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=rf"{name} does not hold the weights of {QUICK}: .*{words}") as e:
        load_clip(QUICK, str(tmp_path / name))
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("share", [0.00001, 0.001, 0.5, 0.999])
@pytest.mark.parametrize("kind", ["torch", "safetensors", "old"])
def test_a_file_that_is_cut_off(share, kind, tmp_path):
    path = tmp_path / "x"
    if kind == "safetensors":
        path.write_bytes(save(weights()))
    else:
        torch.save(weights(), path, _use_new_zipfile_serialization=kind == "torch")
    whole = path.read_bytes()
    path.write_bytes(whole[: max(9, int(share * len(whole)))])
    with pytest.raises(ConfigError, match=r"does not hold the weights of tiny-quickgelu: .*(cut off|damaged)") as e:
        load_clip(QUICK, str(path))
    assert "\n" not in str(e.value)


def test_archives_of_something_else(tmp_path):
    zipped(tmp_path / "a.zip", **{"ViT-B-16.pt": "x"})
    with pytest.raises(ConfigError, match=r"a zip archive and no file of torch; unpack it"):
        load_clip(QUICK, str(tmp_path / "a.zip"))
    numpys(tmp_path / "a.npz")
    with pytest.raises(ConfigError, match=r"arrays of numpy, as weights of JAX"):
        load_clip(QUICK, str(tmp_path / "a.npz"))
    zipped(tmp_path / "a.pt", **{"a/constants.pkl": "x", "a/data.pkl": "y"})
    with pytest.raises(ConfigError, match=r"cannot be read as a TorchScript archive"):
        load_clip(QUICK, str(tmp_path / "a.pt"))


# --- which CLIP ---


def test_the_model_that_weights_are_of(tmp_path):
    """Told by the configurations, without making a model of that size."""
    assert shape_of(tiny.clip().state_dict()) == Shape(32, 8, 32, 1, 64, 16, 16, 2, 77, 49408)
    assert models_of(Shape(32, 8, 32, 1, 64, 16, 16, 2, 77, 49408)) == [GELU, QUICK]
    assert models_of(Shape(224, 14, 1024, 24, 4096, 768, 768, 12, 77, 49408)) == ["ViT-L-14", "ViT-L-14-quickgelu"]
    save_file(weights(), tmp_path / "w")
    with pytest.raises(ConfigError, match=r"; set model.clip=tiny or tiny-quickgelu and data.image_size=32$"):
        load_clip("ViT-S-32-alt", str(tmp_path / "w"))


@pytest.mark.parametrize("name", ["ViT-B-16", "ViT-B-32-256", "ViT-H-14", "ViT-L-14-336", "ViT-g-14"])
def test_shapes_of_open_clips_own_models(name, monkeypatch):
    """As its configuration says and as its tensors do."""
    monkeypatch.undo()
    with torch.device("meta"):
        shape = shape_of(build(open_clip.get_model_config(name) or {}).state_dict())
    assert shape is not None and name in models_of(shape)


# --- what a download leaves half done, and what no publisher writes ---


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (
            {"a": "one.safetensors", "b": "two.safetensors"},
            "lacks 1 of the 2 files that .*index.json lists, such as two",
        ),
        ({"a": "part"}, "lacks 1 of the 1 files"),
        ({"a": 3}, "does not list the parts"),
        ({}, "lists no part"),
    ],
)
def test_a_folder_in_parts_that_are_not_all_there(tmp_path, parts, words):
    save_file(weights(), tmp_path / "one.safetensors")
    (tmp_path / "part").mkdir()
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    for call in (load_clip, weights_id):
        with pytest.raises(ConfigError, match=words):
            call(QUICK, str(tmp_path))


def test_a_pointer_of_lfs_beside_whole_weights_names_them(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(BYTES["LFS"][0])
    with pytest.raises(ConfigError, match=BYTES["LFS"][1]):
        load_clip(QUICK, str(tmp_path))
    torch.save(hugging_face(weights()), tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"model.safetensors is a pointer .*; pytorch_model.bin beside it is whole"):
        load_clip(QUICK, str(tmp_path))
    check(tmp_path / "pytorch_model.bin")


def in_itself():
    out = {}
    out["model"] = out
    return out


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (lambda: weights() | {"visual.proj": weights()["visual.proj"].to_sparse()}, "'visual.proj' is sparse"),
        (lambda: weights() | {"visual.proj": torch.empty(32, 16, device="meta")}, "'visual.proj' has no numbers"),
        (lambda: weights() | {"visual.positional_embedding": torch.empty(0, 0)}, "it is another CLIP, of pixels 0"),
        (in_itself, "it holds no tensors"),
    ],
)
@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
def test_tensors_that_cannot_be_weights(tmp_path, state, words):
    torch.save(state(), tmp_path / "a.pt")
    with pytest.raises(ConfigError, match=words):
        load_clip(QUICK, str(tmp_path / "a.pt"))


def test_a_configuration_that_divides_by_nothing(tmp_path):
    save_file(weights(), tmp_path / "open_clip_model.safetensors")
    about = {"vision_cfg": {"width": 32, "layers": 2, "head_width": 0}, "text_cfg": {}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(about))
    with pytest.raises(ConfigError, match=r"open_clip_config\.json beside it is no configuration of CLIP"):
        load_clip(QUICK, str(tmp_path))


@pytest.mark.parametrize("name", ["x" * 5000, "~nobody-of-that-name/clip.pt"])
def test_names_that_no_disk_has(name):
    with pytest.raises(ConfigError, match="is neither a file nor weights that open_clip has"):
        load_clip(QUICK, name)

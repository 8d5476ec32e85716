"""Word embeddings against open_clip's own ``encode_text``, and the loading of weights with all that can go wrong."""

import copy

import open_clip
import pytest
import tiny
import torch
from open_clip.model import CLIP
from safetensors.torch import save_file

from sfar.config import ModelConfig
from sfar.errors import ConfigError
from sfar.model.clip import (
    STORYBOARD,
    build,
    embed_frames,
    embed_texts,
    freeze_text_tower,
    load_clip,
    load_weights,
    storyboard_config,
    tokenize,
    weights_hash,
    weights_id,
)
from sfar.model.video_model import VideoModel

TEXTS = [
    "This is a video about long jump",
    "yoga",
    "Lowering the barbell back down to the ground, slowly.",
    "a photo of a dog!",
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen",
]
B16 = "ViT-B-16-quickgelu"


@pytest.fixture(scope="module", params=["tiny", B16, "storyboard"])
def model(request):
    if request.param == "tiny":
        return tiny.clip()
    torch.manual_seed(0)
    return load_clip(request.param)  # the large one without weights: randomly initialised, no download


@torch.no_grad()
def all_positions(model, texts):
    """Every position of the full window after the projection, without any cropping."""
    tokens = open_clip.SimpleTokenizer()(texts)
    x = model.token_embedding(tokens) + model.positional_embedding
    x = model.transformer(x, attn_mask=model.attn_mask)
    return model.ln_final(x) @ model.text_projection, tokens


# --- tokens ---


def test_tokens_are_open_clips():
    assert torch.equal(tokenize(TEXTS), open_clip.SimpleTokenizer()(TEXTS))
    assert tokenize(TEXTS).dtype == torch.int64 and tokenize(TEXTS, 40).shape == (5, 40)


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_an_empty_text(text):
    with pytest.raises(ConfigError, match=r"empty text prompt"):
        tokenize(["running", text])


def test_a_text_longer_than_the_window():
    fits = " ".join(["jump"] * 75)  # and the start and end tokens
    assert tokenize([fits])[0, -1] == tokenize([fits]).max()
    with pytest.raises(ConfigError, match=r"78 tokens, CLIP's window is 77; shorten it: 'jump jump"):
        tokenize([fits + " jump"])
    with pytest.raises(ConfigError, match=r"window is 20"):
        tokenize(["running", " ".join(["jump"] * 19)], 20)
    with pytest.raises(ConfigError, match=r"78 tokens"):
        embed_texts(tiny.clip(), [fits + " jump"])


# --- word embeddings ---


@pytest.mark.parametrize("keep", ["words", "real", "all"])
def test_the_end_of_text_row_is_encode_text(model, keep):
    tokens = tokenize(TEXTS)
    with torch.no_grad():
        want = model.encode_text(tokens)
    words = embed_texts(model, TEXTS, keep)
    assert (words.cls - want).abs().max() < 1e-5
    row = tokens.argmax(1) - int(keep == "words")  # "words" leaves the start-of-text row out
    assert (words.words[torch.arange(len(TEXTS)), row] - want).abs().max() < 1e-5
    assert want.abs().max() > 0.01  # or the comparison would say nothing


def test_cropping_the_padding_changes_no_row(model):
    full, tokens = all_positions(model, TEXTS)
    length = (tokens > 0).sum(1)
    for keep, first in (("words", 1), ("real", 0)):
        w = embed_texts(model, TEXTS, keep)
        assert w.words.shape == (len(TEXTS), length.max() - first, full.shape[-1])
        for k, n in enumerate(length.tolist()):
            assert w.mask[k].tolist() == [i < n - first for i in range(w.mask.shape[1])]
            assert (w.words[k, : n - first] - full[k, first:n]).abs().max() < 1e-5
            assert (w.words[k, n - first :] == 0).all()


def test_all_positions_is_the_whole_window(model):
    full, _ = all_positions(model, TEXTS)
    w = embed_texts(model, TEXTS, "all")
    assert w.mask.shape == (len(TEXTS), 77) and w.mask.all()
    assert (w.words - full).abs().max() < 1e-5


def test_no_row_of_a_text_is_another():
    w = embed_texts(tiny.clip(), TEXTS)
    rows = w.words[w.mask]
    assert torch.cdist(rows, rows).add(torch.eye(len(rows)) * 9).min() > 1e-3


def test_company_and_batches_do_not_matter():
    clip = tiny.clip()
    together, in_twos = embed_texts(clip, TEXTS), embed_texts(clip, TEXTS, batch=2)
    assert torch.equal(together.mask, in_twos.mask)
    assert (together.words - in_twos.words).abs().max() < 1e-5 and (together.cls - in_twos.cls).abs().max() < 1e-5
    alone = embed_texts(clip, TEXTS[1:2])
    assert alone.words.shape[1] == 2 and (alone.words[0] - together.words[1, :2]).abs().max() < 1e-5


def test_an_unknown_mask():
    with pytest.raises(ConfigError, match=r"word_mask='pad': expected 'words', 'real' or 'all'"):
        embed_texts(tiny.clip(), TEXTS, "pad")


def test_embedding_texts_keeps_no_graph():
    w = embed_texts(tiny.clip(), TEXTS)
    assert not w.words.requires_grad and not w.cls.requires_grad


def test_a_linear_projection_of_the_text():
    # open_clip has both kinds; with a bias the two are not the same computation.
    clip = build({**tiny.CONFIG, "text_cfg": {**tiny.CONFIG["text_cfg"], "proj_bias": True}}).eval()
    with torch.no_grad():
        clip.text_projection.bias.normal_()
        want = clip.encode_text(tokenize(TEXTS))
    w = embed_texts(clip, TEXTS)
    assert (w.cls - want).abs().max() < 1e-5
    assert (w.words[~w.mask] == 0).all()


def test_embed_frames():
    clip = tiny.clip()
    x = torch.randn(2, 3, 3, tiny.SIZE, tiny.SIZE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out = embed_frames(clip, x)
        for b in range(2):
            for k in range(3):
                assert (out[b, k] - clip.encode_image(x[b, k][None])[0]).abs().max() < 1e-5


# --- what is trained ---


def test_freezing_leaves_the_visual_tower_and_the_scale(model):
    model = freeze_text_tower(copy.deepcopy(model) if model.visual.image_size != (224, 224) else model)
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert trained == {n for n, _ in model.named_parameters() if n.startswith("visual.")} | {"logit_scale"}
    frozen = {n.split(".")[0] for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {"transformer", "token_embedding", "positional_embedding", "ln_final", "text_projection"}


@pytest.mark.parametrize("scale", [1.0, 14.5, 100.0])
def test_the_frame_temperature_is_one_over_the_logit_scale(scale):
    clip = tiny.clip()
    with torch.no_grad():
        clip.logit_scale.fill_(torch.tensor(scale).log())
    texts = tiny.model().texts
    assert VideoModel("sfar", clip, texts, tiny.MODEL).head.tau == pytest.approx(1 / scale, rel=1e-5)
    assert VideoModel("sfar", clip, texts, ModelConfig(frame_temperature=0.5)).head.tau == 0.5


# --- weights ---


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "clip.safetensors"
    save_file(tiny.clip().state_dict(), path)
    return path


def blank(**text):
    torch.manual_seed(1)
    return build({**tiny.CONFIG, "text_cfg": {**tiny.CONFIG["text_cfg"], **text}})


def test_weights_come_back(weights, tmp_path):
    want = tiny.clip().state_dict()
    got = load_weights(blank(), weights).state_dict()
    assert got.keys() == want.keys() and all(torch.equal(got[k], want[k]) for k in want)
    half = tmp_path / "half.safetensors"
    save_file({k: v.half() for k, v in want.items()}, half)
    got = load_weights(blank(), half).state_dict()
    assert all(got[k].dtype == torch.float32 and torch.equal(got[k], want[k].half().float()) for k in want)


@pytest.mark.parametrize(
    "text, first", [({"layers": 3}, "transformer.resblocks.2"), ({"width": 32}, "positional_embedding")]
)
def test_weights_of_another_configuration(weights, text, first):
    model = blank(**text)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(ConfigError, match=rf"another configuration: .* the first is '{first}"):
        load_weights(model, weights)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())  # nothing was half loaded


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.5, 0.999])
def test_weights_cut_short(weights, tmp_path, share):
    data = weights.read_bytes()
    path = tmp_path / "cut.safetensors"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ConfigError, match=r"cut.safetensors cannot be read as safetensors"):
        load_weights(blank(), path)


def test_weights_that_are_something_else(tmp_path):
    path = tmp_path / "page.safetensors"
    path.write_text("<html>404</html>")
    with pytest.raises(ConfigError, match=r"cannot be read as safetensors"):
        load_weights(blank(), path)


def test_no_weights(tmp_path):
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(ConfigError, match=r"no weights at .*: expected a safetensors file"):
            load_weights(blank(), path)


def test_weights_hash(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert weights_hash(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_storyboard_clip_is_the_one_described():
    clip = load_clip(STORYBOARD)
    config = storyboard_config()
    assert isinstance(clip, CLIP) and not clip.training
    assert clip.text_projection.shape[1] == config["embed_dim"] and clip.context_length == 77
    assert all(p.isfinite().all() for p in clip.parameters())


# --- names ---


@pytest.mark.parametrize("name", ["ViT-B/16", "vit-b-16", "storyboards", ""])
def test_an_unknown_clip(name):
    with pytest.raises(ConfigError, match=r"unknown CLIP .*expected 'storyboard' or an open_clip model"):
        load_clip(name)


@pytest.mark.parametrize(
    "name, tag",
    [
        ("ViT-B-16", "openai"),
        ("ViT-L-14", "openai"),
        ("ViT-L-14-336", "openai"),
        ("ViT-B-16", "OpenAI"),  # open_clip does not mind the case of a tag, nor are these weights the only ones
        ("ViT-B-16", "metaclip_400m"),
        ("ViT-B-16", "dfn2b"),
    ],
)
def test_weights_trained_with_quickgelu_need_it(monkeypatch, name, tag):
    monkeypatch.setattr(open_clip, "create_model", lambda *args, **kwargs: tiny.clip())  # open_clip itself only warns
    with pytest.raises(ConfigError, match=rf"use '{name}-quickgelu'"):
        load_clip(name, tag)


@pytest.mark.parametrize(
    "name, tag", [("ViT-B-16", "laion2b_s34b_b88k"), (B16, "openai"), (B16, "metaclip_400m"), ("ViT-B-16", "")]
)
def test_names_and_weights_that_agree(monkeypatch, name, tag):
    monkeypatch.setattr(open_clip, "create_model", lambda *args, **kwargs: tiny.clip())
    assert isinstance(load_clip(name, tag), CLIP)


def test_an_architecture_without_clips_text_tower(monkeypatch):
    monkeypatch.setattr(
        open_clip, "create_model", lambda *args, **kwargs: torch.nn.Linear(1, 1)
    )  # SigLIP and others: not open_clip.CLIP
    with pytest.raises(ConfigError, match=r"ViT-B-16-SigLIP"):
        load_clip("ViT-B-16-SigLIP")


@pytest.mark.parametrize("error", [OSError("no route to host"), RuntimeError("not a known tag"), ValueError("bad")])
def test_weights_that_cannot_be_had(monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(open_clip, "create_model", fail)
    with pytest.raises(ConfigError, match=rf"'openai' of {B16} cannot be had .*{error}.*SFAR_CLIP_CACHE"):
        load_clip(B16, "openai")


def test_the_cache_folder_is_passed_on(monkeypatch):
    seen = {}
    monkeypatch.setattr(open_clip, "create_model", lambda name, **k: seen.update(k, name=name) or tiny.clip().train())
    monkeypatch.setenv("SFAR_CLIP_CACHE", "somewhere")
    assert not load_clip(B16, "openai").training
    assert seen == {"name": B16, "pretrained": "openai", "cache_dir": "somewhere"}
    monkeypatch.delenv("SFAR_CLIP_CACHE")
    load_clip(B16)
    assert seen == {"name": B16, "pretrained": None, "cache_dir": None}


@pytest.mark.parametrize("name, content", [("w.pt", b"garbage"), ("w.pt", b""), ("w.safetensors", b"garbage" * 9)])
def test_a_damaged_local_file(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=r"does not hold the weights of ViT-S-32-alt"):
        load_clip("ViT-S-32-alt", str(tmp_path / name))


@pytest.fixture
def small(monkeypatch):
    """Two open_clip models of 32 pixels, with QuickGELU and without."""
    from open_clip import factory

    monkeypatch.setattr(
        factory, "_MODEL_CONFIGS", {"tiny-quickgelu": {**tiny.CONFIG, "quick_gelu": True}, "tiny": tiny.CONFIG}
    )


def test_a_file_in_the_home_folder(tmp_path, small, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    save_file(tiny.clip().state_dict(), tmp_path / "own.safetensors")
    got = load_clip("tiny-quickgelu", "~/own.safetensors")
    assert torch.equal(got.text_projection, tiny.clip().text_projection)
    assert weights_id("tiny-quickgelu", "~/own.safetensors") == [
        "tiny-quickgelu",
        weights_hash(tmp_path / "own.safetensors"),
    ]

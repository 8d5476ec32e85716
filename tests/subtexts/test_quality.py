"""Whether sub-texts find their class, by a sentence encoder."""

import numpy as np
import pytest

from sfar.cli.main import main
from sfar.errors import ConfigError
from sfar.subtexts import SubTexts, quality


def by_letters(texts):
    """An encoder of a test's own: the letters of a text, as a unit vector."""
    x = np.array([[t.count(c) for c in "abcdefghijklmnopqrstuvwxyz"] for t in texts], float)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def literal(texts, encode):
    """Class by class and pair by pair, in plain loops."""
    taken, diversity = {}, {}
    for name, own in texts.items():
        vectors = [encode([t])[0] for t in own]
        mean = sum(vectors) / len(vectors)
        taken[name] = max(texts, key=lambda other: float(encode([other])[0] @ mean))
        pairs = [float(a @ b) for i, a in enumerate(vectors) for b in vectors[i + 1 :]]
        diversity[name] = 1 - sum(pairs) / len(pairs)
    return taken, diversity


def test_quality_is_what_the_loops_say():
    rng = np.random.default_rng(0)
    word = lambda: "".join(rng.choice(list("abcdefghij"), 6))  # noqa: E731
    texts = {word(): [word() for _ in range(n)] for n in (4, 4, 2, 5, 3, 4)}
    found = quality.measure(texts, by_letters)
    taken, diversity = literal(texts, by_letters)
    assert found.taken_for == taken
    assert found.diversity == pytest.approx(diversity, abs=1e-12)
    assert found.mean_diversity == pytest.approx(np.mean(list(diversity.values())))
    assert found.missed == [(a, b) for a, b in taken.items() if a != b]
    assert found.found == pytest.approx(100 * (1 - len(found.missed) / len(texts)))


def test_texts_of_another_class_are_seen():
    texts = {"aaa": ["ab", "ac"], "zzz": ["zy", "zx"], "mmm": ["zzy", "zzx"]}
    found = quality.measure(texts, by_letters)
    assert found.missed == [("mmm", "zzz")] and found.found == pytest.approx(200 / 3)
    assert found.diversity["aaa"] == pytest.approx(0.5) and found.diversity["mmm"] == pytest.approx(0.2)


@pytest.fixture(scope="module")
def small_encoder(tmp_path_factory):
    """A folder as sentence-transformers writes it: a BERT of two small layers with drawn weights, mean pooling."""
    import tokenizers
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
    words += [f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"]
    vocabulary = {w: k for k, w in enumerate(words)}
    pieces = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    pieces.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=pieces, pad_token="[PAD]", unk_token="[UNK]")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(words), **sizes)).save_pretrained(folder / "bert")
    tokenizer.save_pretrained(folder / "bert")
    layers = modules.Transformer(str(folder / "bert")), modules.Pooling(32)
    SentenceTransformer(modules=layers, device="cpu").save(str(folder / "encoder"))
    return folder / "encoder"


def test_an_encoder_is_read_from_a_folder(small_encoder):
    encode = quality.encoder(str(small_encoder))
    x = encode(["drawing a bow", "aiming", "drawing a bow"])
    assert x.shape == (3, 32) and np.linalg.norm(x, axis=1) == pytest.approx(1, abs=1e-5)
    assert x[0] == pytest.approx(x[2], abs=1e-6) and np.abs(x[0] - x[1]).max() > 1e-3


def test_check_says_what_the_encoder_sees(small_encoder, capsys):
    assert main(["subtexts", "check", "hmdb51", "--encoder", str(small_encoder)]) == 0
    found = quality.measure(SubTexts.load("hmdb51", 4), quality.encoder(str(small_encoder)))
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert first == "hmdb51: 51 classes of 'hmdb51', N = 4: nothing to mend"
    assert second.startswith(
        f"{found.found:.1f} % of the classes are found by their own texts; diversity {found.mean_diversity:.3f}, lowest"
    )
    assert rest == [f"  {a!r} is taken for {b!r}" for a, b in found.missed]


def test_what_is_no_encoder_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot load the sentence encoder '.*empty'.*: give the name of one"):
        quality.encoder(f"{tmp_path}/empty")

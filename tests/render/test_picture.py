"""Pictures: small, the same every time, and nothing lost that could be seen."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from sfar.errors import SfarError
from sfar.render import picture, style
from sfar.util import paths

PICTURES = sorted(paths.PROJECT.glob("results/*/*.png")) + sorted(paths.PROJECT.glob("docs/*.png"))


def shades(n, step=1):
    """A picture of n greys or bluish greys, each ``step`` from the next; some rarer than others."""
    value = np.arange(n) * step
    colours = np.stack([value % 256, value % 256, np.minimum(value % 256 + value // 256 * 40, 255)], 1).astype(np.uint8)
    return Image.fromarray(
        np.repeat(colours, np.arange(1, n + 1), 0)[np.random.default_rng(n).permutation(n * (n + 1) // 2)][None]
    )


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def error(image):
    return np.abs(pixels(picture.png(image)) - np.asarray(image.convert("RGB"))).max()


@pytest.mark.parametrize("n", [1, 2, 16, 255, 256])
def test_up_to_256_colours_stay_exact(n):
    image = shades(n)
    kept = Image.open(io.BytesIO(picture.png(image)))
    assert kept.mode == "P" and error(image) == 0
    assert len(np.unique(pixels(picture.png(image)).reshape(-1, 3), axis=0)) == n


def test_close_shades_move_by_no_more_than_the_tolerance():
    image = shades(700)  # three rows of shades, one step apart
    assert Image.open(io.BytesIO(picture.png(image))).mode == "P"
    assert 0 < error(image) <= picture.TOLERANCE


def test_far_colours_stay_as_they_are():
    colours = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    image = Image.fromarray(colours)
    assert Image.open(io.BytesIO(picture.png(image))).mode == "RGB" and error(image) == 0


def test_the_commonest_colour_stays_exact():
    """The background is the colour that a change would show in."""
    a = np.asarray(shades(700)).copy()
    a[:, : a.shape[1] // 2] = (251, 252, 253)
    kept = pixels(picture.png(Image.fromarray(a)))
    assert (kept[:, : a.shape[1] // 2] == (251, 252, 253)).all()


def test_again_changes_nothing():
    for image in (shades(100), shades(700)):
        once = picture.png(image)
        assert picture.png(image) == once and picture.png(Image.open(io.BytesIO(once))) == once


def test_translucent_parts_are_drawn_on_white():
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (255, 0, 0, 255))
    assert pixels(picture.png(image)).tolist() == [[[255, 255, 255], [255, 0, 0]]]


def test_in_a_notebook_a_photograph_is_a_jpeg_and_a_plot_is_not():
    x, y = np.meshgrid(np.arange(200), np.arange(150))
    noise = np.random.default_rng(0).integers(0, 60, x.shape)
    photograph = np.stack([x, y, (x * y) % 97 + noise], 2).astype(np.uint8)
    kind, data = picture.embedded(Image.fromarray(photograph))
    assert kind == "image/jpeg" and data[:2] == b"\xff\xd8"
    assert len(data) < len(picture.png(Image.fromarray(photograph)))
    assert np.abs(pixels(data) - photograph).mean() < 12
    assert picture.embedded(shades(700)) == ("image/png", picture.png(shades(700)))


# --- figures -------------------------------------------------------------------------------------------------------


@pytest.fixture
def figure():
    style.use()
    fig, ax = plt.subplots(figsize=(3, 2))
    ax.plot([0, 1, 4], label="a line", color=style.BOTH)
    ax.legend()
    yield fig
    plt.close(fig)


def test_save_writes_a_small_png_of_the_same_pixels(figure, tmp_path, monkeypatch):
    monkeypatch.delenv("SFAR_SVG", raising=False)
    plain = io.BytesIO()
    figure.savefig(plain, format="png", bbox_inches="tight")
    files = style.save(figure, tmp_path / "f.png")
    data = files[0].read_bytes()
    assert files == list(tmp_path.iterdir()) == [tmp_path / "f.png"]
    assert np.abs(pixels(data) - pixels(plain.getvalue())).max() <= picture.TOLERANCE
    assert len(data) < len(plain.getvalue()) / 1.8 and b"matplotlib" not in data.lower()
    assert Image.open(io.BytesIO(data)).info["dpi"] == pytest.approx((200, 200), abs=0.01)
    style.save(figure, tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == data


def test_svg_on_request(figure, tmp_path, monkeypatch):
    monkeypatch.setenv("SFAR_SVG", "1")
    files = style.save(figure, tmp_path / "f.png")
    assert [f.name for f in files] == ["f.png", "f.svg"]
    text = files[1].read_text()
    assert "<svg" in text and "<dc:date>" not in text
    style.save(figure, tmp_path / "g.png")
    assert (tmp_path / "g.svg").read_text() == text


def test_an_unwritable_folder_is_one_message(figure, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SfarError, match=r"f\.png"):
        style.save(figure, tmp_path / "file" / "f.png")


# --- what is committed ---------------------------------------------------------------------------------------------


def test_committed_pictures_are_png():
    assert len(PICTURES) > 20
    kinds = {p.suffix for p in paths.PROJECT.glob("results/*/*") if p.suffix in (".svg", ".pdf", ".jpg", ".jpeg")}
    assert not kinds


@pytest.mark.parametrize("path", PICTURES, ids=lambda p: p.stem)
def test_committed_pictures_are_small(path):
    """As ``png`` writes them: a palette, or a photograph or translucent areas in all their colours."""
    with Image.open(path) as image:
        assert image.mode in ("P", "RGB") and path.stat().st_size < 4_000_000
        if image.mode == "P":
            assert path.stat().st_size < 150_000

"""Which sub-texts a profile means; files and groups are in test_subtexts.py."""

import pytest

from sfar.config import get_profile
from sfar.errors import ConfigError
from sfar.storyboard.scripts import HMDB, KINETICS, UCF
from sfar.subtexts.source import subtexts_of


@pytest.mark.parametrize(
    "classes, label_set",
    [
        (tuple(KINETICS), "storyboard"),
        ((*UCF, *HMDB), "storyboard"),
        (("zumba", "abseiling"), "kinetics400"),
        (("cartwheel", "brush hair"), "hmdb51"),
        (("cliff diving", "pizza tossing"), "ucf101"),
    ],
)
def test_subtexts_are_of_the_first_label_set_that_has_all(classes, label_set):
    texts = subtexts_of(get_profile("storyboard"), classes)
    assert tuple(texts) == classes and texts.n == 4 and texts.label_set == label_set


def test_subtexts_of_no_label_set():
    with pytest.raises(
        ConfigError, match=r"has all 3 classes: the nearest, .*, lacks 'swallowing swords'.*sfar subtexts generate"
    ):
        subtexts_of(get_profile("storyboard"), ("long jump", "making pizza", "swallowing swords"))

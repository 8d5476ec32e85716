"""The file of saved scores: read back as it was written, and refused by field where it is another one."""

import json

import pytest

from sfar.errors import DataError
from sfar.runs import scored

FILE = {
    "about": "sfar, seed 0",
    "dataset": "ucf101",
    "split": "val",
    "fold": 2,
    "views": "1x1",
    "classes": ["yo yo", "wave", "run"],
    "videos": ["v1", "v2", "v3", "v4"],
    "paths": ["videos/yo yo/v1.avi", "videos/v2.avi", "v3.mp4", "v4.mov"],
    "labels": [0, 1, 2, 1],
    "scores": [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.05, 0.9, 0.05], [0.1, 0.8, 0.1]],
    "left_out": {"v5.avi": "0 bytes"},
    "top1": 50.0,
}


def written(folder, **changes):
    body = {k: v for k, v in {**FILE, **changes}.items() if v is not ...}
    (folder / "scores.json").write_text(json.dumps(body), encoding="utf-8")
    return folder / "scores.json"


def test_what_a_file_says(tmp_path):
    s = scored.load(written(tmp_path))
    assert (s.about, s.dataset, s.split, s.fold, s.views) == ("sfar, seed 0", "ucf101", "val", 2, "1x1")
    assert s.classes == tuple(FILE["classes"]) and s.videos[3] == "v4" and s.paths[0] == "videos/yo yo/v1.avi"
    assert s.scores.shape == (4, 3) and s.metrics == {"top1": 50.0} and s.left_out == {"v5.avi": "0 bytes"}
    assert s.confusion().tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert s.mistakes().tolist() == [2, 1], "the surest first"


def test_videos_without_a_label(tmp_path):
    s = scored.load(written(tmp_path, labels=[-1, 1, 2, 1]))
    assert s.confusion().sum() == 3 and s.labels[0] == -1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ...}, "field 'classes' is missing"),
        ({"scores": "none"}, "field 'scores' is missing or no list"),
        ({"scores": [[0.5, 0.5]] * 4}, "do not fit its 4 videos and 3 classes"),
        ({"scores": [[0.5], [0.5, 0.5]]}, "do not fit"),
        ({"labels": [0, 1]}, "do not fit"),
        ({"labels": [0, 1, 2, "x"]}, "do not fit"),
        ({"labels": [0, 1, 2, 3]}, "a label is not one of its 3 classes"),
    ],
)
def test_other_files_are_refused(tmp_path, changes, message):
    with pytest.raises(DataError, match=rf"scores\.json: .*{message}"):
        scored.load(written(tmp_path, **changes))


def test_no_file_and_no_json(tmp_path):
    with pytest.raises(DataError, match=r"no such file or folder; `sfar evaluate CHECKPOINT --scores FILE`"):
        scored.load(tmp_path / "none.json")
    (tmp_path / "x.json").write_text("[1, 2]")
    with pytest.raises(DataError, match="field 'about' is missing"):
        scored.load(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(DataError, match=r"x\.json: is not a file of `sfar evaluate --scores`"):
        scored.load(tmp_path / "x.json")

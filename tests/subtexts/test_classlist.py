"""Files of class names in the forms of the field: the names that are read, and the line of what is refused."""

import json

import pytest

from sfar.data.labels import LABEL_SETS, class_names, words
from sfar.errors import ConfigError
from sfar.subtexts.classlist import read

UCF = ["ApplyEyeMakeup", "ApplyLipstick", "Archery"]
CHARADES = ["Holding some clothes", "Putting clothes somewhere", "Holding a phone/camera"]
K400 = ["abseiling", "air drumming", "passing American football (in game)"]


def numbered(form, names, start=0):
    return "".join(form.format(i=i, name=n) + "\n" for i, n in enumerate(names, start))


READ = {
    "names": ("\n".join(K400), K400),
    "id,name": ("id,name\n" + numbered("{i},{name}", K400), K400),
    "id,name with BOM and CRLF": ("\ufeffid,name\r\n0,abseiling\r\n1,air drumming\r\n", K400[:2]),
    "id,name in capitals": ("ID, Name\n0, abseiling\n1, air drumming\n", K400[:2]),
    "name,id": ("name,id\n" + "".join(f"{n},{i}\n" for i, n in enumerate(K400)), K400),
    "quoted names": ('id,name\n0,"Putting something, again"\n1,"two"\n', ["Putting something, again", "two"]),
    "a comma in a name": ("id,name\n0,Putting something, again\n1,two\n", ["Putting something, again", "two"]),
    "a column of indices": (",name\n0,abseiling\n1,air drumming\n", K400[:2]),
    "tabs and a header": ("index\tclass_name\n" + numbered("{i}\t{name}", K400), K400),
    "semicolons and a header": ("id;label\n" + numbered("{i};{name}", K400), K400),
    "blanks and a header": ("id name\n" + numbered("{i} {name}", K400), K400),
    "blanks and a header, ids behind": ("name id\n" + "".join(f"{n} {i}\n" for i, n in enumerate(K400)), K400),
    "two columns of ids": ("id,class_id,name\n0,c000,abseiling\n1,c001,air drumming\n", K400[:2]),
    "label and name": ("label,name\n0,abseiling\n1,air drumming\n", K400[:2]),
    "a header alone": ("name\nabseiling\nair drumming\n", K400[:2]),
    "classInd.txt": (numbered("{i} {name}", UCF, 1), UCF),
    "classInd.txt with CRLF and BOM": ("\ufeff" + numbered("{i} {name}", UCF, 1).replace("\n", "\r\n"), UCF),
    "numbers from zero": (numbered("{i} {name}", K400), K400),
    "numbers with leading zeros": (numbered("{i:03d} {name}", K400), K400),
    "numbers in another order": ("2 jump\n0 swim\n1 bow\n", ["jump", "swim", "bow"]),
    "1. name": (numbered("{i}. {name}", K400, 1), K400),
    "1.name": (numbered("{i}.{name}", UCF, 1), UCF),
    "1) name": (numbered("{i}) {name}", K400, 1), K400),
    "(1) name": (numbered("({i}) {name}", K400, 1), K400),
    "[0] name": (numbered("[{i}] {name}", K400), K400),
    "1 - name": (numbered("{i} - {name}", K400, 1), K400),
    "0: name": (numbered("{i}: {name}", K400), K400),
    "0,name": (numbered("{i},{name}", K400), K400),
    "0, 'name'": (numbered('{i}, "{name}"', K400), K400),
    "some of them, behind a comma": ("3,jump\n17,swim\n", ["jump", "swim"]),
    "one, behind a comma": ("3,jump\n", ["jump"]),
    "a tab": (numbered("{i}\t{name}", K400), K400),
    "name 0": ("".join(f"{n} {i}\n" for i, n in enumerate(K400)), K400),
    "name,0": ("".join(f"{n},{i}\n" for i, n in enumerate(K400)), K400),
    "Charades_v1_classes.txt": (numbered("c{i:03d} {name}", CHARADES), CHARADES),
    "some of Charades": ("c003 jump\nc117 swim\n", ["jump", "swim"]),
    "one of Charades": ("c000 Holding some clothes\n", CHARADES[:1]),
    "A1. name": (numbered("A{i}. {name}", K400, 1), K400),
    "synsets": ("n01440764 tench\nn01443537 goldfish\n", ["tench", "goldfish"]),
    "comments": ("# UCF-101\njump\n// those in water\nswim\n% end\n", ["jump", "swim"]),
    "a comment above a header": ("# labels\nid,name\n0,jump\n1,swim\n", ["jump", "swim"]),
    "bullets": ("- jump\n- swim\n", ["jump", "swim"]),
    "quotes": ('"jump"\n"swim"\n', ["jump", "swim"]),
    "a list out of a program": ("'jump',\n'swim',\n", ["jump", "swim"]),
    "quotes for names that begin with a number": ('"100 m sprint"\n"110 m run"\n', ["100 m sprint", "110 m run"]),
    "numbers that are part of some names": ("10 pin bowling\n3D print\ngolf\n", ["10 pin bowling", "3D print", "golf"]),
    "names like class 1": ("class 0\nclass 1\nnull\n", ["class 0", "class 1", "null"]),
    "numbers at the end of names": ("level 1\nlevel 2\n", ["level 1", "level 2"]),
    "commas in some names": ("jump\nturn, then stop\n", ["jump", "turn, then stop"]),
    "JSON list": (json.dumps(K400), K400),
    "JSON names to ids": (json.dumps({n: i for i, n in enumerate(K400)}), K400),
    "JSON names to ids in another order": ('{"swim": "1", "jump": "0"}', ["jump", "swim"]),
    "JSON names in quotes to ids": (json.dumps({f'"{n}"': i for i, n in enumerate(K400)}), K400),
    "JSON ids to names": (json.dumps({i: n for i, n in enumerate(K400)}, indent=1), K400),
    "JSON id2label": (json.dumps({"model_type": "x", "id2label": dict(enumerate(K400))}), K400),
    "JSON objects": (json.dumps([{"id": i, "name": n} for i, n in enumerate(K400)]), K400),
}  # fmt: skip


@pytest.mark.parametrize("text, names", READ.values(), ids=list(READ))
def test_read(tmp_path, text, names):
    (tmp_path / "classes.txt").write_text(text, encoding="utf-8", newline="")
    assert read(tmp_path / "classes.txt")[0] == names


REFUSED = {
    "a column more": ("id,name,index\n0,jump,0\n1,swim\n", 3, "has not the 3 columns of the header"),
    "an empty name": ("id,name\n0,jump\n1,\n", 3, "columns of the header"),
    "Kinetics' annotations": (
        "label,youtube_id,time_start,time_end,split\nabseiling,0wR5jVB-WPk,417,427,train\n",
        1,
        "more than ids and class names",
    ),
    "another column of words": ("id,name,sport\n0,jump,yes\n", 1, "more than ids and class names"),
    "a header without names": ("id,index\n0,1\n", 1, "without class names"),
    "a header without rows": ("id,name\n", 1, "without class names"),
    "a list of videos": ("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1\n", 1, "names a video"),
    "a list of folders": ("abseiling/0wR5jVB 300 0\nclimbing/xyz 200 1\n", 1, "names a video"),
    "Charades' mapping": ("c000 o009 v002\nc001 o009 v003\n", 1, "numbers and no name"),
    "some of UCF-101": ("3 Archery\n7 BabyCrawling\n", 1, "may be an id or part of the name"),
    "one of UCF-101": ("1 ApplyEyeMakeup\n", 1, "may be an id or part of the name"),
    "numbers that are names": ("1 hand clap\n2 hand clap\n", 1, "may be an id or part of the name"),
    "a title above": ("Classes of UCF-101\n1 ApplyEyeMakeup\n2 ApplyLipstick\n3 Archery\n", 1, "has no number"),
    "YAML": ("names:\n  0: jump\n  1: swim\n  2: bow\n", 1, "has no number"),
    "a line without number": ("1 jump\n2 swim\nbow\n3 nod\n", 3, "has no number"),
    "numbers alone": ("jump\n17\n", 2, "is no name"),
    "a rule": ("---\njump\n", 1, "is no name"),
    "columns of words": ("jump\tathletics\nswim\twater\n", 1, "several parts between tabs"),
    "names in one line": ("jump, swim, bow\n", 1, "several parts between commas"),
    "a comment behind": ("jump\nswim  # in water\n", 2, "a comment behind"),
    "a program": ("CLASSES = [\n'jump',\n]\n", 1, "is code"),
    "a web page": ("<!DOCTYPE html>\n<html>\n", 1, "web page"),
    "a pointer": ("version https://git-lfs.github.com/spec/v1\noid sha256:00\n", 1, "pointer"),
    "UTF-16 without its mark": ("j\0u\0m\0p\0", 1, "no text in UTF-8"),
    "broken JSON": ('["jump", "swim"\n', 1, "begins like JSON"),
    "a list of Python": ("['jump', 'swim']\n", 1, "begins like JSON"),
    "sub-texts": (json.dumps({"label_set": "x", "sets": {"4": {"jump": ["a", "b", "c", "d"]}}}), 1, "not clear"),
    "JSON of numbers": ("[1, 2]", 1, "not clear"),
    "JSON ids alone": ('{"0": "1", "1": "2"}', 1, "not clear"),
    "an empty JSON list": ("[]", 1, "not clear"),
}


@pytest.mark.parametrize("text, line, why", REFUSED.values(), ids=list(REFUSED))
def test_refused_with_the_line(tmp_path, text, line, why):
    path = tmp_path / "classes.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as e:
        read(path)
    assert f"{path}, line {line}: " in str(e.value) and why in str(e.value)


@pytest.mark.parametrize("label_set", LABEL_SETS)
@pytest.mark.parametrize("form", ["{name}", "{i} {name}", "{i},{name}", "c{i:03d} {name}", "{i}. {name}", '"{name}"'])
def test_every_name_of_every_label_set(tmp_path, label_set, form):
    names = list(class_names(label_set))
    (tmp_path / "classes.txt").write_text(numbered(form, names, 1), encoding="utf-8")
    assert read(tmp_path / "classes.txt")[0] == names
    (tmp_path / "classes.csv").write_text("id,name\n" + numbered("{i},{name}", names), encoding="utf-8")
    assert read(tmp_path / "classes.csv")[0] == names


@pytest.mark.parametrize(
    "text, notes",
    [
        ("jump\nswim in water\n", []),
        ("# one\njump\n", ["1 comment lines are left out"]),
        ("1 push up\n2 pull up\n", ["ids are left out: '1 push up' is read as 'push up'"]),
        ("id,name\n0,jump\n", ["the column 'name' of 'id,name' is read"]),
        (
            "ApplyEyeMakeup\nBabyCrawling\nArchery\n",
            ["names are taken as they stand; the readers of data sets call 'ApplyEyeMakeup' 'apply eye makeup'"],
        ),
        ("brush_hair\n", ["names are taken as they stand; the readers of data sets call 'brush_hair' 'brush hair'"]),
    ],
)
def test_what_was_done_is_said(tmp_path, text, notes):
    (tmp_path / "classes.txt").write_text(text)
    assert read(tmp_path / "classes.txt")[1] == notes


def test_the_readers_name_of_ucf101s_classes():
    """What the note says is what the data set's reader does."""
    assert words("ApplyEyeMakeup") in class_names("ucf101")

"""``sfar subtexts ...``: what each command writes and says, and one clear message for each mistake.

It comes before anything is asked or half written.
"""

import json
import os

import pytest
from loopback import Loopback, Reply, asked, forms
from test_video import write

from sfar.cli.main import main
from sfar.data.labels import class_names
from sfar.storyboard.scripts import ACTIVITIES, KINETICS
from sfar.subtexts import SubTexts, prompts
from sfar.subtexts.groups import GROUPS, group

STEPS = {
    "jump": ["running up", "taking off", "flying", "landing"],
    "swim": ["diving in", "pulling the water", "breathing", "turning"],
    "bow": ["bending", "holding", "rising", "smiling"],
}


def answer(request, count):
    """The texts above; those of question prompt k say so, to tell them apart."""
    said = request["messages"][-1]["content"]
    question = (said if isinstance(said, str) else said[0]["text"]).split("\n")[1]
    row = next(k for k, q in prompts.questions().items() if q == question)
    return Reply(text=forms([f"{t} in way {row}" for t in STEPS[asked(request)]])["numbered"])


@pytest.fixture(scope="module")
def loopback():
    with Loopback(answer) as server:
        yield server


@pytest.fixture
def server(loopback):
    loopback.requests.clear()
    return loopback


@pytest.fixture(autouse=True)
def own_environment(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("OPENAI_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)


def run(what, *argv):
    return main(["subtexts", what, *map(str, argv)])


def refused(capsys, argv, *parts):
    """Status 2 and one message on stderr that holds ``parts``."""
    assert run(*argv) == 2
    err = capsys.readouterr().err
    message = err.strip().splitlines()[-1]
    assert message.startswith("sfar: ") and "Traceback" not in err
    assert all(str(part) in message for part in parts), message


def asking(server, classes, *argv, out="o.json"):
    return ["generate", "--model", "m", "--base-url", server.url, "--classes", classes, "--out", out, *argv]


def saved(folder, name, texts, label_set="own"):
    path = folder / f"{name}.json"
    SubTexts(texts, label_set, "test").save(path)
    return path


# --- generate ---


@pytest.mark.parametrize(
    "content, names",
    [
        ("jump\nswim\n", ["jump", "swim"]),
        ("\ufeffjump\r\n\r\n  swim  \r\n", ["jump", "swim"]),
        ("swim", ["swim"]),
        ("\n\njump\n\n", ["jump"]),
    ],
    ids=["lines", "Windows", "one", "blank lines"],
)
def test_classes_from_a_file(server, tmp_path, content, names):
    (tmp_path / "my classes.txt").write_text(content, encoding="utf-8", newline="")
    assert run(*asking(server, "my classes.txt")) == 0
    texts = SubTexts.load("o.json")
    assert (
        list(texts) == names
        and texts.label_set == "my classes"
        and sorted(map(asked, server.requests)) == sorted(names)
    )
    assert all(list(texts[n]) == [f"{t} in way 1" for t in STEPS[n]] for n in names)


@pytest.mark.parametrize(
    "content, note",
    [
        ("id,name\n0,jump\n1,swim\n", "note: labels.csv: the column 'name' of 'id,name' is read"),
        ("1 jump\n2 swim\n", "note: labels.csv: ids are left out: '1 jump' is read as 'jump'"),
        ("c000 jump\nc001 swim\n", "note: labels.csv: ids are left out: 'c000 jump' is read as 'jump'"),
        ("# mine\njump\nswim\n", "note: labels.csv: 1 comment lines are left out"),
    ],
)
def test_classes_from_a_label_file(server, tmp_path, capsys, content, note):
    """Nothing is paid for an id, and what was made of the file is said."""
    (tmp_path / "labels.csv").write_text(content)
    assert run(*asking(server, "labels.csv")) == 0
    assert list(SubTexts.load("o.json")) == ["jump", "swim"] and sorted(map(asked, server.requests)) == ["jump", "swim"]
    assert note in capsys.readouterr().err
    assert run("check", "o.json", "--classes", "labels.csv") == 0


def test_classes_given_directly(server):
    assert run(*asking(server, " jump , swim,")) == 0
    assert list(SubTexts.load("o.json")) == ["jump", "swim"]


@pytest.mark.parametrize("label_set, names", [("ucf101", class_names("ucf101")), ("storyboard", tuple(ACTIVITIES))])
def test_classes_of_a_label_set(tmp_path, label_set, names):
    texts = SubTexts.load(label_set)
    with Loopback(lambda request, count: Reply(text=forms(list(texts[asked(request)]))["numbered"])) as server:
        assert run(*asking(server, label_set)) == 0
    made = SubTexts.load("o.json")
    assert dict(made) == dict(texts) and tuple(made) == names and made.label_set == label_set
    assert run("check", "o.json") == 0


def test_many_classes_given_directly():
    """More characters than a file name may have."""
    names = ",".join(f"a class with number {i}" for i in range(60))
    with Loopback(lambda request, count: Reply(text="1. raising\n2. bending\n3. turning\n4. lifting")) as server:
        assert run(*asking(server, names)) == 0
    assert len(SubTexts.load("o.json")) == 60


@pytest.mark.parametrize("prompt", ["1", "2", "3", "4"])
def test_one_prompt(server, prompt):
    assert run(*asking(server, "jump", "--prompt", prompt)) == 0
    assert list(SubTexts.load("o.json")["jump"]) == [f"{t} in way {prompt}" for t in STEPS["jump"]]


@pytest.mark.parametrize(
    "out, stem", [("o.json", "o"), ("new/folder/my.texts.json", "new/folder/my.texts"), ("plain", "plain")]
)
def test_all_four_prompts(server, tmp_path, capsys, out, stem):
    assert run(*asking(server, "jump,swim", "--prompt", "all", out=out)) == 0
    for k in range(1, 5):
        texts = SubTexts.load(f"{stem}.prompt{k}.json")
        assert (
            list(texts["swim"]) == [f"{t} in way {k}" for t in STEPS["swim"]]
            and texts.provenance["prompt"] == f"Table 6, row {k}"
        )
    assert not (tmp_path / out).exists() and len(
        (tmp_path / f"{out}.journal.jsonl").read_text().splitlines()
    ) == 8 == len(server.requests)
    said = capsys.readouterr().out
    assert (
        f"sfar subtexts select {stem}.prompt1.json {stem}.prompt2.json {stem}.prompt3.json {stem}.prompt4.json --out "
        f"{out}" in said
    )
    assert (
        run(*asking(server, "jump,swim", out=out)) == 0 and len(server.requests) == 8
    )  # one of them alone is in the journal already


def test_another_n():
    with Loopback(lambda request, count: Reply(text="- taking off\n- landing")) as two:
        assert run(*asking(two, "jump", "--n", "2")) == 0
        assert "two steps" in two.requests[0]["messages"][1]["content"]
    assert SubTexts.load("o.json").n == 2


def test_the_options_reach_the_request(server):
    assert run(*asking(server, "jump", "--temperature", "0.25")) == 0
    assert server.requests[0]["temperature"] == 0.25 and server.requests[0]["model"] == "m"


@pytest.mark.parametrize(
    "classes, parts",
    [
        ("none.txt", ["--classes none.txt", "no such file", "one class name a line"]),
        ("no/such/file", ["no such file"]),
        ("empty.txt", ["empty.txt", "no class name"]),
        ("blank.txt", ["no class name"]),
        (",,", ["no class name"]),
        ("", ["no class name"]),
        ("jump,swim,jump", ["'jump'", "more than once"]),
        ("twice.txt", ["'swim'", "more than once"]),
        ("latin.txt", ["latin.txt", "UTF-8"]),
        ("binary.txt", ["binary.txt", "UTF-8"]),
        ("folder/", ["no such file"]),
        ("long.txt", ["class name 'xxx", "1 to 200 characters", "got 201"]),
        ("some.txt", ["some.txt, line 1: '3 jump' has a number that may be an id", "one class name a line"]),
        ("videos.txt", ["videos.txt, line 2: 'jump/a.avi 1' names a video"]),
        ("jump,\udcff", ["no UTF-8"]),
        ("~nobody_of_that_name/classes.txt", ["~nobody_of_that_name"]),
    ],
)
def test_classes_that_are_a_mistake(server, tmp_path, capsys, classes, parts):
    for name, raw in {
        "empty": b"",
        "blank": b"\n  \n",
        "twice": b"jump\nswim\nswim\n",
        "latin": "Übung\n".encode("latin-1"),
        "some": b"3 jump\n7 swim\n",
        "videos": b"\njump/a.avi 1\n",
        "binary": b"\xff\xfe\x00\x01",
        "long": b"x" * 201,
    }.items():
        (tmp_path / f"{name}.txt").write_bytes(raw)
    refused(capsys, asking(server, classes), *parts)
    assert server.requests == [] and not list(tmp_path.glob("o.json*"))


@pytest.mark.parametrize(
    "argv, parts",
    [
        (["--price", "cheap"], ["--price 'cheap'", "2.5,10"]),
        (["--price", "1"], ["--price"]),
        (["--price", "1,2,3"], ["--price"]),
        (["--price", "1,-2"], ["--price"]),
        (["--price", "nan,1"], ["--price"]),
        (["--price", "inf,1"], ["--price"]),
        (["--price", ","], ["--price"]),
        (["--n", "1"], ["N=1", "at least 2"]),
        (["--retries", "-1"], ["--retries"]),
        (["--timeout", "0"], ["--timeout"]),
        (["--timeout", "nan"], ["--timeout"]),
        (["--longest-wait", "-1"], ["--longest-wait"]),
        (["--longest-wait", "nan"], ["--longest-wait"]),
        (["--temperature", "nan"], ["--temperature"]),
        (["--model", " "], ["--model"]),
        (["--key-env", "A-B"], ["--key-env"]),
        (["--base-url", "localhost:8000/v1"], ["--base-url", "http://"]),
        (["--base-url", ""], ["--base-url"]),
        (["--base-url", "http://[::1/v1"], ["--base-url"]),
        (["--base-url", "http:///v1"], ["--base-url"]),
        (["--base-url", "http://127.0.0.1:99999/v1"], ["--base-url"]),
        (["--key-env", "NO_SUCH_KEY"], ["NO_SUCH_KEY"]),
    ],
)
def test_options_that_are_a_mistake(server, tmp_path, capsys, argv, parts):
    refused(capsys, [*asking(server, "jump"), "--retries", "0", *argv], *parts)
    assert server.requests == [] and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "argv",
    [
        ["generate", "--classes", "a", "--out", "o"],
        ["generate", "--classes", "a", "--model", "m"],
        ["generate", "--model", "m", "--out", "o"],
        ["generate", "--classes", "a", "--model", "m", "--out", "o", "--prompt", "5"],
        ["generate", "--classes", "a", "--model", "m", "--out", "o", "--n", "0"],
        ["generate", "--classes", "a", "--model", "m", "--out", "o", "--n", "four"],
        ["generate", "--classes", "a", "--model", "m", "--out", "o", "--concurrency", "0"],
        ["generate", "--classes", "a", "--model", "m", "--out", "o", "--max-tokens", "0"],
        ["generate", "--classes", "a", "--model", "m", "--out", "o", "--attempts", "-1"],
        ["describe", "--action", "a", "--videos", "--model", "m", "--out", "o"],
        ["describe", "--action", "a", "--videos", "v", "--model", "m", "--out", "o", "--frames", "0"],
        ["select", "bank"],
        ["select", "bank", "--out", "o", "--by", "video"],
        ["score", "--reading", "both"],
        ["rehearse", "--out", "o"],
        ["check"],
        ["compose"],
    ],
)
def test_wrong_usage(capsys, tmp_path, argv):
    with pytest.raises(SystemExit) as stop:
        main(["subtexts", *argv])
    assert stop.value.code == 2 and "error:" in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.parametrize("out", ["file/o.json", "folder", ".", "/", ""])
@pytest.mark.parametrize("prompt", ["1", "all"])
def test_an_output_that_cannot_be_written(server, tmp_path, capsys, out, prompt):
    """Known before anything is asked and paid. ``folder`` stands where the file would."""
    (tmp_path / "file").write_text("")
    for name in ("folder", "folder.prompt1.json"):
        (tmp_path / name).mkdir()
    refused(capsys, asking(server, "jump", "--prompt", prompt, out=out))
    assert server.requests == []


def test_a_group_of_classes_with_one_set_is_noted(tmp_path, capsys):
    with Loopback(lambda request, count: Reply(text="1. raising\n2. bending\n3. turning\n4. lifting")) as server:
        assert run(*asking(server, "a one,b two")) == 0
    assert "note: 'a one' and 'b two' have the same set" in capsys.readouterr().err


def test_texts_in_another_script_are_noted(capsys):
    """They are written, as the user may know why; CLIP reads English."""
    with Loopback(lambda request, count: Reply(text="1、跑向沙坑\n2、起跳\n3、腾空\n4、落地")) as server:
        assert run(*asking(server, "jump")) == 0
    assert SubTexts.load("o.json")["jump"] == ("跑向沙坑", "起跳", "腾空", "落地")
    note = "note: 1 of 1 classes have sub-texts in another script or language than the English that CLIP has learned"
    assert note in capsys.readouterr().err
    assert run("check", "o.json") == 0 and note in capsys.readouterr().err


# --- describe ---


def test_describe_with_every_option(server, tmp_path, capsys):
    video = write(tmp_path / "v.mp4")
    assert (
        run(
            "describe",
            "--action",
            "jump",
            "--videos",
            video,
            "--model",
            "m",
            "--base-url",
            server.url,
            "--out",
            "d.json",
            "--frames",
            "3",
            "--prompt",
            "4",
            "--price",
            "1,1",
        )
        == 0
    )
    made = json.loads((tmp_path / "d.json").read_text())
    assert made["frames"] == 3 and list(made["videos"]) == ["v.mp4"] and len(made["videos"]["v.mp4"]) == 4
    said = server.requests[0]["messages"][1]["content"]
    assert len(said) == 4 and prompts.questions()[4] in said[0]["text"] and "The images are 3 frames" in said[0]["text"]
    assert "about $" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv, parts",
    [
        (["--videos", "none.mp4"], ["none.mp4"]),
        (["--action", " "], ["class name"]),
        (["--n", "1"], ["N=1"]),
        (["--price", "x"], ["--price"]),
        (["--out", "v.mp4/d.json"], ["v.mp4/d.json"]),
    ],
)
def test_describe_refuses(server, tmp_path, capsys, argv, parts):
    write(tmp_path / "v.mp4")
    refused(
        capsys,
        [
            "describe",
            "--action",
            "jump",
            "--videos",
            "v.mp4",
            "--model",
            "m",
            "--base-url",
            server.url,
            "--out",
            "d.json",
            *argv,
        ],
        *parts,
    )
    assert server.requests == [] and not list(tmp_path.glob("d.json*"))


# --- check ---


@pytest.mark.parametrize("name", ["kinetics400", "ucf101", "hmdb51", "charades", "storyboard"])
def test_the_bundled_sets_need_no_mending(capsys, name):
    assert run("check", name) == 0
    assert f"'{name}', N = 4: nothing to mend" in capsys.readouterr().out


def test_check_says_what_it_cannot_know(tmp_path, capsys):
    assert run("check", saved(tmp_path, "mine", STEPS)) == 0
    assert "3 classes of 'own', N = 4: nothing to mend (its label set is not known" in capsys.readouterr().out
    assert run("check", "mine.json", "--classes", "jump,swim,bow") == 0 and "not known" not in capsys.readouterr().out


def test_check_lists_every_problem(tmp_path, capsys):
    bad = {
        "jump": ["running up", "run up", "jumping", "landing"],
        "swim": ["the", "pulling the water", "very " * 90, "turning"],
        "bow": STEPS["bow"],
        "nod": STEPS["bow"],
    }
    saved(tmp_path, "bad", bad)
    (tmp_path / "classes.txt").write_text("jump\nswim\nbow\nkick\n")
    assert run("check", "bad.json", "--classes", "classes.txt") == 2
    out, err = capsys.readouterr()
    expected = [
        "'jump': twice the same: 'running up' and 'run up'",
        "'jump': just repeats the class name: 'jumping'",
        "'swim': an empty sub-text 'the'",
        "'swim': 92 tokens, more than CLIP's window of 77",
        "'bow' and 'nod' have the same set",
        "'kick': missing",
        "'nod': not a class of this label set",
    ]
    assert len(out.splitlines()) == len(expected) and all(e in out for e in expected)
    assert err.strip() == "sfar: bad.json: 7 things to mend"


def test_check_of_a_label_set_with_a_class_less(tmp_path, capsys):
    texts = SubTexts.load("hmdb51")
    saved(tmp_path, "fifty", texts.only(list(texts)[1:]), "hmdb51")
    assert run("check", "fifty.json") == 2
    out, err = capsys.readouterr()
    assert out.strip() == f"{next(iter(texts))!r}: missing" and "1 things to mend" in err


@pytest.mark.parametrize(
    "argv, parts",
    [
        (["none.json"], ["none.json"]),
        (["kinetics"], ["kinetics", "kinetics400"]),
        (["mine.json", "--n", "3"], ["mine.json", "N = 4, not 3"]),
        (["text.json"], ["text.json", "no file of sub-texts"]),
        (["mine.json", "--classes", "none.txt"], ["none.txt"]),
        (["two.json"], ["two.json", "jump"]),
    ],
)
def test_check_refuses(tmp_path, capsys, argv, parts):
    saved(tmp_path, "mine", STEPS)
    (tmp_path / "text.json").write_text("1. running\n2. jumping\n")
    (tmp_path / "two.json").write_text(json.dumps({"label_set": "own", "sets": {"4": {"jump": ["a", "a", "b", "c"]}}}))
    refused(capsys, ["check", *argv], *parts)


# --- score and select ---


def means(out):
    """Group -> TPP as the table prints it under "printed"."""
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in out.splitlines() if line.startswith("|")]
    return {r[0]: float(r[3]) for r in rows[2:]}


def test_score(tmp_path, capsys):
    """A table with the best first, and the TPP of every class as JSON."""
    assert run("score", "bank", "unrelated", "class-name", "--out", "new/s.json") == 0
    out = capsys.readouterr().out
    tpp = means(out)
    assert set(tpp) == {"bank", "unrelated", "class-name"} and list(tpp.values()) == sorted(tpp.values(), reverse=True)
    made = json.loads((tmp_path / "new" / "s.json").read_text())
    assert set(made) == set(tpp) and all(
        set(m) == {"printed", "diverse"} and list(m["printed"]) == list(KINETICS) for m in made.values()
    )
    assert all(sum(m["printed"].values()) / 25 == pytest.approx(tpp[g], abs=0.006) for g, m in made.items())


def test_score_of_a_file_and_a_label_set(tmp_path, capsys):
    saved(tmp_path, "mine", STEPS)
    assert run("score", "mine.json", "storyboard", "--n", "4") == 0
    out, err = capsys.readouterr()
    assert set(means(out)) == {"mine.json", "storyboard"} and "has not learned the words of own" in err
    assert run("score", "storyboard") == 0 and "note:" not in capsys.readouterr().err


def test_score_under_the_other_reading_is_ordered_by_it(capsys):
    assert run("score", "bank", "unrelated", "class-name", "redundant", "--reading", "diverse") == 0
    rows = [
        [c.strip() for c in line.strip("|").split("|")]
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("|")
    ][2:]
    diverse = [float(r[4]) for r in rows]
    assert len(diverse) == 4 and diverse == sorted(diverse, reverse=True)


def test_all_groups_by_default(capsys):
    assert run("score") == 0
    assert set(means(capsys.readouterr().out)) == set(GROUPS)


def test_select_a_group(tmp_path, capsys):
    assert run("score", "bank", "unrelated", "redundant") == 0
    best = list(means(capsys.readouterr().out))
    assert run("select", "bank", "unrelated", "redundant", "--out", "best.json") == 0
    out = capsys.readouterr().out
    assert [line.split(": ")[0] for line in out.splitlines()[:3]] == [
        f"{k}. {g}" for k, g in enumerate(best, 1)
    ] and f"Selected: {best[0]}" in out
    assert dict(SubTexts.load("best.json")) == dict(group(best[0]))


@pytest.mark.parametrize("reading", ["printed", "diverse"])
def test_select_by_class(tmp_path, capsys, reading):
    """Every class has the texts of the group that scores highest on it."""
    names = ["bank", "unrelated", "redundant"]
    assert run("score", *names, "--out", "s.json") == 0
    assert run("select", *names, "--by", "class", "--reading", reading, "--out", "best.json") == 0
    assert "Selected by class: " in capsys.readouterr().out
    tpp, texts = json.loads((tmp_path / "s.json").read_text()), SubTexts.load("best.json")
    assert list(texts) == list(group("bank"))
    for c in texts:
        assert texts[c] == group(max(names, key=lambda g: tpp[g][reading][c]))[c]
    assert texts.provenance["selected"] == f"by class, highest TPP ({reading})"


def test_select_among_the_files_that_generate_wrote(server, capsys):
    assert run(*asking(server, "jump,swim", "--prompt", "all")) == 0
    files = [f"o.prompt{k}.json" for k in range(1, 5)]
    assert run("select", *files, "--by", "class", "--out", "o.json") == 0
    assert list(SubTexts.load("o.json")) == ["jump", "swim"]
    assert run("select", *files, "--out", "o.json") == 0
    assert any(dict(SubTexts.load("o.json")) == dict(SubTexts.load(f)) for f in files)


@pytest.mark.parametrize(
    "argv, parts",
    [
        (["bnak"], ["bnak"]),
        (["none.json"], ["none.json"]),
        (["bank", "bank"], ["same group"]),
        (["bank", "terse", "bank"], ["same group"]),
        (["storyboard", "--n", "9"], ["not 9"]),
        (["bank", "--n", "2"], ["bank", "4"]),
        (["bank", "--profile", "storybord"], ["storybord"]),
        (["bank", "--set", "model.clip=none"], ["none"]),
        (["bank", "--set", "model.clipp=x"], ["model.clipp"]),
    ],
)
@pytest.mark.parametrize("what", ["score", "select"])
def test_groups_that_are_a_mistake(tmp_path, capsys, what, argv, parts):
    refused(capsys, [what, *argv, *(["--out", "x.json"] if what == "select" else [])], *parts)
    assert not list(tmp_path.iterdir())


def test_select_by_class_needs_the_same_classes_and_n(tmp_path, capsys):
    saved(tmp_path, "two", {c: t[:2] for c, t in STEPS.items()})
    saved(tmp_path, "four", STEPS)
    saved(tmp_path, "fewer", {"jump": STEPS["jump"]})
    for other in ("two", "fewer"):
        refused(
            capsys,
            ["select", "four.json", f"{other}.json", "--by", "class", "--out", "x.json"],
            "four.json",
            f"{other}.json",
            "same classes with the same N",
        )
    assert not (tmp_path / "x.json").exists()


def test_scores_of_one_sub_text(tmp_path, capsys):
    saved(tmp_path, "one", {c: t[:1] for c, t in STEPS.items()})
    refused(capsys, ["score", "one.json"], "at least 2, got 1")


@pytest.mark.parametrize(
    "argv",
    [
        ["score", "bank", "--out", "file/s.json"],
        ["select", "bank", "--out", "file/s.json"],
        ["score", "bank", "--out", "folder"],
        ["select", "bank", "--out", "folder"],
    ],
    ids=" ".join,
)
def test_results_that_cannot_be_written(tmp_path, capsys, argv):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    refused(capsys, argv, "cannot write", argv[-1])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


# --- a model that is asked while videos are recognised ---


def test_predict_asks_for_the_sub_texts_of_classes_that_have_none(server, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))
    video = write(tmp_path / "a.mp4", 12)
    argv = ["predict", str(video), "--classes", "swim,bow,long jump", "--checkpoint", "storyboard"]
    assert main(argv) == 2
    assert "'swim', 'bow'" in capsys.readouterr().err, "nobody is asked who was not named"
    argv += ["--ask", "m", "--base-url", server.url]
    for asked_for in (["bow", "swim"], []):  # the second time the answers are there
        server.requests.clear()
        assert main([*argv, "--json", str(tmp_path / f"{len(asked_for)}.jsonl")]) == 0
        said = capsys.readouterr()
        assert sorted(asked(r) for r in server.requests) == asked_for
        assert "asked.jsonl" in said.err and "long jump" not in said.err, "that one has bundled texts"
    broken = [*argv[:-1], "http://127.0.0.1:9/v1"]
    broken[broken.index("swim,bow,long jump")] = "kneel"
    assert main(broken) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("sfar: ")

"""``sfar subtexts ...``: generate, describe, check, score, select (section 3.1)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfar.cli import options
from sfar.errors import ConfigError, SfarError

ENCODER = "all-MiniLM-L6-v2"  # of sentences, where none is named

if TYPE_CHECKING:
    from sfar.subtexts.generate import Asker, Outcome, Settings
    from sfar.subtexts.texts import SubTexts
    from sfar.subtexts.tpp import Score


def read_classes(given: str) -> tuple[str, list[str]]:
    """Label set and class names from ``--classes``.

    A label set's name, a file of class names (``subtexts.classlist``), or names separated by commas. Raises
    ``ConfigError`` for an empty list, a name that stands there twice, or a file in which it is not clear what the names
    are.
    """
    from sfar.subtexts import classlist
    from sfar.subtexts.check import label_set_names

    known = label_set_names(given)
    if known is not None:
        return given, list(known)
    try:
        path = Path(given).expanduser()
        found = path.is_file()
    except (OSError, RuntimeError, ValueError):  # a list longer than any file name, ~ of nobody, a NUL
        path, found = Path(), False
    if found:
        names, notes = classlist.read(path)
        for note in notes:
            print(f"note: {given}: {note}", file=sys.stderr)
        label_set = path.stem
    elif ("/" in given and "," not in given) or given.endswith((".txt", ".csv", ".json")):
        raise ConfigError(
            f"--classes {given}: no such file; expected a text file with one class name a line, a label set, or names "
            "separated by commas"
        )
    else:
        names, label_set = [n.strip() for n in given.split(",") if n.strip()], "classes"
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise ConfigError(f"--classes {given}: {', '.join(map(repr, twice))} stands there more than once")
    if not names:
        raise ConfigError(f"--classes {given}: no class name in it")
    return label_set, names


def key_of(a: argparse.Namespace) -> str:
    """The environment variable with the key: OpenAI's goes to OpenAI, to another server only one that is named."""
    return a.key_env if a.key_env is not None else "" if a.base_url else "OPENAI_API_KEY"


def _settings(a: argparse.Namespace) -> Settings:
    from sfar.subtexts.generate import Settings

    price = None
    if a.price:
        try:
            read, written = (float(p) for p in a.price.split(","))
        except ValueError as e:
            raise ConfigError(f"--price {a.price!r}: expected two numbers separated by a comma, such as 2.5,10") from e
        price = read, written
    return Settings(
        a.model,
        a.n,
        a.base_url,
        key_of(a),
        a.temperature,
        a.concurrency,
        a.attempts,
        a.retries,
        a.timeout,
        a.longest_wait,
        price,
        a.max_tokens,
        a.structured,
        a.system_in_question,
    ).check()


def _spent(asker: Asker) -> str:
    """What a run has asked and used."""
    cost = asker.cost()
    return f"{asker.requests} requests, {asker.tokens[0]:,} tokens read and {asker.tokens[1]:,} written" + (
        f", about ${cost:.3f}" if cost is not None else ", price not known (--price)"
    )


def _report_failures(outcomes: list[Outcome], journal: Path, what: str) -> None:
    """Name every class without sub-texts, with the last answer as it came; raises ``SfarError`` if there is one."""
    failed = [o for o in outcomes if o.texts is None]
    if not failed:
        return
    for o in failed:
        print(
            f"{o.question.video or repr(o.question.name)} (question {o.question.prompt}): {o.problem}"
            + (f" ({o.advice})" if o.advice else "")
            + (f"\n  the answer was: {o.raw[:300]!r}" if o.raw else ""),
            file=sys.stderr,
        )
    raise SfarError(
        f"{len(failed)} of {len(outcomes)} have no usable answer; {what} was not written. Every answer is kept in "
        f"{journal}: the same command asks only what is missing, --attempts N allows more answers for those above"
    )


def _generate(a: argparse.Namespace) -> None:
    from sfar.subtexts.check import remarks, validate
    from sfar.subtexts.generate import Asker, Question, provenance
    from sfar.subtexts.journal import Journal
    from sfar.subtexts.texts import SubTexts
    from sfar.util.paths import check_output

    settings = _settings(a)
    label_set, names = read_classes(a.classes)
    rows = [1, 2, 3, 4] if a.prompt == "all" else [int(a.prompt)]
    out = check_output(Path(a.out))
    files = {r: out if len(rows) == 1 else out.with_name(f"{out.stem}.prompt{r}.json") for r in rows}
    journal = out.with_name(out.name + ".journal.jsonl")
    kept = Journal(journal)
    if kept.damaged:
        print(f"{journal}: {kept.damaged} damaged lines are skipped (cut off by a kill?)", file=sys.stderr)
    asker = Asker(settings, kept)
    outcomes = asker.run([Question(n, r) for r in rows for n in names])
    _report_failures(outcomes, journal, ", ".join(str(f) for f in files.values()))
    for r, file in files.items():
        texts = SubTexts(
            {o.question.name: o.texts or () for o in outcomes if o.question.prompt == r},
            label_set,
            provenance(settings, r, journal),
        )
        # Of one class each was checked; what is left concerns two classes.
        for line in (*validate(texts, texts.n, None), *remarks(texts)):
            print(f"note: {line}", file=sys.stderr)
        texts.save(file)
        print(f"Written: {file} ({len(texts)} classes, N = {texts.n})")
    print(f"This run: {_spent(asker)}. Journal: {journal}")
    if len(rows) > 1:
        print("Choose among them with: sfar subtexts select " + " ".join(map(str, files.values())) + f" --out {out}")


def _describe(a: argparse.Namespace) -> None:
    from sfar.subtexts.generate import Asker, Question
    from sfar.subtexts.journal import Journal
    from sfar.subtexts.visual import frames_of
    from sfar.util.paths import check_output, write_json

    settings = _settings(a)
    out = check_output(Path(a.out))
    if len({Path(v).name for v in a.videos}) < len(a.videos):
        raise ConfigError("--videos: two files have the same name; the descriptions are kept by name")
    questions = [Question(a.action, int(a.prompt), frames_of(v, a.frames), Path(v).name) for v in a.videos]
    journal = out.with_name(out.name + ".journal.jsonl")
    asker = Asker(settings, Journal(journal))
    outcomes = asker.run(questions)
    _report_failures(outcomes, journal, str(out))
    write_json(
        out,
        {
            "action": a.action,
            "generator": settings.model,
            "frames": a.frames,
            "videos": {o.question.video: o.texts for o in outcomes},
        },
    )
    print(
        f"Written: {out} ({len(outcomes)} videos of {a.action!r}, {a.frames} frames each)\n"
        f"This run: {_spent(asker)}. Journal: {journal}"
    )


def _check(a: argparse.Namespace) -> None:
    from sfar.subtexts import quality
    from sfar.subtexts.check import label_set_names, remarks, validate
    from sfar.subtexts.texts import SubTexts

    texts = SubTexts.load(a.file, a.n, a.kind)
    if a.encoder and texts.n < 2:
        raise SfarError(f"{a.file}: one sub-text a class has no diversity; --encoder needs at least two")
    encode = quality.encoder(a.encoder) if a.encoder else None
    expected = read_classes(a.classes)[1] if a.classes else label_set_names(texts.label_set)
    wrong = validate(texts, texts.n, expected, a.kind)
    for line in wrong:
        print(line)
    for line in remarks(texts):
        print(f"note: {line}", file=sys.stderr)
    if wrong:
        raise SfarError(f"{a.file}: {len(wrong)} things to mend")
    print(
        f"{a.file}: {len(texts)} classes of {texts.label_set!r}, N = {texts.n}: nothing to mend"
        + ("" if expected else " (its label set is not known, so no class can be missing)")
    )
    if encode is None:
        return
    found = quality.measure(texts, encode)
    lowest = min(found.diversity, key=found.diversity.__getitem__)
    print(
        f"{found.found:.1f} % of the classes are found by their own texts; diversity {found.mean_diversity:.3f}, "
        f"lowest {found.diversity[lowest]:.2f} ({lowest!r}); encoder {a.encoder}"
    )
    for name, other in found.missed:
        print(f"  {name!r} is taken for {other!r}")


def _bank(a: argparse.Namespace) -> None:
    from tqdm import tqdm

    from sfar.render.tables import markdown
    from sfar.subtexts import quality
    from sfar.util.paths import check_output, of_repository, write_json

    out = check_output(Path(a.out) if a.out else of_repository(quality.RECORD))
    encode = quality.encoder(a.encoder)
    found = quality.measure_bank(encode, lambda sets: tqdm(sets, desc="bank", unit="set", leave=False))
    write_json(out, quality.record(found, a.encoder))
    for rows in quality.tables(found):
        print(f"{markdown(*rows)}\n")


def _scored(a: argparse.Namespace) -> tuple[dict[str, SubTexts], dict[str, Score]]:
    from tqdm import tqdm

    from sfar.config import get_profile
    from sfar.model.clip import STORYBOARD, load_clip
    from sfar.subtexts.groups import GROUPS, open_group
    from sfar.subtexts.tpp import score

    names = a.groups or list(GROUPS)
    if len(set(names)) != len(names):
        raise ConfigError("the same group stands there twice")
    m = get_profile(a.profile, options.pairs(a.set)).model
    groups = {name: open_group(name, a.n) for name in names}
    others = sorted({g.label_set for g in groups.values()} - {"storyboard"})
    if m.clip == STORYBOARD and others:
        print(
            f"note: the storyboard CLIP has not learned the words of {', '.join(others)}; "
            "--profile paper scores with OpenAI's ViT-B/16",
            file=sys.stderr,
        )
    clip = load_clip(m.clip, m.pretrained)
    with tqdm(groups.items(), desc="TPP", unit="group", leave=False) as bar:
        return groups, {name: score(g, clip, m.prompt) for name, g in bar}


def _score(a: argparse.Namespace) -> None:
    from sfar.render.tables import markdown
    from sfar.util.paths import write_json

    groups, scores = _scored(a)
    order = sorted(scores, key=lambda g: -scores[g].mean(a.reading))
    print(
        markdown(
            ["Group", "Classes", "N", "TPP printed", "TPP diverse", "sigma", "delta"],
            [
                [
                    g,
                    len(groups[g]),
                    groups[g].n,
                    scores[g].mean("printed"),
                    scores[g].mean("diverse"),
                    f"{scores[g].sigma.mean():.3f}",
                    f"{scores[g].delta.mean():.3f}",
                ]
                for g in order
            ],
            2,
        )
    )
    if a.out:
        write_json(
            Path(a.out),
            {
                g: {r: dict(zip(s.names, s.tpp[r].round(6).tolist(), strict=True)) for r in s.tpp}
                for g, s in scores.items()
            },
        )
        print(f"Written: {a.out} (TPP of every class)")


def _select(a: argparse.Namespace) -> None:
    from sfar.subtexts.tpp import select

    groups, scores = _scored(a)
    order = sorted(scores, key=lambda g: -scores[g].mean(a.reading))
    for k, g in enumerate(order, 1):
        print(f"{k}. {g}: TPP {scores[g].mean(a.reading):.2f} ({a.reading})")
    if a.by == "group":
        texts = groups[order[0]]
        print(f"Selected: {order[0]}")
    else:
        texts, chosen = select(groups, scores, a.reading)
        print("Selected by class: " + ", ".join(f"{g} {sum(c == g for c in chosen.values())}" for g in order))
    texts.save(a.out)
    print(f"Written: {a.out}")


def add(sub: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the ``subtexts`` commands to the ``sfar`` parser; ``command`` is the parser's own helper."""
    what = options.group(sub, "subtexts", "Sub-texts: generate with an LLM, check, score and select by TPP.")

    def asking(p: argparse.ArgumentParser) -> None:
        p.add_argument("--model", required=True, help="such as gpt-4o")
        p.add_argument("--n", type=options.positive, default=4, help="sub-texts a class (default 4)")
        p.add_argument(
            "--out", required=True, metavar="FILE", help="every raw answer is kept beside it in FILE.journal.jsonl"
        )
        p.add_argument(
            "--base-url",
            default=None,
            metavar="URL",
            help="an OpenAI-compatible server (Ollama, vLLM, llama.cpp); default: OpenAI",
        )
        p.add_argument(
            "--key-env",
            default=None,
            metavar="NAME",
            help="environment variable with the key (default OPENAI_API_KEY; none with --base-url)",
        )
        p.add_argument("--temperature", type=float, default=None, help="default: the server's")
        p.add_argument("--concurrency", type=options.positive, default=4, help="requests at a time (default 4)")
        p.add_argument(
            "--attempts", type=options.positive, default=3, help="answers a class before it is reported (default 3)"
        )
        p.add_argument(
            "--retries", type=int, default=6, help="of a request without an answer: 429, 5xx, time-out (default 6)"
        )
        p.add_argument("--timeout", type=float, default=60.0, metavar="S", help="seconds without a byte (default 60)")
        p.add_argument(
            "--longest-wait",
            type=float,
            default=300.0,
            metavar="S",
            help="longest wait a server may ask for (default 300)",
        )
        p.add_argument(
            "--max-tokens",
            type=options.positive,
            default=None,
            metavar="N",
            help="of an answer, reasoning included (default: the server's limit)",
        )
        p.add_argument(
            "--structured",
            action="store_true",
            help="also ask for JSON with N texts (json_schema), where the server has it (default: free text)",
        )
        p.add_argument(
            "--system-in-question",
            action="store_true",
            help="send the system prompt at the head of the question, for models that take none",
        )
        p.add_argument(
            "--price",
            default="",
            metavar="IN,OUT",
            help="dollars per million tokens read and written, where the model's is not known",
        )

    p = command("generate", _generate, "Ask an LLM for the sub-texts of every class.", what)
    p.add_argument(
        "--classes",
        required=True,
        help="a label set (kinetics400, ...), a file with a name a line (or a label file such as id,name or 1 Name), "
        "or names separated by commas",
    )
    p.add_argument(
        "--prompt", choices=["1", "2", "3", "4", "all"], default="1", help="question prompt: row of Table 6 (default 1)"
    )
    asking(p)
    p = command("describe", _describe, "Ask a vision model about single videos of a class (Table 14).", what)
    p.add_argument("--action", required=True, help="the class name")
    p.add_argument("--videos", required=True, nargs="+", metavar="FILE")
    p.add_argument("--frames", type=options.positive, default=8, help="frames of each video (default 8)")
    p.add_argument("--prompt", choices=["1", "2", "3", "4"], default="1")
    asking(p)
    p = command("check", _check, "Validate a file of sub-texts.", what)
    p.add_argument("file", help="a JSON file, or a label set with bundled sub-texts")
    p.add_argument("--n", type=options.positive, default=None)
    p.add_argument(
        "--kind",
        choices=["steps", "spatio"],
        default="steps",
        help="atomic actions (default), or OST's spatio descriptors: four things or places that are seen",
    )
    p.add_argument(
        "--classes", default="", help="the class names it must have (default: those of its label set, if known)"
    )
    p.add_argument(
        "--encoder",
        nargs="?",
        const=ENCODER,
        default="",
        metavar="NAME|FOLDER",
        help="measure too whether the texts find their class and how they differ, by a sentence encoder of "
        f"sentence-transformers (without a name: {ENCODER})",
    )
    p = command("bank", _bank, "Measure all bundled sub-texts by a sentence encoder, as notebook 01 shows.", what)
    p.add_argument("--encoder", default=ENCODER, metavar="NAME|FOLDER", help="as in check")
    p.add_argument("--out", default="", metavar="FILE", help="default: results/bank.json of the repository")
    for name, run, text in (
        ("score", _score, "TPP of groups of sub-texts, under both readings."),
        ("select", _select, "Rank groups by TPP and write the best."),
    ):
        p = command(name, run, text, what)
        p.add_argument(
            "groups",
            nargs="*",
            help="JSON files, label sets or groups of the storyboard world (default: all of these groups)",
        )
        p.add_argument("--n", type=options.positive, default=None)
        p.add_argument(
            "--reading", choices=["printed", "diverse"], default="printed", help="beta(x) = x as printed, or 1 - x"
        )
        p.add_argument("--profile", default="storyboard", help="whose CLIP scores: storyboard (default) or paper")
        p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
        if name == "score":
            p.add_argument("--out", default="", metavar="FILE", help="write the TPP of every class as JSON")
        else:
            p.add_argument(
                "--by",
                choices=["group", "class"],
                default="group",
                help="the best group as a whole, or of each class the best group's",
            )
            p.add_argument("--out", required=True, metavar="FILE")

"""The code behind the cache keys: that the cuts and files named in ``sfar.util.code`` and ``cache`` are there.

What the code of a stage is, is worked out (test_code.py).
"""

import ast
import dataclasses
import functools

import import_graph
import pytest

from sfar import paper, studies
from sfar.config import get_profile
from sfar.studies.core import record as records
from sfar.util import cache, code

MODULES = import_graph.files()

CUTS = sorted({*code.HARMLESS, *cache.READING, *(c for stage in cache.STAGES.values() for c in stage.by_content)})
# What takes the name of a printed table first.
READ = {"paper.load", "printed.cell", "printed.number", "printed.lead", "printed.gap"}
STUDIES = {s.id: s for s in studies.studies()}
WORK = [*cache.STAGES, *(f"record of {name}" for name in STUDIES)]  # what is kept under a key, and the records


@functools.cache
def reached(work):
    """What counts in the version of a stage or a record."""
    stage, _, name = work.partition(" of ")
    s, entries, taken_up = cache.STAGES[stage], (), ()
    if name:
        study = STUDIES[name]
        entries = (code.entry(study.measure_content), *study.files)
        entries = (*entries, *cache.READ)
        taken_up = (*(f"sfar.studies.{other}:STUDY" for other in study.needs), *cache.READING)
    return code.reached(*s.entries, *entries, cut=(*s.by_content, *taken_up))


@functools.cache
def parsed(module):
    return ast.parse(MODULES[module].read_bytes())


@functools.cache
def tops(module):
    """Name -> the statements at the top of a module of the package that define it."""
    out = {}
    for s in parsed(module).body:
        stored = [n.id for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        for name in [s.name] if isinstance(s, ast.FunctionDef | ast.ClassDef) else stored:
            out.setdefault(name, []).append(s)
    return out


@pytest.mark.parametrize("cut", CUTS)
def test_what_is_cut_is_there(cut):
    """A cut that names nothing would cut nothing."""
    module, _, definition = cut.removesuffix(".*").partition(":")
    assert module in MODULES and (not definition or definition in tops(module))


@pytest.mark.parametrize("work", WORK)
def test_the_code_of_a_stage_holds_no_page_and_no_command(work):
    found = reached(work)
    assert len(found) > 20, "an entry from which nothing is reached"
    shown = (
        "sfar.reproduce",
        "sfar.bench",
        "sfar.cli",
        "sfar.render.plots",
        "sfar.render.style",
        "sfar.render.preview",
    )
    assert not [name for name in found if name.startswith(shown)]
    if work != "record of audit":  # its statements quote numbers as the pages print them
        assert not [name for name in found if name.startswith(("sfar.render", "sfar.studies.core.page"))]
    if work in cache.STAGES:
        assert not [name for name in found if name.startswith("sfar.studies")]
    assert not [name for name in found if name.endswith((":STUDY", ":BLOCKS", ":CLAIMS"))]


@pytest.mark.parametrize("study", STUDIES)
def test_a_record_of_the_drawn_world_counts_what_is_read_and_what_draws_but_not_the_readers(study):
    found = reached(f"record of {study}")
    assert not [name for name in found if name.split(":")[0] in cache.READING]
    assert "sfar/runs/known.npz" in found and any(name.startswith("sfar.storyboard.render:") for name in found)
    profile = get_profile("storyboard")
    entries = [code.entry(STUDIES[study].measure_content), *STUDIES[study].files]
    assert records.inputs(profile, entries) != records.inputs(profile, entries, by_content=["sfar.runs.run:result"])
    real = dataclasses.replace(profile, data=dataclasses.replace(profile.data, dataset="ucf101", root="/videos"))
    with_readers = records.inputs(real, entries)
    assert with_readers != records.inputs(real, entries, by_content=cache.READING), "a real set counts by the readers"


@pytest.mark.parametrize("study", STUDIES)
def test_a_record_that_is_taken_up_is_an_input(study):
    """Its code is not followed (``Study.inputs``)."""
    read = {f"sfar.studies.{name}:STUDY" for name in STUDIES}
    taken = read & set(code.reached(code.entry(STUDIES[study].measure_content)))
    assert not taken or STUDIES[study].inputs_of


@functools.cache
def called(module):
    """The names and the attributes that a module calls."""
    functions = [n.func for n in ast.walk(parsed(module)) if isinstance(n, ast.Call)]
    return (
        {f.id for f in functions if isinstance(f, ast.Name)},
        {f.attr for f in functions if isinstance(f, ast.Attribute)},
    )


@pytest.mark.parametrize("work", WORK)
def test_no_code_behind_a_key_imports_a_computed_name(work):
    """It could not be followed (``sfar.util.code``)."""
    for module in {name.split(":")[0] for name in reached(work) if ":" in name}:
        names, attributes = called(module)
        assert not names & {"__import__", "eval", "exec", "globals"}, module
        assert "import_module" not in names | attributes, module


@functools.cache
def quotes(definition):
    """The printed tables that a definition takes by name: files below ``sfar/``.

    Where the name is computed, it may be any, but in ``sfar.paper.printed``, whose callers give it.
    """
    module, _, name = definition.partition(":")
    inside, found = module == "sfar.paper.printed", set()
    calls = (n for s in tops(module).get(name, ()) if name for n in ast.walk(s) if isinstance(n, ast.Call))
    for call in calls:
        function = ast.unparse(call.func)
        if function in READ or (inside and f"printed.{function}" in READ):
            table = call.args[0]
            found |= {table.value} if isinstance(table, ast.Constant) else set() if inside else set(paper.TABLES)
    return {f"sfar/paper/{table}.csv" for table in found}


@pytest.mark.parametrize("study", STUDIES)
def test_a_record_follows_from_the_printed_tables_that_it_quotes(study):
    quoted = set().union(*(quotes(name) for name in reached(f"record of {study}") if ":" in name))
    assert quoted == set(STUDIES[study].files)


def test_cache_keys_cover_the_data_in_the_package():
    """The record of the CLIP weights holds their hash; sub-texts are an input of each run (tests/test_subtexts.py)."""
    for stage in ("embeddings", "run", "host_run", "record"):
        assert "sfar/storyboard/weights/clip.json" in cache.STAGES[stage].entries

"""The code behind the cache keys: that the cuts and files named in ``sfar.util.code`` and ``cache`` are there.

What the code of a stage is, is worked out (test_code.py).
"""

import ast

import import_graph
import pytest

from sfar import studies
from sfar.util import cache, code

MODULES = import_graph.files()

CUTS = sorted({*code.HARMLESS, *(c for stage in cache.STAGES.values() for c in stage.by_content)})
MEASURED = {s.id: (code.entry(s.measure_content), *s.files) for s in studies.studies()}
ENTRIES = {(stage, ()) for stage in cache.STAGES} | {("record", entries) for entries in MEASURED.values()}


def reached(stage, entries):
    s = cache.STAGES[stage]
    return code.reached(*s.entries, *entries, cut=s.by_content)


def tops(module):
    """Name -> the statements at the top of a module of the package that define it."""
    out = {}
    for s in ast.parse(MODULES[module].read_bytes()).body:
        stored = [n.id for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        for name in [s.name] if isinstance(s, ast.FunctionDef | ast.ClassDef) else stored:
            out.setdefault(name, []).append(s)
    return out


@pytest.mark.parametrize("cut", CUTS)
def test_what_is_cut_is_there(cut):
    """A cut that names nothing would cut nothing."""
    module, _, definition = cut.removesuffix(".*").partition(":")
    assert module in MODULES and (not definition or definition in tops(module))


@pytest.mark.parametrize(("stage", "entries"), sorted(ENTRIES))
def test_the_code_of_a_stage_holds_no_page_and_no_command(stage, entries):
    found = reached(stage, entries)
    assert len(found) > 20, "an entry from which nothing is reached"
    shown = ("sfar.render", "sfar.reproduce", "sfar.bench", "sfar.cli", "sfar.studies.core.page")
    assert not [name for name in found if name.startswith(shown) or name.split(":")[0].endswith("_page")]
    if not entries:
        assert not [name for name in found if name.startswith("sfar.studies")]


@pytest.mark.parametrize(("stage", "entries"), sorted(ENTRIES))
def test_no_code_behind_a_key_imports_a_computed_name(stage, entries):
    """It could not be followed (``sfar.util.code``)."""
    for module in {name.split(":")[0] for name in reached(stage, entries) if ":" in name}:
        tree = ast.parse(MODULES[module].read_bytes())
        called = [n.func for n in ast.walk(tree) if isinstance(n, ast.Call)]
        names = {f.id for f in called if isinstance(f, ast.Name)}
        assert not names & {"__import__", "eval", "exec", "globals"}, module
        assert "import_module" not in names | {f.attr for f in called if isinstance(f, ast.Attribute)}, module


@pytest.mark.parametrize("study", MEASURED)
def test_a_record_follows_from_the_printed_tables_that_it_quotes(study):
    quoted = set()
    for name in reached("record", MEASURED[study]):
        module, _, definition = name.partition(":")
        for s in tops(module).get(definition, ()) if definition else ():
            for n in ast.walk(s):
                if isinstance(n, ast.Call) and ast.unparse(n.func) == "paper.load":
                    (table,) = n.args
                    assert isinstance(table, ast.Constant), "a name that is not computed"
                    quoted.add(f"sfar/paper/{table.value}.csv")
    assert quoted == {e for e in MEASURED[study] if "/" in e}


def test_cache_keys_cover_the_data_in_the_package():
    """The record of the CLIP weights holds their hash; sub-texts are an input of each run (tests/test_subtexts.py)."""
    for stage in ("embeddings", "run", "host_run", "record"):
        assert "sfar/storyboard/weights/clip.json" in cache.STAGES[stage].entries

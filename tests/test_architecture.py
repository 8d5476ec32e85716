"""How the package hangs together: imports point one way and close no circle, the root is small, and its map is true."""

import re

import import_graph
import pytest

GRAPH = import_graph.read()
PAGE = import_graph.PAGE.read_text(encoding="utf-8")


def planted(folder, **files):
    """A package "sfar" of these modules, as ``name_of__module="its text"``."""
    for name, text in {"__init__": "", **files}.items():
        path = folder / "sfar" / f"{name.replace('__of__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return import_graph.read(folder / "sfar")


# --- the package ---------------------------------------------------------------------------------------------------


def test_imports_point_one_way():
    wrong = import_graph.upward(GRAPH)
    assert not wrong, "\n".join(wrong)


def test_no_circle():
    assert not import_graph.circle(GRAPH), " -> ".join(import_graph.circle(GRAPH))


def test_few_files_at_the_root():
    files = sorted(p.name for p in import_graph.PACKAGE.iterdir() if p.is_file())
    assert 3 <= len(files) <= 8, files


# --- the check can fail --------------------------------------------------------------------------------------------


def test_an_upward_import_is_named(tmp_path):
    graph = planted(
        tmp_path,
        util__of__small="",
        data__of__video="from sfar.util import small",
        model__of__head="def build():\n    from sfar.studies.table1 import rows  # hidden in a function",
        studies__of__table1="rows = ()",
    )
    assert import_graph.upward(graph) == ["sfar.model.head imports sfar.studies.table1, which stands above it"]
    assert not import_graph.circle(graph)


def test_the_package_itself_imports_nothing_of_ours(tmp_path):
    graph = planted(tmp_path, __init__="import sfar.errors", errors="")
    assert import_graph.upward(graph) == ["sfar imports sfar.errors, which stands above it"]


def test_a_folder_without_a_place_is_named(tmp_path):
    assert import_graph.upward(planted(tmp_path, misc="")) == ["sfar.misc: no place in the order of folders"]


@pytest.mark.parametrize("first", ["from sfar.data import two", "from sfar.data.two import x", "import sfar.data.two"])
def test_a_circle_is_named(tmp_path, first):
    graph = planted(
        tmp_path,
        data__of__one=first,
        data__of__two="def f():\n    import sfar.data.three\nx = 1",
        data__of__three="from sfar.data.one import y",
        data__of__apart="from sfar.data import one",
    )
    assert import_graph.circle(graph) == ["sfar.data.one", "sfar.data.two", "sfar.data.three", "sfar.data.one"]
    assert not import_graph.upward(graph)


def test_an_import_of_nothing_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"one\.py imports sfar\.data\.gone"):
        planted(tmp_path, data__of__one="import sfar.data.gone")


def test_an_import_with_dots_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"one\.py, line 2: imports inside the package are written out"):
        planted(tmp_path, data__of__one="\nfrom . import two")


# --- the map -------------------------------------------------------------------------------------------------------


def test_map_shows_the_imports():
    assert import_graph.drawn(PAGE, GRAPH) == PAGE, "docs/architecture.md is old: run `python tests/import_graph.py`"


def test_map_shows_every_folder_in_order():
    shown = re.findall(r"^\| `(\w+)` \|", import_graph.table(GRAPH), re.MULTILINE)
    assert shown == [name for name in import_graph.ORDER if name in import_graph.folders(GRAPH)] and len(shown) > 12


def test_diagram_leaves_out_only_what_follows(tmp_path):
    graph = planted(
        tmp_path,
        config="",
        util__of__a="import sfar.config",
        data__of__b="import sfar.util.a, sfar.config",
        model__of__c="import sfar.config",
    )
    assert re.findall(r"(\w+) --> (\w+)", import_graph.mermaid(graph)) == [
        ("model", "config"),
        ("data", "util"),
        ("util", "config"),
    ]


PLACES = re.findall(r"`((?:sfar|tests|notebooks|results|docs)/[\w./]+)(?:: (\w+))?`", PAGE)


@pytest.mark.parametrize(("file", "name"), PLACES, ids=lambda x: x)
def test_what_the_map_names_is_there(file, name):
    path = import_graph.ROOT / file
    assert path.exists()
    if name:
        assert re.search(rf"^(def|class) {name}\b|^{name}\b.* = ", path.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_map_names_places():
    assert len(PLACES) > 12

"""What is kept of runs: records under their keys, states that go when the record is there, trained weights."""

import pytest
from small_sets import at

from sfar.data.source import dataset
from sfar.errors import SfarError
from sfar.runs import store
from sfar.runs.job import Job
from sfar.util import cache

pytestmark = pytest.mark.usefixtures("videos_here")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def job(roots):
    p = at(roots)
    return Job(p, dataset(p), "clip", 0)


def test_a_record_is_kept_and_its_states_go(own_cache, job):
    def make(keeper):
        assert keeper.folder == own_cache / "run" / "k.states" and keeper.about == {"run": "k"}
        keeper.folder.mkdir(parents=True)
        (keeper.folder / "step-00000001").mkdir()
        return {"top1": 50.0}

    assert store.keep("run", "k", make, job) == {"top1": 50.0} == cache.load_json("run", "k")
    assert (own_cache / "runs" / "k" / "run.json").is_file(), "what it leaves to look at"
    assert [p.name for p in (own_cache / "run").iterdir()] == ["k.json"]


def test_the_states_of_a_run_that_fails_stay(own_cache, job):
    def make(keeper):
        (keeper.folder / "step-00000001").mkdir(parents=True)
        raise SfarError("no memory")

    with pytest.raises(SfarError, match="no memory"):
        store.keep("run", "k", make, job)
    assert (own_cache / "run" / "k.states" / "step-00000001").is_dir() and cache.load_json("run", "k") is None


def test_a_run_is_kept_under_its_job(job):
    assert store.kept(job) is None
    cache.save_json("run", job.key(), {"method": "clip"})
    assert store.kept(job) == {"method": "clip"}

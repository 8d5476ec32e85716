"""A job: one method, one seed, one configuration, one data set, and the key of everything its numbers follow from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sfar.config import Profile, as_dict, counted, digest, few_shot, which_data
from sfar.data import fewshot
from sfar.data.source import Dataset, by_name, dataset, few_shot_manifest, training_data
from sfar.data.video import reader_key
from sfar.model import registry
from sfar.model.clip import weights_id
from sfar.subtexts.source import scenes_of, subtexts_of
from sfar.training.evaluate import VIEWS
from sfar.util import cache

_OF_TRAINING = ("shots", "shot_seed", "shot_draws", "shot_list", "replicate")


@dataclass(frozen=True)
class Job:
    """One run to be made.

    ``views``: of the evaluation beyond the single view, "1x1" for none, or "4x3". ``zero_shot``: data sets (values of
    ``data.dataset``) whose classes the trained model is tested on as well.
    """

    profile: Profile
    data: Dataset
    method: str
    seed: int
    views: str = "1x1"
    zero_shot: tuple[str, ...] = ()

    @property
    def trained(self) -> bool:
        """Whether anything is trained."""
        return registry.get(self.method).trained

    @property
    def frozen(self) -> bool:
        """Whether a head is trained on a frozen tower, which then sees every clip once for all runs."""
        return self.trained and not self.profile.train.train_visual

    def inputs(self, find: Callable[[Profile], Dataset] = dataset) -> dict[str, Any]:
        """Everything the run's numbers follow from but the code, in JSON types.

        The configuration as far as the method reads it (``config.counted``), data, sub-texts. ``find``: what looks up
        the data sets of ``zero_shot``.
        """
        p, method = counted(self.profile), registry.get(self.method)
        model = {k: v for k, v in as_dict(p.model).items() if k in method.reads}
        training = as_dict(p.train)
        if p.train.train_visual:
            del training["frozen_draws"]
        if not few_shot(p):
            del training["few_shot_epoch"]
        where = {k: v for k, v in which_data(p.data).items() if self.trained or k not in _OF_TRAINING}
        if not reader_key(p.data.reader):  # "auto" and "pyav" read the same
            del where["reader"]
        if p.data.shot_list and self.trained:
            where["shot_list"] = fewshot.content(few_shot_manifest(p, training_data(p, self.data)))
        sides = [(other, find(other)) for other in (by_name(p, name) for name in self.zero_shot)]
        pairs = [(p, self.data), *sides]
        texts = [dict(subtexts_of(at, d.classes)) for at, d in pairs] if method.sub_texts else None
        return {
            "model": model,
            "weights": weights_id(p.model.clip, p.model.pretrained),
            "subtexts": digest(texts) if texts else None,
            **({"scenes": digest([dict(scenes_of(d.classes)) for _, d in pairs])} if method.scenes else {}),
            "classes": list(self.data.classes),
            "train": training if self.trained else {"frames": p.train.frames},
            "data": where,
            "fingerprint": self.data.fingerprint,
            "lists": self.data.lists,
            "method": self.method,
            "seed": self.seed if self.trained else 0,
            "views": self.views,
            "zero_shot": [[name, d.fingerprint] for name, (_, d) in zip(self.zero_shot, sides, strict=True)],
        }

    def key(self, find: Callable[[Profile], Dataset] = dataset) -> str:
        """Under what the run is kept."""
        return cache.key("run", self.inputs(find), entries=registry.get(self.method).entries)

    def name(self) -> str:
        """For messages and the progress bar."""
        return f"{self.method}/seed {self.seed}"

    def cost(self, per_epoch: int, n_val: int) -> int:
        """About how much work, in forward passes of one clip.

        A training step is three, of a head alone next to nothing. ``per_epoch``: clips of an epoch; ``n_val``: of the
        test.
        """
        trained = 3 * per_epoch * self.profile.train.epochs if self.trained else 0
        many = VIEWS[self.views][0] * VIEWS[self.views][1] if self.views != "1x1" else 0
        return (trained if self.profile.train.train_visual else trained // 20) + n_val * (
            1 + many + len(self.zero_shot)
        )

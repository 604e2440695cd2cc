"""The trial of a challenger beside the champion of one ingress replica: loaded, reloaded, measured and ended."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipelines.serving.api.metrics import SHADOW
from pipelines.serving.contract import Checker
from pipelines.serving.reload import Present, Reloader, Tidings
from pipelines.serving.service import Plan, Service
from pipelines.serving.shadow import Nobody, Shadow
from pipelines.serving.trial_log import TrialLog, in_thread

CLOSE_S = 10.0  # for the last step, and again for a challenger that may hang


@dataclass(frozen=True)
class House:
    """How an ingress comes by checkers."""

    plan: Callable[[Service], Plan]
    versions: Callable[[Service], object]
    load: Callable[[Plan, Service], Checker]
    retire: Callable[[Checker], None]


def _is_tried(checker: Checker) -> str:
    described = checker.described()
    if isinstance(checker, Nobody):
        return (
            f"nobody is tried: the challenger is bundle {described.bundle} and policy {described.policy}, which answer"
        )
    return f"from now on bundle {described.bundle} and policy {described.policy} are tried"


TRIED = Tidings(_is_tried, "the challenger cannot be loaded, the champion answers on")


class Trial:
    """A shadow whose challenger is what `tried` stands for now.

    It is loaded once the champion answers, and again whenever either of them changes; where both come to the same
    versions, nobody is tried. What cannot be loaded is said, tried again later, and costs the champion nothing.
    """

    def __init__(self, champion: Present, service: Service, tried: Service, house: House) -> None:
        self._champion, self._tried, self._house = champion, tried, house
        self.log = TrialLog()
        self.shadow = Shadow(champion, service.shadow, self.log, count=lambda outcome: SHADOW.labels(outcome).inc())
        self.reloader = Reloader(
            self.shadow.challenger, self._versions, self._build, house.retire, service.reload_s, TRIED
        )

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """What has to run as long as the service does."""
        return [self.reloader.run(None), self.shadow.run(), self.log.run()]

    def state(self) -> dict[str, Any]:
        """How the trial stands, and what is in its way."""
        return {**self.shadow.state(), "trouble": self.reloader.trouble, "mlflow": self.log.trouble}

    async def close(self) -> None:
        """Write the last step and end the challenger, after the work was cancelled; whatever hangs is left."""
        await self.shadow.close()
        await self.log.close(CLOSE_S)
        await in_thread(partial(self._house.retire, self.shadow.challenger.checker), CLOSE_S)

    def _versions(self) -> object:
        """What the challenger is, and whom it is tried against: where that changes, it may be the same."""
        described = self._champion.described()
        return self._house.versions(self._tried), described.bundle, described.policy

    def _build(self) -> Checker:
        champion, plan = self._champion.described(), self._house.plan(self._tried)
        if (plan.bundle.id, plan.policy.id) == (champion.bundle, champion.policy):
            return Nobody(champion)
        return self._house.load(plan, self._tried)

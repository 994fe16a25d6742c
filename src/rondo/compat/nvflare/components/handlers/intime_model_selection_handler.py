"""Which global model is the best, seen from the sites' own metrics of it."""

from __future__ import annotations

from collections.abc import Mapping

from ...apis.event_type import EventType
from ...apis.fl_component import FLComponent
from ...apis.fl_constant import FLConstants
from ...apis.fl_context import FLContext
from ...apis.shareable import ShareableKey


class IntimeModelSelectionHandler(FLComponent):
    """The mean of INITIAL_METRICS over accepted updates, each round but round 0, and whether it is the best so far.

    Named in a configuration it is the server's own way to choose (``best_FL_global_model``), and this class is not
    used. Subclassed it tells of a new best with IS_BEST in the context and a line in the log; it keeps no model.
    """

    def __init__(
        self, weigh_by_local_iter: bool = False, aggregation_weights: Mapping[str, float] | None = None
    ) -> None:
        super().__init__()
        self.weigh_by_local_iter = weigh_by_local_iter
        self.aggregation_weights = dict(aggregation_weights or {})
        self.best_val_metric: float | None = None
        self._sum = self._weight = 0.0

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        if event_type == EventType.START_ROUND:
            self._sum = self._weight = 0.0
            fl_ctx.set_prop(FLConstants.IS_BEST, False)
        elif event_type == EventType.BEFORE_ACCEPT:
            self._look_at(fl_ctx)
        elif event_type == EventType.BEFORE_AGGREGATION and self._weight:
            self._compare(fl_ctx, self._sum / self._weight)

    def _look_at(self, fl_ctx: FLContext) -> None:
        peer = fl_ctx.get_prop(FLConstants.PEER_CONTEXT)
        if peer is None or fl_ctx.get_prop(FLConstants.CURRENT_ROUND) == 0:
            return
        meta = peer.get_prop(FLConstants.SHAREABLE, {}).get(ShareableKey.META) or {}
        metric = meta.get(FLConstants.INITIAL_METRICS)
        if metric is None:
            return
        steps = float(meta.get(FLConstants.NUM_STEPS_CURRENT_ROUND) or 1.0) if self.weigh_by_local_iter else 1.0
        self._sum += steps * float(metric) * self.aggregation_weights.get(peer.get_prop(FLConstants.CLIENT_NAME), 1.0)
        self._weight += steps

    def _compare(self, fl_ctx: FLContext, value: float) -> None:
        if self.best_val_metric is None or value > self.best_val_metric:
            self.best_val_metric = value
            fl_ctx.set_prop(FLConstants.IS_BEST, True)
            number = fl_ctx.get_prop(FLConstants.CURRENT_ROUND)
            self.logger.info("new best validation metric at round %s: %s", number, value)

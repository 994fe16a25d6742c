"""The events of a run. Ten values do not follow their names; they are as they were."""

from __future__ import annotations

_AS_NAMED = (
    "START_RUN END_RUN START_ROUND END_ROUND CLIENT_REGISTER CLIENT_QUIT BEFORE_INITIALIZE AFTER_INITIALIZE "
    "BEFORE_TRAIN AFTER_TRAIN RECEIVE_CONTRIBUTION BEFORE_ACCEPT AFTER_ACCEPT BEFORE_AGGREGATION END_AGGREGATION "
    "LOCAL_BEST_MODEL_AVAILABLE SUBMIT_LOCAL_BEST_MODEL SERVER_RECEIVE_BEST_MODEL BEFORE_SEND_BEST_MODEL "
    "AFTER_SEND_BEST_MODEL BEFORE_GET_VALIDATION_MODELS AFTER_GET_VALIDATION_MODELS SEND_MODEL_FOR_VALIDATION "
    "RECEIVE_VALIDATION_MODEL BEFORE_VALIDATE_MODEL AFTER_VALIDATE_MODEL BEFORE_SUBMIT_VALIDATION_RESULTS "
    "AFTER_SUBMIT_VALIDATION_RESULTS SEND_VALIDATION_RESULTS RECEIVE_VALIDATION_RESULTS"
)


class _Events(type):
    """Names that mean ``_their_own_name``."""

    def __getattr__(cls, name: str) -> str:
        if name in _AS_NAMED.split():
            return f"_{name.lower()}"
        raise AttributeError(f"no event {name}")


class EventType(metaclass=_Events):
    """``EventType.START_RUN`` and so on."""

    GET_GLOBAL_SHAREABLE = "_get_model"
    BEFORE_PULL_GLOBAL_SHAREABLE = "_before_pull_model"
    AFTER_PULL_GLOBAL_SHAREABLE = "_after_pull_model"
    RECEIVE_GLOBAL_SHAREABLE = "_receive_model"
    BEFORE_SEND_CLIENT_SHAREABLE = "_before_send_model"
    AFTER_SEND_CLIENT_SHAREABLE = "_send_model"
    BEFORE_SHAREABLE_TO_LEARNABLE = "_before_model_update"
    AFTER_SHAREABLE_TO_LEARNABLE = "_after_model_update"
    BEFORE_LEARNABLE_PERSIST = "_before_save_model"
    AFTER_LEARNABLE_PERSIST = "_after_save_model"

"""The keys that code and engine meet by. Most constants are their own name in small letters."""

from __future__ import annotations

_NAMES = (
    "ARGS TRAIN_ROOT MMAR_ROOT CKPT_PRELOAD_PATH CLIENT_NAME CURRENT_ROUND CURRENT_RUN START_ROUND TOTAL_ROUND "
    "MAX_ROUNDS MODEL_NETWORK MULTI_GPU MY_RANK DEVICE TRAIN_CONTEXT GLOBAL_MODEL IS_BEST IS_FIRST_ROUND FL_TOKEN "
    "WORKSPACE PLATFORM WAIT_AFTER_MIN_CLIENTS PEER_CONTEXT SHAREABLE NUM_TOTAL_STEPS INITIAL_LEARNING_RATE "
    "NUMBER_OF_GPUS LOCAL_EPOCHS CURRENT_LEARNING_RATE INITIAL_METRICS NUM_STEPS_CURRENT_ROUND NUM_EPOCHS_CURRENT_ROUND"
)


class _Constants(type):
    """Names that mean themselves, in small letters."""

    def __getattr__(cls, name: str) -> str:
        if name in _NAMES.split():
            return name.lower()
        raise AttributeError(f"no constant {name}")


class FLConstants(metaclass=_Constants):
    """``FLConstants.NUM_STEPS_CURRENT_ROUND`` and so on."""

    LOG_DIR = "model_log_dir"
    CLIENT_TOKEN_FILE = "client_token.txt"


class ShareableKey:
    """What is where in a ``Shareable``."""

    TYPE = "type"
    DATA_TYPE = "data_type"
    MODEL_WEIGHTS = "model_weights"
    UNENCRYPTED_WEIGHTS = "unencrypted_weights"
    ENCRYPTED_WEIGHTS = "encrypted_weights"
    META = "meta"
    MODEL_NAME = "model_name"
    DATA = "DATA"
    METRICS = "metrics"


class ShareableValue:
    """What a ``Shareable`` is, and of what."""

    TYPE_WEIGHTS = "weights_dict"
    TYPE_WEIGHT_DIFF = "weights_diff"
    TYPE_NONE = "none"
    TYPE_ML_MODEL = "ml_model"
    TYPE_METRICS = "metrics"
    DATA_TYPE_UNENCRYPTED = "unencrypted"
    DATA_TYPE_ENCRYPTED = "encrypted"
    DATA_TYPE_MIXED = "mixed"
    DATA_TYPE_BYTES = "bytes"
    DATA_TYPE_FILES = "files"


class ShareableMetaKey:
    """What is where in the meta data of a ``Shareable``."""

    META_MODEL_NAME = "meta_model_name"


class CrossValConstants:
    """The words of cross-site validation."""

    CROSS_VAL_SCRATCH_DIR = "cross_validation"
    CLIENT_MODEL_FOLDER = "client_model_folder"
    CLIENT_PREFIX = "CLIENT_"
    CROSS_VAL_TIMEOUT = "cross_val_timeout"
    MORE_MODELS_AVAILABLE = "more_models_available"
    CROSS_VAL_FINISHED = "cross_val_finished"
    PARTICIPATING_IN_CROSS_VAL = "cross_val_is_participating"
    UNKNOWN_OWNER = "unknown owner"
    ML_MODEL_REGISTRY = "ml_model_registry"


class MLModelKeys:
    """Names of models."""

    LOCAL_BEST_MODEL = "local_best_model"

from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FileRef(_message.Message):
    __slots__ = ("digest", "size", "content", "place")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    digest: str
    size: int
    content: bytes
    place: str
    def __init__(self, digest: _Optional[str] = ..., size: _Optional[int] = ..., content: _Optional[bytes] = ..., place: _Optional[str] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("project", "name", "protocol", "capabilities", "version", "token", "role", "audit")
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    project: str
    name: str
    protocol: int
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    version: str
    token: str
    role: str
    audit: str
    def __init__(self, project: _Optional[str] = ..., name: _Optional[str] = ..., protocol: _Optional[int] = ..., capabilities: _Optional[_Iterable[str]] = ..., version: _Optional[str] = ..., token: _Optional[str] = ..., role: _Optional[str] = ..., audit: _Optional[str] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("token", "instance", "heartbeat", "protocol", "capabilities", "project", "version")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    token: str
    instance: str
    heartbeat: float
    protocol: int
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    project: str
    version: str
    def __init__(self, token: _Optional[str] = ..., instance: _Optional[str] = ..., heartbeat: _Optional[float] = ..., protocol: _Optional[int] = ..., capabilities: _Optional[_Iterable[str]] = ..., project: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class Beat(_message.Message):
    __slots__ = ("audit",)
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    audit: str
    def __init__(self, audit: _Optional[str] = ...) -> None: ...

class BeatReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Quit(_message.Message):
    __slots__ = ("reason", "audit")
    REASON_FIELD_NUMBER: _ClassVar[int]
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    reason: str
    audit: str
    def __init__(self, reason: _Optional[str] = ..., audit: _Optional[str] = ...) -> None: ...

class QuitReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Holding(_message.Message):
    __slots__ = ("run", "phase", "round", "task", "patience", "asks")
    RUN_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    PATIENCE_FIELD_NUMBER: _ClassVar[int]
    ASKS_FIELD_NUMBER: _ClassVar[int]
    run: int
    phase: str
    round: int
    task: str
    patience: float
    asks: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, run: _Optional[int] = ..., phase: _Optional[str] = ..., round: _Optional[int] = ..., task: _Optional[str] = ..., patience: _Optional[float] = ..., asks: _Optional[_Iterable[str]] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("nothing", "engage", "work", "recall", "leave", "ask")
    NOTHING_FIELD_NUMBER: _ClassVar[int]
    ENGAGE_FIELD_NUMBER: _ClassVar[int]
    WORK_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    LEAVE_FIELD_NUMBER: _ClassVar[int]
    ASK_FIELD_NUMBER: _ClassVar[int]
    nothing: Nothing
    engage: Engage
    work: Work
    recall: Recall
    leave: Leave
    ask: Ask
    def __init__(self, nothing: _Optional[_Union[Nothing, _Mapping]] = ..., engage: _Optional[_Union[Engage, _Mapping]] = ..., work: _Optional[_Union[Work, _Mapping]] = ..., recall: _Optional[_Union[Recall, _Mapping]] = ..., leave: _Optional[_Union[Leave, _Mapping]] = ..., ask: _Optional[_Union[Ask, _Mapping]] = ...) -> None: ...

class Nothing(_message.Message):
    __slots__ = ("waiting_for",)
    WAITING_FOR_FIELD_NUMBER: _ClassVar[int]
    waiting_for: str
    def __init__(self, waiting_for: _Optional[str] = ...) -> None: ...

class Engage(_message.Message):
    __slots__ = ("run", "number", "job", "package", "seed", "voucher", "gpus", "by", "event")
    RUN_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    PACKAGE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    VOUCHER_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    run: int
    number: int
    job: str
    package: FileRef
    seed: str
    voucher: str
    gpus: int
    by: str
    event: str
    def __init__(self, run: _Optional[int] = ..., number: _Optional[int] = ..., job: _Optional[str] = ..., package: _Optional[_Union[FileRef, _Mapping]] = ..., seed: _Optional[str] = ..., voucher: _Optional[str] = ..., gpus: _Optional[int] = ..., by: _Optional[str] = ..., event: _Optional[str] = ...) -> None: ...

class Work(_message.Message):
    __slots__ = ("run", "round", "rounds", "task", "model", "seed", "counted")
    RUN_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FIELD_NUMBER: _ClassVar[int]
    run: int
    round: int
    rounds: int
    task: str
    model: FileRef
    seed: str
    counted: int
    def __init__(self, run: _Optional[int] = ..., round: _Optional[int] = ..., rounds: _Optional[int] = ..., task: _Optional[str] = ..., model: _Optional[_Union[FileRef, _Mapping]] = ..., seed: _Optional[str] = ..., counted: _Optional[int] = ...) -> None: ...

class Recall(_message.Message):
    __slots__ = ("run", "reason", "by", "event", "finished")
    RUN_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    run: int
    reason: str
    by: str
    event: str
    finished: bool
    def __init__(self, run: _Optional[int] = ..., reason: _Optional[str] = ..., by: _Optional[str] = ..., event: _Optional[str] = ..., finished: bool = ...) -> None: ...

class Leave(_message.Message):
    __slots__ = ("reason", "restart", "by", "event")
    REASON_FIELD_NUMBER: _ClassVar[int]
    RESTART_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    reason: str
    restart: bool
    by: str
    event: str
    def __init__(self, reason: _Optional[str] = ..., restart: bool = ..., by: _Optional[str] = ..., event: _Optional[str] = ...) -> None: ...

class Ask(_message.Message):
    __slots__ = ("id", "name", "args", "by", "event")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    args: _containers.RepeatedScalarFieldContainer[str]
    by: str
    event: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., args: _Optional[_Iterable[str]] = ..., by: _Optional[str] = ..., event: _Optional[str] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("error", "traceback", "file", "line", "last_lines", "site", "round")
    ERROR_FIELD_NUMBER: _ClassVar[int]
    TRACEBACK_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    LAST_LINES_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    error: str
    traceback: str
    file: str
    line: int
    last_lines: str
    site: str
    round: int
    def __init__(self, error: _Optional[str] = ..., traceback: _Optional[str] = ..., file: _Optional[str] = ..., line: _Optional[int] = ..., last_lines: _Optional[str] = ..., site: _Optional[str] = ..., round: _Optional[int] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("run", "round", "prepared", "prepare_failed", "task_failed", "progress", "answer", "stopped", "measured", "begun")
    RUN_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    PREPARED_FIELD_NUMBER: _ClassVar[int]
    PREPARE_FAILED_FIELD_NUMBER: _ClassVar[int]
    TASK_FAILED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    BEGUN_FIELD_NUMBER: _ClassVar[int]
    run: int
    round: int
    prepared: Prepared
    prepare_failed: Failure
    task_failed: Failure
    progress: Progress
    answer: Answer
    stopped: Stopped
    measured: Measured
    begun: Begun
    def __init__(self, run: _Optional[int] = ..., round: _Optional[int] = ..., prepared: _Optional[_Union[Prepared, _Mapping]] = ..., prepare_failed: _Optional[_Union[Failure, _Mapping]] = ..., task_failed: _Optional[_Union[Failure, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., answer: _Optional[_Union[Answer, _Mapping]] = ..., stopped: _Optional[_Union[Stopped, _Mapping]] = ..., measured: _Optional[_Union[Measured, _Mapping]] = ..., begun: _Optional[_Union[Begun, _Mapping]] = ...) -> None: ...

class Prepared(_message.Message):
    __slots__ = ("cross", "no_cross")
    CROSS_FIELD_NUMBER: _ClassVar[int]
    NO_CROSS_FIELD_NUMBER: _ClassVar[int]
    cross: bool
    no_cross: str
    def __init__(self, cross: bool = ..., no_cross: _Optional[str] = ...) -> None: ...

class Begun(_message.Message):
    __slots__ = ("ask",)
    ASK_FIELD_NUMBER: _ClassVar[int]
    ask: str
    def __init__(self, ask: _Optional[str] = ...) -> None: ...

class Stopped(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("phase", "fraction", "detail")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    phase: str
    fraction: float
    detail: str
    def __init__(self, phase: _Optional[str] = ..., fraction: _Optional[float] = ..., detail: _Optional[str] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("id", "rows", "error", "code")
    ID_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    id: str
    rows: _containers.RepeatedScalarFieldContainer[bytes]
    error: str
    code: str
    def __init__(self, id: _Optional[str] = ..., rows: _Optional[_Iterable[bytes]] = ..., error: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class Measured(_message.Message):
    __slots__ = ("samples", "metrics")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    samples: float
    metrics: _containers.ScalarMap[str, float]
    def __init__(self, samples: _Optional[float] = ..., metrics: _Optional[_Mapping[str, float]] = ...) -> None: ...

class ReportReply(_message.Message):
    __slots__ = ("counted", "reason")
    COUNTED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    counted: bool
    reason: str
    def __init__(self, counted: bool = ..., reason: _Optional[str] = ...) -> None: ...

class PullRequest(_message.Message):
    __slots__ = ("file", "offset")
    FILE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    file: FileRef
    offset: int
    def __init__(self, file: _Optional[_Union[FileRef, _Mapping]] = ..., offset: _Optional[int] = ...) -> None: ...

class Claim(_message.Message):
    __slots__ = ("run", "round", "kind", "samples", "steps", "metrics", "local_metrics", "omitted", "seconds", "task")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class LocalMetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    RUN_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    LOCAL_METRICS_FIELD_NUMBER: _ClassVar[int]
    OMITTED_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    run: int
    round: int
    kind: str
    samples: float
    steps: float
    metrics: _containers.ScalarMap[str, float]
    local_metrics: _containers.ScalarMap[str, float]
    omitted: _containers.RepeatedScalarFieldContainer[str]
    seconds: float
    task: str
    def __init__(self, run: _Optional[int] = ..., round: _Optional[int] = ..., kind: _Optional[str] = ..., samples: _Optional[float] = ..., steps: _Optional[float] = ..., metrics: _Optional[_Mapping[str, float]] = ..., local_metrics: _Optional[_Mapping[str, float]] = ..., omitted: _Optional[_Iterable[str]] = ..., seconds: _Optional[float] = ..., task: _Optional[str] = ...) -> None: ...

class Offer(_message.Message):
    __slots__ = ("file", "update", "package")
    FILE_FIELD_NUMBER: _ClassVar[int]
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    PACKAGE_FIELD_NUMBER: _ClassVar[int]
    file: FileRef
    update: Claim
    package: Package
    def __init__(self, file: _Optional[_Union[FileRef, _Mapping]] = ..., update: _Optional[_Union[Claim, _Mapping]] = ..., package: _Optional[_Union[Package, _Mapping]] = ...) -> None: ...

class Package(_message.Message):
    __slots__ = ("name", "voucher", "plain")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VOUCHER_FIELD_NUMBER: _ClassVar[int]
    PLAIN_FIELD_NUMBER: _ClassVar[int]
    name: str
    voucher: str
    plain: bool
    def __init__(self, name: _Optional[str] = ..., voucher: _Optional[str] = ..., plain: bool = ...) -> None: ...

class OfferReply(_message.Message):
    __slots__ = ("have", "offset", "upload", "refused", "code")
    HAVE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    have: bool
    offset: int
    upload: str
    refused: str
    code: str
    def __init__(self, have: bool = ..., offset: _Optional[int] = ..., upload: _Optional[str] = ..., refused: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class PushReply(_message.Message):
    __slots__ = ("accepted", "refused", "code")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    refused: str
    code: str
    def __init__(self, accepted: bool = ..., refused: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class CommandRequest(_message.Message):
    __slots__ = ("name", "args")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    args: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., args: _Optional[_Iterable[str]] = ...) -> None: ...

class Rows(_message.Message):
    __slots__ = ("json",)
    JSON_FIELD_NUMBER: _ClassVar[int]
    json: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, json: _Optional[_Iterable[bytes]] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("run", "after", "follow")
    RUN_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    run: int
    after: int
    follow: bool
    def __init__(self, run: _Optional[int] = ..., after: _Optional[int] = ..., follow: bool = ...) -> None: ...

class EventRow(_message.Message):
    __slots__ = ("number", "at", "run", "kind", "json")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    number: int
    at: float
    run: int
    kind: str
    json: bytes
    def __init__(self, number: _Optional[int] = ..., at: _Optional[float] = ..., run: _Optional[int] = ..., kind: _Optional[str] = ..., json: _Optional[bytes] = ...) -> None: ...

from collections.abc import Iterable as _Iterable
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar
from typing import Optional as _Optional
from typing import Union as _Union

from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from google.protobuf.internal import containers as _containers

DESCRIPTOR: _descriptor.FileDescriptor

class Request(_message.Message):
    __slots__ = ("apply_snapshot_chunk", "check_tx", "commit", "echo", "extend_vote", "finalize_block", "flush", "info", "init_chain", "list_snapshots", "load_snapshot_chunk", "offer_snapshot", "prepare_proposal", "process_proposal", "query", "verify_vote_extension")
    ECHO_FIELD_NUMBER: _ClassVar[int]
    FLUSH_FIELD_NUMBER: _ClassVar[int]
    INFO_FIELD_NUMBER: _ClassVar[int]
    INIT_CHAIN_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    CHECK_TX_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    LIST_SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    OFFER_SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    LOAD_SNAPSHOT_CHUNK_FIELD_NUMBER: _ClassVar[int]
    APPLY_SNAPSHOT_CHUNK_FIELD_NUMBER: _ClassVar[int]
    PREPARE_PROPOSAL_FIELD_NUMBER: _ClassVar[int]
    PROCESS_PROPOSAL_FIELD_NUMBER: _ClassVar[int]
    EXTEND_VOTE_FIELD_NUMBER: _ClassVar[int]
    VERIFY_VOTE_EXTENSION_FIELD_NUMBER: _ClassVar[int]
    FINALIZE_BLOCK_FIELD_NUMBER: _ClassVar[int]
    echo: Echo
    flush: Empty
    info: Empty
    init_chain: InitChain
    query: Query
    check_tx: CheckTx
    commit: Empty
    list_snapshots: Empty
    offer_snapshot: OfferSnapshot
    load_snapshot_chunk: LoadSnapshotChunk
    apply_snapshot_chunk: ApplySnapshotChunk
    prepare_proposal: PrepareProposal
    process_proposal: ProcessProposal
    extend_vote: Empty
    verify_vote_extension: VerifyVoteExtension
    finalize_block: FinalizeBlock
    def __init__(self, echo: Echo | _Mapping | None = ..., flush: Empty | _Mapping | None = ..., info: Empty | _Mapping | None = ..., init_chain: InitChain | _Mapping | None = ..., query: Query | _Mapping | None = ..., check_tx: CheckTx | _Mapping | None = ..., commit: Empty | _Mapping | None = ..., list_snapshots: Empty | _Mapping | None = ..., offer_snapshot: OfferSnapshot | _Mapping | None = ..., load_snapshot_chunk: LoadSnapshotChunk | _Mapping | None = ..., apply_snapshot_chunk: ApplySnapshotChunk | _Mapping | None = ..., prepare_proposal: PrepareProposal | _Mapping | None = ..., process_proposal: ProcessProposal | _Mapping | None = ..., extend_vote: Empty | _Mapping | None = ..., verify_vote_extension: VerifyVoteExtension | _Mapping | None = ..., finalize_block: FinalizeBlock | _Mapping | None = ...) -> None: ...

class Response(_message.Message):
    __slots__ = ("apply_snapshot_chunk", "check_tx", "commit", "echo", "exception", "extend_vote", "finalize_block", "flush", "info", "init_chain", "list_snapshots", "load_snapshot_chunk", "offer_snapshot", "prepare_proposal", "process_proposal", "query", "verify_vote_extension")
    EXCEPTION_FIELD_NUMBER: _ClassVar[int]
    ECHO_FIELD_NUMBER: _ClassVar[int]
    FLUSH_FIELD_NUMBER: _ClassVar[int]
    INFO_FIELD_NUMBER: _ClassVar[int]
    INIT_CHAIN_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    CHECK_TX_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    LIST_SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    OFFER_SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    LOAD_SNAPSHOT_CHUNK_FIELD_NUMBER: _ClassVar[int]
    APPLY_SNAPSHOT_CHUNK_FIELD_NUMBER: _ClassVar[int]
    PREPARE_PROPOSAL_FIELD_NUMBER: _ClassVar[int]
    PROCESS_PROPOSAL_FIELD_NUMBER: _ClassVar[int]
    EXTEND_VOTE_FIELD_NUMBER: _ClassVar[int]
    VERIFY_VOTE_EXTENSION_FIELD_NUMBER: _ClassVar[int]
    FINALIZE_BLOCK_FIELD_NUMBER: _ClassVar[int]
    exception: Exception
    echo: Echo
    flush: Empty
    info: InfoAnswer
    init_chain: InitChainAnswer
    query: QueryAnswer
    check_tx: TxResult
    commit: CommitAnswer
    list_snapshots: ListSnapshotsAnswer
    offer_snapshot: Verdict
    load_snapshot_chunk: Chunk
    apply_snapshot_chunk: ApplySnapshotChunkAnswer
    prepare_proposal: Transactions
    process_proposal: Verdict
    extend_vote: Empty
    verify_vote_extension: Verdict
    finalize_block: FinalizeBlockAnswer
    def __init__(self, exception: Exception | _Mapping | None = ..., echo: Echo | _Mapping | None = ..., flush: Empty | _Mapping | None = ..., info: InfoAnswer | _Mapping | None = ..., init_chain: InitChainAnswer | _Mapping | None = ..., query: QueryAnswer | _Mapping | None = ..., check_tx: TxResult | _Mapping | None = ..., commit: CommitAnswer | _Mapping | None = ..., list_snapshots: ListSnapshotsAnswer | _Mapping | None = ..., offer_snapshot: Verdict | _Mapping | None = ..., load_snapshot_chunk: Chunk | _Mapping | None = ..., apply_snapshot_chunk: ApplySnapshotChunkAnswer | _Mapping | None = ..., prepare_proposal: Transactions | _Mapping | None = ..., process_proposal: Verdict | _Mapping | None = ..., extend_vote: Empty | _Mapping | None = ..., verify_vote_extension: Verdict | _Mapping | None = ..., finalize_block: FinalizeBlockAnswer | _Mapping | None = ...) -> None: ...

class Empty(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Exception(_message.Message):
    __slots__ = ("error",)
    ERROR_FIELD_NUMBER: _ClassVar[int]
    error: str
    def __init__(self, error: str | None = ...) -> None: ...

class Echo(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: str
    def __init__(self, message: str | None = ...) -> None: ...

class Timestamp(_message.Message):
    __slots__ = ("nanos", "seconds")
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    NANOS_FIELD_NUMBER: _ClassVar[int]
    seconds: int
    nanos: int
    def __init__(self, seconds: int | None = ..., nanos: int | None = ...) -> None: ...

class InfoAnswer(_message.Message):
    __slots__ = ("app_version", "data", "last_block_app_hash", "last_block_height", "version")
    DATA_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    APP_VERSION_FIELD_NUMBER: _ClassVar[int]
    LAST_BLOCK_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    LAST_BLOCK_APP_HASH_FIELD_NUMBER: _ClassVar[int]
    data: str
    version: str
    app_version: int
    last_block_height: int
    last_block_app_hash: bytes
    def __init__(self, data: str | None = ..., version: str | None = ..., app_version: int | None = ..., last_block_height: int | None = ..., last_block_app_hash: bytes | None = ...) -> None: ...

class InitChain(_message.Message):
    __slots__ = ("app_state_bytes", "chain_id", "initial_height", "time")
    TIME_FIELD_NUMBER: _ClassVar[int]
    CHAIN_ID_FIELD_NUMBER: _ClassVar[int]
    APP_STATE_BYTES_FIELD_NUMBER: _ClassVar[int]
    INITIAL_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    time: Timestamp
    chain_id: str
    app_state_bytes: bytes
    initial_height: int
    def __init__(self, time: Timestamp | _Mapping | None = ..., chain_id: str | None = ..., app_state_bytes: bytes | None = ..., initial_height: int | None = ...) -> None: ...

class InitChainAnswer(_message.Message):
    __slots__ = ("app_hash",)
    APP_HASH_FIELD_NUMBER: _ClassVar[int]
    app_hash: bytes
    def __init__(self, app_hash: bytes | None = ...) -> None: ...

class Query(_message.Message):
    __slots__ = ("data", "height", "path", "prove")
    DATA_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PROVE_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    path: str
    height: int
    prove: bool
    def __init__(self, data: bytes | None = ..., path: str | None = ..., height: int | None = ..., prove: bool | None = ...) -> None: ...

class QueryAnswer(_message.Message):
    __slots__ = ("code", "height", "key", "log", "value")
    CODE_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    code: int
    log: str
    key: bytes
    value: bytes
    height: int
    def __init__(self, code: int | None = ..., log: str | None = ..., key: bytes | None = ..., value: bytes | None = ..., height: int | None = ...) -> None: ...

class CheckTx(_message.Message):
    __slots__ = ("tx", "type")
    TX_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    tx: bytes
    type: int
    def __init__(self, tx: bytes | None = ..., type: int | None = ...) -> None: ...

class TxResult(_message.Message):
    __slots__ = ("code", "data", "log")
    CODE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    code: int
    data: bytes
    log: str
    def __init__(self, code: int | None = ..., data: bytes | None = ..., log: str | None = ...) -> None: ...

class CommitAnswer(_message.Message):
    __slots__ = ("retain_height",)
    RETAIN_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    retain_height: int
    def __init__(self, retain_height: int | None = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("chunks", "format", "hash", "height", "metadata")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    height: int
    format: int
    chunks: int
    hash: bytes
    metadata: bytes
    def __init__(self, height: int | None = ..., format: int | None = ..., chunks: int | None = ..., hash: bytes | None = ..., metadata: bytes | None = ...) -> None: ...

class ListSnapshotsAnswer(_message.Message):
    __slots__ = ("snapshots",)
    SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    snapshots: _containers.RepeatedCompositeFieldContainer[Snapshot]
    def __init__(self, snapshots: _Iterable[Snapshot | _Mapping] | None = ...) -> None: ...

class OfferSnapshot(_message.Message):
    __slots__ = ("app_hash", "snapshot")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    APP_HASH_FIELD_NUMBER: _ClassVar[int]
    snapshot: Snapshot
    app_hash: bytes
    def __init__(self, snapshot: Snapshot | _Mapping | None = ..., app_hash: bytes | None = ...) -> None: ...

class LoadSnapshotChunk(_message.Message):
    __slots__ = ("chunk", "format", "height")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    height: int
    format: int
    chunk: int
    def __init__(self, height: int | None = ..., format: int | None = ..., chunk: int | None = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("chunk",)
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    chunk: bytes
    def __init__(self, chunk: bytes | None = ...) -> None: ...

class ApplySnapshotChunk(_message.Message):
    __slots__ = ("chunk", "index", "sender")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    index: int
    chunk: bytes
    sender: str
    def __init__(self, index: int | None = ..., chunk: bytes | None = ..., sender: str | None = ...) -> None: ...

class ApplySnapshotChunkAnswer(_message.Message):
    __slots__ = ("refetch_chunks", "reject_senders", "result")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    REFETCH_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    REJECT_SENDERS_FIELD_NUMBER: _ClassVar[int]
    result: int
    refetch_chunks: _containers.RepeatedScalarFieldContainer[int]
    reject_senders: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, result: int | None = ..., refetch_chunks: _Iterable[int] | None = ..., reject_senders: _Iterable[str] | None = ...) -> None: ...

class PrepareProposal(_message.Message):
    __slots__ = ("height", "max_tx_bytes", "next_validators_hash", "time", "txs")
    MAX_TX_BYTES_FIELD_NUMBER: _ClassVar[int]
    TXS_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    NEXT_VALIDATORS_HASH_FIELD_NUMBER: _ClassVar[int]
    max_tx_bytes: int
    txs: _containers.RepeatedScalarFieldContainer[bytes]
    height: int
    time: Timestamp
    next_validators_hash: bytes
    def __init__(self, max_tx_bytes: int | None = ..., txs: _Iterable[bytes] | None = ..., height: int | None = ..., time: Timestamp | _Mapping | None = ..., next_validators_hash: bytes | None = ...) -> None: ...

class Transactions(_message.Message):
    __slots__ = ("txs",)
    TXS_FIELD_NUMBER: _ClassVar[int]
    txs: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, txs: _Iterable[bytes] | None = ...) -> None: ...

class ProcessProposal(_message.Message):
    __slots__ = ("hash", "height", "next_validators_hash", "time", "txs")
    TXS_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    NEXT_VALIDATORS_HASH_FIELD_NUMBER: _ClassVar[int]
    txs: _containers.RepeatedScalarFieldContainer[bytes]
    hash: bytes
    height: int
    time: Timestamp
    next_validators_hash: bytes
    def __init__(self, txs: _Iterable[bytes] | None = ..., hash: bytes | None = ..., height: int | None = ..., time: Timestamp | _Mapping | None = ..., next_validators_hash: bytes | None = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: int
    def __init__(self, status: int | None = ...) -> None: ...

class VerifyVoteExtension(_message.Message):
    __slots__ = ("hash", "height", "vote_extension")
    HASH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    VOTE_EXTENSION_FIELD_NUMBER: _ClassVar[int]
    hash: bytes
    height: int
    vote_extension: bytes
    def __init__(self, hash: bytes | None = ..., height: int | None = ..., vote_extension: bytes | None = ...) -> None: ...

class FinalizeBlock(_message.Message):
    __slots__ = ("hash", "height", "next_validators_hash", "time", "txs")
    TXS_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    NEXT_VALIDATORS_HASH_FIELD_NUMBER: _ClassVar[int]
    txs: _containers.RepeatedScalarFieldContainer[bytes]
    hash: bytes
    height: int
    time: Timestamp
    next_validators_hash: bytes
    def __init__(self, txs: _Iterable[bytes] | None = ..., hash: bytes | None = ..., height: int | None = ..., time: Timestamp | _Mapping | None = ..., next_validators_hash: bytes | None = ...) -> None: ...

class FinalizeBlockAnswer(_message.Message):
    __slots__ = ("app_hash", "tx_results", "validator_updates")
    TX_RESULTS_FIELD_NUMBER: _ClassVar[int]
    VALIDATOR_UPDATES_FIELD_NUMBER: _ClassVar[int]
    APP_HASH_FIELD_NUMBER: _ClassVar[int]
    tx_results: _containers.RepeatedCompositeFieldContainer[TxResult]
    validator_updates: _containers.RepeatedCompositeFieldContainer[ValidatorUpdate]
    app_hash: bytes
    def __init__(self, tx_results: _Iterable[TxResult | _Mapping] | None = ..., validator_updates: _Iterable[ValidatorUpdate | _Mapping] | None = ..., app_hash: bytes | None = ...) -> None: ...

class ValidatorUpdate(_message.Message):
    __slots__ = ("power", "pub_key")
    PUB_KEY_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    pub_key: PublicKey
    power: int
    def __init__(self, pub_key: PublicKey | _Mapping | None = ..., power: int | None = ...) -> None: ...

class PublicKey(_message.Message):
    __slots__ = ("ed25519",)
    ED25519_FIELD_NUMBER: _ClassVar[int]
    ed25519: bytes
    def __init__(self, ed25519: bytes | None = ...) -> None: ...

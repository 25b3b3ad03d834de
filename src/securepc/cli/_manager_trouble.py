"""What a manager can't do, as a sentence for the person at the terminal."""

from __future__ import annotations

from securepc.cli._errors import UserError
from securepc.ledger.keys import KekError
from securepc.ledger.store import StoreError, StoreFull, Unordered
from securepc.manager import serve
from securepc.manager.config import ConfigError
from securepc.manager.database import DatabaseFull
from securepc.manager.ordering import CharterMissing


class explained:  # noqa: N801 - reads as a phrase
    """Turns what a manager can't do into a sentence for the person at the terminal."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        match error:
            case ConfigError():
                raise UserError(
                    f"設定を読めません({error})。先に securepc manager init --agency 会社名 を。",
                    f"no usable settings ({error}); run securepc manager init --agency NAME first.",
                ) from None
            case KekError():
                raise UserError(
                    f"鍵を開けません({error})。", f"the keys can't be opened ({error})."
                ) from None
            case StoreFull() | DatabaseFull():
                raise UserError(
                    f"ディスクの空き容量が足りません({error})。",
                    f"there is not enough room on the disk ({error}).",
                ) from None
            case Unordered():
                raise UserError(
                    f"検証ノードの合意が得られません({error})。しばらくしてもう一度実行してください。",
                    f"the validators do not order blocks now ({error}); run it again in a while.",
                ) from None
            case StoreError():
                raise UserError(
                    f"台帳を開けません({error})。別のマネージャーが動いていないか確かめてください。",
                    f"the ledger can't be opened ({error}); see whether another manager is running.",
                ) from None
            case CharterMissing():
                raise UserError(
                    f"チェーンの鍵の持ち主の許可が必要です。{error} を渡し、securepc node charter の後に"
                    "もう一度実行してください。",
                    f"the holder of the chain's key has to let this log in: hand over {error}, and run "
                    "this again after `securepc node charter`.",
                ) from None
            case serve.NotSafe():
                raise UserError(
                    "ループバック以外では --tls-cert と --tls-key、または --behind-proxy が必要です。",
                    "to listen beyond loopback, give --tls-cert and --tls-key, or --behind-proxy.",
                ) from None

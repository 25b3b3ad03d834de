"""Every exception of a policy is said in Japanese and in English."""

from securepc.wire.policy import default_rules, read_rules
from securepc.wire.unrecorded import unrecorded


def test_the_default_exceptions_are_said() -> None:
    sentences = unrecorded(read_rules(default_rules()))
    assert all(s.ja and s.en and s.ja != s.en for s in sentences)
    together = " ".join(s.ja + s.en for s in sentences)
    for word in ("system-paths", "caches", ".cache", "300", "クリップボード"):
        assert word in together


def test_narrowings_and_switches_are_said() -> None:
    raw = default_rules(paths=["~/書類"])
    raw["collect"]["network"]["on"] = False
    raw["collect"]["processes"]["command"] = False
    raw["collect"]["files"]["exclude"] = [f"/除外{n}" for n in range(20)]
    together = "\n".join(s.ja for s in unrecorded(read_rules(raw)))
    assert "「ネットワーク」は記録しません" in together
    assert "コマンドラインは記録しません" in together
    assert "~/書類" in together
    assert "ほか8件" in together

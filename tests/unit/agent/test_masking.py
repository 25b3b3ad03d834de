"""What looks like a secret on a command line is replaced; what does not is left as it is."""

import time

import pytest

from securepc.agent.collect.masking import mask


@pytest.mark.parametrize(
    ("command", "masked"),
    [
        ("mysql --password=himitsu -u root", "mysql --password=*** -u root"),
        ("mysql --password himitsu -u root", "mysql --password *** -u root"),
        ("env PGPASSWORD=himitsu psql", "env PGPASSWORD=*** psql"),
        (
            'curl -H "Authorization: Bearer abc.def-123" https://x',
            'curl -H "Authorization: Bearer ***" https://x',
        ),
        ('curl -H "X-Api-Key: 12345" https://x', 'curl -H "X-Api-Key: ***" https://x'),
        ("curl https://taro:himitsu@portal.example/", "curl https://taro:***@portal.example/"),
        ("curl 'https://x.example/?token=abc&page=2'", "curl 'https://x.example/?token=***&page=2'"),
        ("securepc agent enrol spc1_eyJhZGRyZXNz", "securepc agent enrol spc1_***"),
        ('app --secret "two words" --go', "app --secret *** --go"),
        ("soffice /home/mihon/パスワード管理規程.docx", "soffice /home/mihon/パスワード管理規程.docx"),
        ("ls -la /home/mihon/書類", "ls -la /home/mihon/書類"),
        ("git commit -m passed", "git commit -m passed"),
        ("passwd", "passwd"),
        ("mysql -phimitsu -u root", "mysql -p*** -u root"),
        ("mysqldump -u root -phimitsu db", "mysqldump -u root -p*** db"),
        ("mysql -p -u root", "mysql -p -u root"),
        ("sshpass -p himitsu ssh taro@portal.example", "sshpass -p *** ssh taro@portal.example"),
        ("curl -s -u taro:himitsu https://portal.example/", "curl -s -u taro:*** https://portal.example/"),
        ("curl --user 'taro:himitsu' https://x", "curl --user 'taro:***' https://x"),
        ("ls secret files", "ls secret files"),
        ("tool --client-secret himitsu", "tool --client-secret ***"),
        ("docker run -u 1000:1000 -p 8080:80 x", "docker run -u 1000:1000 -p 8080:80 x"),
        (
            "xdg-open http://127.0.0.1:8443/sign-in/link/AbC-1",
            "xdg-open http://127.0.0.1:8443/sign-in/link/***",
        ),
        ("curl -H 'X: 1' -d spct_abc", "curl -H 'X: 1' -d spct_***"),
    ],
)
def test_secrets_are_masked(command: str, masked: str) -> None:
    assert mask(command) == masked


def test_hostile_command_lines_cost_little() -> None:
    start = time.process_time()
    for text in (
        "password" * 2_000,
        "https://" + ":" * 16_000,
        "a:" * 8_000,
        "bearer " * 2_000,
        "mysql " * 2_000,
        "curl -u " * 2_000,
        "curl " + "a b" * 5_000,
        "-" * 16_000,
        "--a-" * 4_000,
        '"' * 16_000,
    ):
        mask(text)
    assert time.process_time() - start < 2

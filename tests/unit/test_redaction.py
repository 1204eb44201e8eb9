"""Secrets that must not leave a console, a parameter or a document."""

import base64
import json
import time
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest

from clearml_ci.core import redaction

KEY = "\n".join(
    ["-----BEGIN RSA PRIVATE KEY-----", *("MIIEow" + "Ab9+/" * 10 for _ in range(9)), "-----END RSA PRIVATE KEY-----"]
)
VALUE = "c0rrect/horse+b@tt_ry"


@pytest.fixture
def held() -> Iterator[str]:
    redaction.hold([VALUE])
    yield VALUE
    redaction.forget()


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("train.py --password hunter2", "hunter2"),
        ("curl --token=abc", "abc"),
        ("passphrase=open-sesame", "open-sesame"),
        ("AccountKey=abc;EndpointSuffix=x", "abc"),
        ("-----BEGIN RSA PRIVATE KEY----- MIIabc", "MIIabc"),
        ("https://user:" + "s" * 500 + "@host/x", "ssss"),
        ("PASSWORD=two words", "words"),
        ("PASSWORD=12345678", "12345678"),
        ("clone https://user:p@ss@host/x", "ss@"),
        ("clone https://user:pa/ss@host/x", "ss@"),
        ("clone HTTPS://user:pass@host/x", "pass"),
        ("clone https://me@corp.example:pa/ss@host/x", "ss@"),
        ("Authorization: token abc def", "def"),
        ('{"Authorization": "token abc", "lr": 1}', "abc"),
        ("SECRET_KEY value", "value"),
        ("DB_PASS=value", "value"),
        ("aws_secret_access_key wJalrXUtnFEMI/42", "wJalrXUtnFEMI/42"),
        ('"db_password"  "hunter22"', "hunter22"),
        ("access token: X9", "X9"),
        ("x-api-key: abc", "abc"),
        ('os.environ["API_TOKEN"] = "X9"', "X9"),
        ("https://blob.example/x?sv=1&sig=a%2Fb", "a%2Fb"),
        ("AIzaSyA1234567890abcdefg", "SyA1234567890"),
        ("npm_aB3dE5gH7jK9mN1pQ3sT5", "aB3dE5"),
        ("pypi-AgEIcHlwaS5vcmc1234", "AgEIc"),
        ("https://hooks.slack.com/services/T000/B000/XXXX", "B000"),
        ("https://discord.com/api/webhooks/123/abc-def", "abc-def"),
        ("Cookie: session=abc; other=def", "def"),
        ("set-cookie: id=abc", "abc"),
        ("machine github.com login me password hunter2", "hunter2"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", "wJalr"),
        ("SharedAccessKey=abc/def", "abc/def"),
        ("CLEARML_API_ACCESS_KEY=ABC123", "ABC123"),
        ('api.credentials { "access_key" = "ABC123"', "ABC123"),
        ("OPENAI_KEY=abc", "abc"),
        ("SENTRY_DSN: https://0123456789abcdef@o1.ingest.sentry.io/2", "0123456789abcdef"),
        ("wandb login --relogin 0123456789abcdef0123456789abcdef01234567", "0123456789abcdef"),
        (KEY, "MIIEow"),
        (KEY.partition("\n")[2], "MIIEow"),
        (KEY.replace("\n", "\\n"), "MIIEow"),
    ],
)
def test_mask__secret__is_gone(text: str, secret: str) -> None:
    assert secret not in redaction.mask(text)


SHAPES = {
    "GitHub": "ghp_" + "aB3dE5gH7jK9" * 3,
    "AWS": "AKIAIOSFODNN7EXAMPLE",
    "AWS's session": "IQoJb3JpZ2luX2VjEJ" + "aB3/dE5+" * 9,
    "Google": "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "Google's client": "GOCSPX-aB3dE5gH7jK9mN1pQ3sT5uV7wX",
    "Google's refresh": "1//0aB3dE5gH7jK9mN1pQ3sT5uV7wX-yZ",
    "Azure's storage": "aB3/dE5+gH7" * 7 + "jK9mN1pQ3==",
    "Azure's client": "abC8Q~" + "aB3dE5gH7jK9" * 3,
    "Slack": "xoxb-1234567890-aB3dE5gH7jK9",
    "Slack's hook": "https://hooks.slack.com/services/T000/B000/aB3dE5gH7jK9",
    "Slack's workflow": "https://hooks.slack.com/workflows/T000/A000/aB3dE5gH7jK9",
    "Discord's hook": "https://discord.com/api/v10/webhooks/123456/aB3dE5gH7jK9",
    "npm": "npm_aB3dE5gH7jK9mN1pQ3sT5",
    "PyPI": "pypi-AgEIcHlwaS5vcmc1234",
    "Hugging Face": "hf_aB3dE5gH7jK9mN1pQ3sT5uV7wXyZabcdef",
    "Weights & Biases": "wandb_v1_aB3dE5gH7jK9mN1pQ3sT5uV7wX",
    "GitLab": "glrt-aB3dE5gH7jK9mN1pQ3sT",
    "Stripe": "sk_live_aB3dE5gH7jK9mN1pQ3sT",
    "Databricks": "dapi0123456789abcdef0123456789abcdef",
    "age": "AGE-SECRET-KEY-1QQPQYRQ7QQPQYRQ7QQPQYRQ7",
    "ClearML": "eyJhbGciOiJIUzI1NiJ9.eyJpZCI6IjEifQ.aB3dE5gH7jK9",
}


@pytest.mark.parametrize("kind", SHAPES)
def test_outgoing__form_of_a_token__is_gone_however_it_is_escaped(kind: str) -> None:
    token = SHAPES[kind]
    for text in (
        token,
        f"x {token[:12]}\x1b[31m{token[12:]}\x1b[0m",
        "\u200b".join(token),
        quote(quote(token, safe=""), safe=""),
        json.dumps("".join(f"\\u{ord(sign):04x}" for sign in token))[1:-1],
        token.replace("_", "&#95;").replace("-", "&#x2d;").replace("/", "&sol;"),
    ):
        masked = redaction.outgoing(f"before {text} after")
        assert masked.startswith("before ") and masked.endswith(" after") and "***" in masked
        assert token[-8:] not in masked and text not in masked


@pytest.mark.parametrize("text", ["x" * 100_000, "token" * 20_000, "a.b-" * 30_000], ids=["letters", "tokens", "words"])
def test_mask__endless_text__is_cut(text: str) -> None:
    assert len(redaction.mask(text)) <= 2_000


@pytest.mark.parametrize(
    "text",
    [
        "epoch 3: loss 0.25, basic block 2",
        "num_tokens=512 loss=0.2",
        "tokens: 128,000, perplexity: 12.5",
        "tokenizer=bert-base-uncased lr=0.1",
        "sort_key accuracy, group_key run-2026, second pass epoch10-b",
        "use_auth_token: False",
        "GITHUB_TOKEN is not set: set it in the agent's environment",
        "no password is set",
        "cannot import name 'hf_hub_download' from 'huggingface_hub'",
        "No matching distribution found for sk-learn-intelex",
        "https://user.example:8080/pkg@1.0 was not found",
        "git@github.com:owner/name.git",
        "passed: accuracy is 0.93",
        "commit 0123456789abcdef0123456789abcdef01234567",
        "CACHE_KEY=linux-py310",
        '"integrity": "sha512-' + "aB3/dE5+gH7" * 7 + 'jK9mN1pQ3=="',
        "50%25 of a%20b &amp; c",
    ],
)
def test_mask__ordinary_text__stays(text: str) -> None:
    assert redaction.mask(text) == text


def test_mask_lines__key_over_several_lines__is_gone_and_the_lines_around_it_stay() -> None:
    lines = ["before", *KEY.split("\n"), "after"]
    assert redaction.mask_lines(lines) == ["before", "***", "after"]


def spellings(value: str) -> dict[str, str]:
    data = value.encode()
    return {
        "plain": value,
        "in a word": f"x{value}y",
        "over lines": "\n".join(value),
        "over indented lines": f"{value[:7]}\n    {value[7:]}",
        "URL-encoded": quote(value, safe=""),
        "URL-encoded, small letters": quote(value, safe="").replace("%2F", "%2f"),
        "as a path of a URL": quote(value),
        "as a form": quote_plus(value),
        "base64": base64.b64encode(data).decode(),
        "base64 for addresses": base64.urlsafe_b64encode(data).decode().rstrip("="),
        "base64 over lines": base64.encodebytes(data * 3).decode().replace("\n", "\r\n"),
        "base64 after a user's name": base64.b64encode(b"x-user:" + data).decode(),
        "base64 in the middle": base64.b64encode(b"ab" + data + b"cd").decode(),
        "JSON": json.dumps({"a": value}),
        "Markdown": "".join(f"\\{sign}" if sign in "_*[]" else sign for sign in value).replace("@", "@\u2060"),
        "with invisible characters": "\u200b".join(value),
        "with a mark on each character": "\ufe0f".join(value),
        "URL-encoded twice": quote(quote(value, safe=""), safe=""),
        "URL-encoded, each character": "".join(f"%{ord(sign):02X}" for sign in value),
        "HTML by number": "".join(f"&#{ord(sign)};" for sign in value),
        "HTML by hexadecimal number": "".join(f"&#X{ord(sign):X};" for sign in value),
        "HTML by name": value.replace("@", "&commat;").replace("/", "&sol;").replace("+", "&plus;"),
        "HTML twice": value.replace("@", "&amp;#64;"),
        "JSON by number": "".join(f"\\u{ord(sign):04X}" for sign in value),
        "JSON in JSON": json.dumps(json.dumps("".join(f"\\u{ord(sign):04x}" for sign in value))),
        "Python by number": "".join(f"\\x{ord(sign):02X}" for sign in value),
        "octal": "".join(f"\\{ord(sign):03o}" for sign in value),
        "with colors": f"{value[:5]}\x1b[1;31m{value[5:9]}\x1b[0m{value[9:]}",
        "with colors, printed": f"{value[:5]}\ufffd\\[31m{value[5:]}",
        "with colors, as JSON": json.dumps(f"{value[:5]}\x1b[38;5;1m{value[5:]}"),
        "with a link": f"{value[:5]}\x1b]8;;https://a.example\x07{value[5:]}",
        "over lines, as JSON in JSON": json.dumps(json.dumps(f"{value[:9]}\n{value[9:]}")),
        "in a box": f"{value[:9]} │\n│ {value[9:]}",
        "base64, URL-encoded": quote(base64.b64encode(data).decode(), safe=""),
        "base64 with colors": "\x1b[0m".join(base64.b64encode(data).decode()),
        "hexadecimal": data.hex(),
        "hexadecimal, capital letters": data.hex(":").upper(),
        "hexadecimal, as a list": ", ".join(f"0x{byte:02x}" for byte in data),
        "hexadecimal over lines": data.hex(" ", 2).replace(" ", "\n"),
    }


@pytest.mark.parametrize("spelling", spellings(VALUE))
def test_outgoing__held_value__is_gone_however_it_is_spelled(held: str, spelling: str) -> None:
    text = spellings(held)[spelling]
    masked = redaction.outgoing(f"before {text} after")
    assert masked.startswith("before ") and masked.endswith(" after") and "***" in masked
    assert len(masked) < len("before  after") + 40
    assert text not in masked


@pytest.mark.parametrize("spelling", spellings(VALUE))
def test_outgoing__held_value_of_other_letters__is_gone_however_it_is_spelled(spelling: str) -> None:
    value = "Grüße/an+dich@çe_là"
    redaction.hold([value])
    text = {**spellings(value), "Python by number": str(value.encode())[2:-1], "octal": value}[spelling]
    masked = redaction.outgoing(f"before {text} after")
    redaction.forget()
    assert masked.startswith("before ") and masked.endswith(" after") and text not in masked
    assert len(masked) < len("before  after") + 40


def dumps(data: bytes) -> dict[str, str]:
    rows = [(place, data[place : place + 16]) for place in range(0, len(data), 16)]
    return {
        "xxd": "\n".join(f"{place:08x}: {row.hex(' ', -2):<39}  {_printed(row)}" for place, row in rows),
        "hexdump -C": "\n".join(f"{place:08x}  {row.hex(' '):<48}  |{_printed(row)}|" for place, row in rows),
    }


def _printed(row: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)


@pytest.mark.parametrize("before", range(0, 17, 3))
@pytest.mark.parametrize("tool", ["xxd", "hexdump -C"])
def test_outgoing__held_value_in_a_dump__is_gone_with_its_characters(held: str, tool: str, before: int) -> None:
    data = b"-" * before + held.encode() + b"-" * 40
    masked = redaction.outgoing(f"before\n{dumps(data)[tool]}\nafter")
    assert masked.startswith("before\n0000") and masked.endswith("\nafter")
    assert not any(part in masked for part in (held[:4], held[-4:], data.hex(" ")[-150:-120], held.encode()[-6:].hex()))


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize(
    "text",
    [
        "commit 0123456789abcdef0123456789abcdef01234567",
        "accuracy 0.93 \u2192 0.95 &amp; loss &lt; 0.1 at https://host.example/a%20b?c=%2Fd",
        "C:\\new\\table \\x41 &unknown; 100% %zz",
        "│ step │ loss │\n00000010: 0.25 0.5  ab\n",
        "deadbeef: 12 34 56",
    ],
)
def test_outgoing__harmless_text__stays(text: str) -> None:
    assert redaction.outgoing(text) == text


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("text", [KEY, KEY.replace("\n", "\\n"), KEY.replace("\n", " "), KEY.split("\n")[3]])
def test_outgoing__line_of_a_held_key__is_gone(text: str) -> None:
    redaction.hold([KEY])
    assert "MIIEow" not in redaction.outgoing(f"before {text} after")


@pytest.mark.usefixtures("held")
def test_outgoing_body__hidden_marker_that_holds_a_value__stays() -> None:
    redaction.hold(["owner/name"])
    body = "<!-- clearml-ci: owner/name#1 -->\n<!-- clearml-ci outcome: passed -->\nowner/name"
    assert redaction.outgoing_body(body) == body.removesuffix("owner/name") + "***"


def test_outgoing__text_of_others_that_begins_as_a_marker__is_masked(held: str) -> None:
    assert redaction.outgoing(f"<!-- clearml-ci: {held} -->") == "<!-- clearml-ci: *** -->"


def test_outgoing__control_and_direction_characters__are_shown_as_one_sign() -> None:
    assert redaction.outgoing("a\u202eb\x1b[31mc\u200bd\n\te\u2060") == "a\ufffdb\ufffd[31mc\ufffdd\n\te\u2060"


def test_outgoing_document__held_value__is_gone_and_the_document_is_the_same_otherwise(held: str) -> None:
    document = {"a": [held, 1, None, True], "b": {"c": f"x {held}"}, "d": ("e",)}
    assert redaction.outgoing_document(document) == {"a": ["***", 1, None, True], "b": {"c": "x ***"}, "d": ["e"]}


@pytest.mark.usefixtures("held")
def test_outgoing__long_text_and_many_values__is_quick() -> None:
    redaction.hold(f"value-{number:032x}" for number in range(50))
    started = time.process_time()
    redaction.outgoing("the accuracy of this commit is 0.93; " * 1_800)
    assert time.process_time() - started < 1


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize(
    "text", ["%25", "%2525", "&amp;", "&", "\\u005c", "\x1b[", "\x1b]", "0", "00000000: ", "ab ", "&#", "c0"]
)
def test_outgoing__hostile_repetition__is_quick(text: str) -> None:
    started = time.process_time()
    redaction.outgoing(text * (100_000 // len(text)))
    assert time.process_time() - started < 1.5


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("GITHUB_TOKEN", "ghs_0123456789abcdef", True),
        ("CLEARML_API_SECRET_KEY", "abcdefgh12", True),
        ("CLEARML_API_ACCESS_KEY", "ABCDEFGH12", True),
        ("CLEARML_AGENT_GIT_PASS", "abcdef-1", True),
        ("DB_PASSWORD", "two words", True),
        ("SLACK_WEBHOOK_URL", "https://hooks.example/T0/B0", True),
        ("git_pass", "abcdef-1", True),
        ("HF_PAT", "abcdef-1", True),
        ("DB_PASSWORD", "short", False),
        ("USE_TOKEN", "disabled", False),
        ("MAX_TOKENS", "409600", False),
        ("TOKEN_HOST", "login.example.com", False),
        ("API_TOKEN", "https://login.example.com/x", False),
        ("API_TOKEN", "login.example.com:8080", False),
        ("TOKENIZER", "bert-base-uncased", False),
        ("CLEARML_CI_APP_PRIVATE_KEY_FILE", "/etc/app.pem", False),
        ("APP_SECRET", "ada-lovelace", False),
        ("DB_PASSWORD", "regressed", False),
        ("COMPASS", "north-west", False),
        ("HOME", "/home/somewhere", False),
        ("OPENAI_KEY", "ab12-cd34-ef56", True),
        ("CACHE_KEY", "linux-py310-x86", False),
        ("SORT_KEY", "accuracy", False),
        ("DB_PASSWORD", "correct.horse", True),
        ("DB_PASSWORD", "20261126", True),
        ("MAX_TOKENS", "20261126", False),
        ("PWD", "/work/repository", False),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/secrets/google.json", False),
        ("MYSQL_PWD", "abcdef-1", True),
        ("GCP_CREDENTIALS", "abcdef-1", True),
    ],
)
def test_secrets_of__variable__is_a_secret_by_name_and_value(name: str, value: str, secret: bool) -> None:
    assert (value in redaction.secrets_of({name: value, "GITHUB_ACTOR": "ada-lovelace"})) is secret


def test_secrets_of__nested_configuration__are_found_by_their_names() -> None:
    found = redaction.secrets_of(
        {
            "api": {
                "credentials": {"access_key": "ACCESS-1", "secret_key": "SECRET-1"},
                "host": "https://host.example",
            },
            "agent": {"git_user": "me-and-you", "git_pass": "me-and-you-2"},
            "sdk": {
                "aws": {"s3": {"key": "S3-KEY-12345", "credentials": [{"bucket": "b", "secret": "SECRET-2"}]}},
                "azure": {"storage": {"containers": [{"account_name": "acc-1", "account_key": "SECRET-5"}]}},
                "google": {"storage": {"credentials_json": "/etc/google/key.json"}},
            },
            "GOOGLE_CREDENTIALS": '{"type": "service_account", "private_key": "SECRET-3"}',
            "HTTPS_PROXY": "http://proxy-user:SECRET-4@proxy.example:3128",
        }
    )
    assert {"S3-KEY-12345", *(f"SECRET-{number}" for number in range(1, 6)), "ACCESS-1", "me-and-you-2"} <= found
    public = {"me-and-you", "https://host.example", "proxy-user", "proxy.example", "service_account", "acc-1"}
    assert not {*public, "/etc/google/key.json"} & found


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("CLEARML_AGENT_EXTRA_DOCKER_ARGS", "-e HUB_TOKEN=first-1 --env 'DB_PASS=second-2' --gpus all", "first-1"),
        ("CLEARML_AGENT_EXTRA_DOCKER_ARGS", "-e HUB_TOKEN=first-1 --env 'DB_PASS=second-2' --gpus all", "second-2"),
        ("PIP_OPTIONS", "--index-url https://a.example --password first-1", "first-1"),
        ("STORAGE", "AccountName=a;AccountKey=first-1;EndpointSuffix=b", "first-1"),
        ("JDBC", "jdbc:postgresql://h/db?user=me&password=first-1&ssl=true", "first-1"),
        ("POSTGRES_DSN", "postgres://me:p@ss/first-1@db.example/x", "p@ss/first-1"),
        ("MESSAGES", "amqp://me:first-1@mq.example:5672/%2f", "first-1"),
        ("REDIS_URL", "redis://:first-1@redis.example:6379/0", "first-1"),
        ("MONGO", "mongodb://me:first-1@a.example,b.example/x?appName=@y", "first-1"),
        (
            "SENTRY_DSN",
            "https://0123456789abcdef0123456789abcdef@o1.ingest.sentry.io/2",
            "0123456789abcdef0123456789abcdef",
        ),
        ("PIP_EXTRA_INDEX_URL", "https://a.example/x https://me:first-1@b.example/x", "first-1"),
        ("GIT_CONFIG_VALUE_0", "Authorization: Basic first-1234", "first-1234"),
        (
            "DOCKER_AUTH_CONFIG",
            json.dumps({"auths": {"h": {"auth": base64.b64encode(b"me:first-1").decode()}}}),
            "first-1",
        ),
        ("GCP_JSON", json.dumps([{"client_secret": "first-1"}]), "first-1"),
        ("GCP_BASE64", base64.b64encode(b'{"private_key": "first-1", "type": "account"}').decode(), "first-1"),
        ("SCRIPT", "machine a.example login me password first-1", "first-1"),
    ],
)
def test_secrets_of__secret_within_a_value__is_found(name: str, value: str, secret: str) -> None:
    assert secret in redaction.secrets_of({name: value})


@pytest.mark.parametrize(
    "named",
    [
        {"GITHUB_HEAD_REF": "my-password=accuracy"},
        {"GOOGLE_APPLICATION_CREDENTIALS_JSON": '{"type": "service_account", "project_id": "project-1"}'},
        {"sanitize_config_printout": {"hide_secrets": ["contents", "account_key"], "dont_hide_secrets": ["^a_pass$"]}},
        {"SITE": "https://host.example:8080/mail@x", "CLONE": "ssh://git@github.com/o/n", "PATH": "/a:/b"},
    ],
)
def test_secrets_of__harmless_value__is_none(named: dict[str, str]) -> None:
    assert redaction.secrets_of(named) == frozenset()


def test_secrets_of__list_of_options__is_read_as_a_line() -> None:
    agent = {"extra_docker_arguments": ["--password", "first-1", "-e", "HUB_TOKEN=second-2"]}
    assert redaction.secrets_of({"agent": agent}) == {"first-1", "second-2"}


@pytest.mark.parametrize("user", ["git_user", "CLEARML_AGENT_GIT_USER", "DB_USERNAME"])
def test_secrets_of__token_in_place_of_the_user__is_found(user: str) -> None:
    assert "a-token-1" in redaction.secrets_of({user: "a-token-1", "git_pass": "a-token-1"})


def test_hold__key_of_an_environment__is_held_with_each_of_its_lines(held: str) -> None:
    redaction.hold(redaction.secrets_of({"CLEARML_CI_APP_PRIVATE_KEY": KEY.replace("\n", "\\n")}))
    redaction.hold([KEY.replace("Ab9+/\n-----END", "Ab9+/\nlast0Line=\n-----END")])
    assert {held, KEY, KEY.split("\n")[1], "last0Line="} <= set(redaction.held())
    assert "-----BEGIN RSA PRIVATE KEY-----" not in redaction.held()


@pytest.mark.parametrize(
    "text",
    [
        "://a:",
        "://",
        "eyJaaaaaaaa-",
        "a\n",
        "-----BEGIN PRIVATE KEY-----",
        "--token ",
        "pass=",
        "a\n-----END PRIVATE KEY-----",
    ],
)
def test_mask__hostile_repetition__is_quick(text: str) -> None:
    """A quadratic pattern takes ten times as long for these 100,000 characters."""
    started = time.process_time()
    redaction.mask(text * (100_000 // len(text)))
    assert time.process_time() - started < 1.5

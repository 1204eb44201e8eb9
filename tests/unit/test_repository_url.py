import pytest

from clearml_ci.core import repository_url


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/Owner/Name",
        "https://github.com/owner/name.git",
        "https://github.com/owner/name/",
        "https://token@github.com/owner/name.git",
        "git@github.com:owner/name.git",
        "ssh://git@github.com/owner/name.git",
        "ssh://git@github.com:22/owner/name",
        "ssh://git@ssh.github.com:443/owner/name.git",
        "ssh.github.com:owner/name.git",
        "HTTPS://me@corp.example:to/ken@github.com/owner/name",
    ],
)
def test_is_one_of__other_spelling_of_the_same_repository__is_equal(url: str) -> None:
    assert repository_url.is_one_of(url, ["https://github.com/owner/name.git"])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://github.com/owner/name2",
        "https://github.com/other/name.git",
        "https://gitlab.com/owner/name.git",
        "https://[github.com/owner/name",
        "git@github.com:owner/name/sub.git",
    ],
)
def test_is_one_of__another_repository__differs(url: str) -> None:
    assert not repository_url.is_one_of(url, ["https://github.com/owner/name.git", ""])


def test_is_one_of__path_and_file_url_of_a_local_repository__are_equal() -> None:
    assert repository_url.is_one_of("/srv/git/name.git", ["file:///srv/git/name"])


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://user:secret@github.com/o/n.git", "https://github.com/o/n.git"),
        ("https://secret@github.com/o/n", "https://github.com/o/n"),
        ("git@github.com:o/n.git", "git@github.com:o/n.git"),
        ("https://github.com/o/n", "https://github.com/o/n"),
        ("https://me@corp.example:secret@github.com/o/n", "https://github.com/o/n"),
        ("HTTPS://user:secret@github.com/o/n", "HTTPS://github.com/o/n"),
        ("https://user:se@cret@github.com/o/n", "https://github.com/o/n"),
        ("https://user:se/cret@github.com/o/n", "https://github.com/o/n"),
        ("ssh://git@github.com/o/n", "ssh://git@github.com/o/n"),
        ("ssh://git:secret@github.com/o/n", "ssh://git@github.com/o/n"),
        ("https://github.com:8443/o/n@v1", "https://github.com:8443/o/n@v1"),
        ("https://github.com/o/n@v1", "https://github.com/o/n@v1"),
        ("git+https://user:secret@github.com/o/n@v1", "git+https://github.com/o/n@v1"),
    ],
)
def test_without_credentials__address__loses_only_what_is_secret(url: str, clean: str) -> None:
    assert repository_url.without_credentials(url) == clean

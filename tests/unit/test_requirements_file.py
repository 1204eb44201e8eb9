import pytest

from clearml_ci.core import requirements_file


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("scikit_learn == 1.5.2", {"scikit-learn": "1.5.2"}),
        ("Torch==2.1.0+cu121  # why", {"torch": "2.1.0+cu121"}),
        ("numpy>=1,<2 ; python_version < '3.12'", {"numpy": "<2,>=1"}),
        ("uvicorn[standard]==0.3", {"uvicorn": "0.3"}),
        ("pandas", {"pandas": ""}),
        ("mine @ https://h/mine.whl", {"mine": "https://h/mine.whl"}),
        ("git+https://h/o/n.git@v1#egg=my_pkg", {"my-pkg": "git+https://h/o/n.git@v1#egg=my_pkg"}),
        ("-e git+https://h/o/n.git@v1#egg=mine", {"mine": "git+https://h/o/n.git@v1#egg=mine"}),
        ("mine @ file:///opt/mine ; python_version < '3.12'", {"mine": "file:///opt/mine"}),
        ("torch==2.0;sys_platform=='linux'", {"torch": "2.0"}),
        ("numpy (>= 1.0)", {"numpy": ">=1.0"}),
        ("numpy<2,>=1", {"numpy": "<2,>=1"}),
        ("pytz==2004d", {"pytz": "2004d"}),
        ("old==1.0-custom-build ; python_version < '3.12'", {"old": "1.0-custom-build"}),
        ("locked==1.0 --hash=sha256:abc", {"locked": "1.0 --hash=sha256:abc"}),
        ("a line of prose", {}),
        ("==3", {}),
        ("./local/path", {}),
        ("https://h/nameless.whl", {}),
        ("-e .", {}),
        ("-r other.txt", {}),
        ("--extra-index-url https://user:token@h/simple", {}),
        ("# Python 3.11.2", {}),
        ("", {}),
    ],
)
def test_versions__line_of_requirements__is_name_and_version(line: str, found: dict[str, str]) -> None:
    assert requirements_file.versions(f"\n{line}\n") == found


def test_lines__of_a_requirements_file__are_those_that_pip_reads() -> None:
    assert requirements_file.lines("# all\nclearml==2.1.12\n\n torch\t# gpu\n-e git+https://x/y#egg=z\n  # end\n") == [
        "clearml==2.1.12",
        "torch",
        "-e git+https://x/y#egg=z",
    ]

"""What `docs/how-to/connect-your-systems.md` tells people to type, typed; and its code, run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from node.local import LocalCluster
from tests.clients.languages import CLIENTS, JAVA, PHP, ROOT

PAGE = (ROOT / "docs" / "how-to" / "connect-your-systems.md").read_text()
RUN_S_MAX = 60

pytestmark = [pytest.mark.process, pytest.mark.slow]

JAVA_MAIN = """
public class Main {
    public static void main(String[] words) {
        System.out.print(new OrderDesk(java.util.List.of(words[0].split(",")), words[1]).open("8"));
    }
}
"""
PHP_MAIN = "echo (new OrderDesk(explode(',', $argv[1]), $argv[2]))->open('8');\n"
PYTHON_MAIN = (
    "import sys\nprint(OrderDesk(sys.argv[1].split(','), sys.argv[2]).open('8'), end='')\n"
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def run(*words: str, folder: Path, **environ: str) -> str:
    said = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )
    assert (said.returncode, said.stderr) == (0, ""), said.stdout + said.stderr
    return said.stdout


def test_the_page_is_typed_from_top_to_bottom(cluster: LocalCluster, tmp_path: Path) -> None:
    address = cluster.address("n2")
    script = "\n".join(blocks("console")).replace("127.0.0.1:7101", address.authority)
    assert script.count("curl ") == 8
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = ["bash", "-euo", "pipefail", "-c", script]
    said = run(*command, folder=tmp_path, PATH=path, UNIDESK_DATA=str(cluster.folder.path))
    assert "It left the warehouse." in said
    assert said.rstrip().endswith("409")
    heard, more = ((tmp_path / name).read_text() for name in ("heard.txt", "more.txt"))
    seqs = [int(seq) for seq in re.findall(r'"op":"ev","cv":"\w+","seq":(\d+)', heard + more)]
    assert len(seqs) >= 3
    assert seqs == list(range(1, len(seqs) + 1))
    assert "event: caught\n" in more


def test_the_code_of_three_languages_opens_one_conversation(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    JAVA.require()
    PHP.require()
    arguments = (",".join(cluster.urls), cluster.mint("service", "shop"))
    (java,), (php,), (python,) = blocks("java"), blocks("php"), blocks("python")
    (tmp_path / "OrderDesk.java").write_text(java)
    (tmp_path / "Main.java").write_text(JAVA_MAIN)
    (tmp_path / "main.php").write_text(f"<?php\nrequire '{CLIENTS}/Unidesk.php';\n{php}{PHP_MAIN}")
    (tmp_path / "main.py").write_text(f"{python}\n\n{PYTHON_MAIN}")
    sources = [str(file) for file in CLIENTS.glob("*.java")]
    run("javac", "-d", ".", "OrderDesk.java", "Main.java", *sources, folder=tmp_path)
    opened = {
        run("java", "-cp", ".", "Main", *arguments, folder=tmp_path),
        run("php", "main.php", *arguments, folder=tmp_path),
        run(sys.executable, "main.py", *arguments, folder=tmp_path, PYTHONPATH=str(CLIENTS)),
    }
    assert len(opened) == 1

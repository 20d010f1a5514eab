"""The program in `docs/how-to/use-grpc.md` does what the page says."""

import re
import sys
from pathlib import Path

import trio

from tests.node.desk.office import office, token
from tests.node.rpc.caller import speaking

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "use-grpc.md"


async def test_the_program_of_the_page_says_what_the_page_says(tmp_path: Path) -> None:
    blocks = dict(re.findall(r"```(\w*)\n(.*?)```", PAGE.read_text(), re.DOTALL))
    program = tmp_path / "ask.py"
    program.write_text(blocks["python"])
    async with office() as desk, speaking(desk.desks["n1"]) as server:
        command = [
            sys.executable,
            str(program),
            f"127.0.0.1:{server.port}",
            token("service", "crm"),
        ]
        with trio.fail_after(60):
            ran = await trio.run_process(
                command, capture_stdout=True, capture_stderr=True, check=False
            )
    assert ran.returncode == 0, ran.stderr.decode()
    assert ran.stdout.decode() == blocks[""]

"""One variable says how much every program of a Coffer logs."""

from collections.abc import Callable

from harness import processes
from harness.coffer import Coffer


def test_supervisor_and_agents_log_as_much_as_their_coffer(new_coffer: Callable[[], Coffer]):
    coffer = new_coffer()
    coffer.start(log="error")
    instance = coffer.api.create("quiet")["id"]
    assert any(found.program == "coffer-agent" for found in processes.mentioning(instance))
    logs = list((coffer.state_dir / "local").rglob("*.log"))
    assert {"agent.log", "supervisor.log"} <= {log.name for log in logs}, logs
    for log in [coffer.log_file, *logs]:
        if "mysql" not in log.parts:
            assert " INFO " not in log.read_text(errors="replace"), log

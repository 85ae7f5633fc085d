"""The client's own tests, in its environment, against the cloud that is running here."""

import os
import subprocess

from dev import environments
from dev.local_cloud import LocalCloud
from dev.local_stack import Stack


def test_the_clients_own_tests_pass(cloud: LocalCloud, stack: Stack) -> None:
    python = environments.prepare(environments.CLIENT)
    ran = subprocess.run(
        [str(python), "-m", "pytest", "-q"],
        cwd=environments.ROOT / "client",
        env={**os.environ, "CASEFILE_TEST_CLOUD": cloud.endpoint},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout

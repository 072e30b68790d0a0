from tests.cluster.scenarios import LauncherScenarios
from tests.components.common.kubernetes.flavours import JOB_FLAVOUR, TFJOB_FLAVOUR


class TestTFJob(LauncherScenarios):
    flavour = TFJOB_FLAVOUR


class TestJob(LauncherScenarios):
    flavour = JOB_FLAVOUR

import pytest

from world import World


@pytest.fixture
def world(tmp_path):
    """Starts worlds in a directory of the test, and leaves none behind."""
    worlds = []

    def start(script, size, **options):
        worlds.append(World(tmp_path, script, size, **options))
        return worlds[-1]

    yield start
    for one in worlds:
        one.kill()

import pytest

from marrowmap.data.errors import SeedError
from marrowmap.data.seeds import require_training_seeds, require_validation_seeds


@pytest.mark.parametrize("seed", [0, 9_999])
def test_training_takes_seeds_0_to_9999(seed: int) -> None:
    require_training_seeds([seed])


@pytest.mark.parametrize("seed", [-1, 10_000, 20_000])
def test_training_cannot_be_given_another_seed(seed: int) -> None:
    with pytest.raises(SeedError, match=f"training needs seeds 0 to 9999, found {seed}"):
        require_training_seeds([5, seed])


@pytest.mark.parametrize("seed", [9_999, 20_000])
def test_validation_cannot_be_given_a_training_or_test_seed(seed: int) -> None:
    with pytest.raises(SeedError, match="validation needs seeds 10000 to 19999"):
        require_validation_seeds([10_000, seed])

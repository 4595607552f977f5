import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.perception.perception import resolve_device


def test_auto_is_cuda_where_there_is_one():
    assert resolve_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    assert resolve_device("cpu") == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_absent_cuda_is_refused():
    with pytest.raises(ConfigError, match="no CUDA device"):
        resolve_device("cuda")


def test_other_names_are_refused():
    with pytest.raises(ConfigError, match="expected auto, cpu or cuda, got 'tpu'"):
        resolve_device("tpu")

"""The Lambda API as botocore's service model describes it: the source of every shape here."""

from __future__ import annotations

from functools import lru_cache

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel


@lru_cache(maxsize=1)
def service_model() -> ServiceModel:
    """The model that ships with botocore.

    Only that one: a customised model under `~/.aws/models` or `AWS_DATA_PATH` belongs to somebody's
    client and must not change what this server accepts.
    """
    loader = Loader(
        extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False
    )
    return ServiceModel(loader.load_service_model("lambda", "service-2"), "lambda")


@lru_cache(maxsize=1)
def operation_models() -> dict[str, OperationModel]:
    """Every operation of the model by its name."""
    model = service_model()
    return {name: model.operation_model(name) for name in model.operation_names}

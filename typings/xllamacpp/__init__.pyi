"""The part of xllamacpp that engines/backends/llamacpp_child.py uses; the package has no types."""

class CpuParams:
    n_threads: int

class CommonParamsModel:
    path: str

class CommonAdapterLoraInfo:
    def __init__(self, path: str = "", scale: float = 1.0) -> None: ...

class CommonParams:
    model: CommonParamsModel
    model_alias: set[str]
    cpuparams: CpuParams
    cpuparams_batch: CpuParams
    hostnames: list[str]
    port: int
    api_keys: list[str]
    ui: bool
    endpoint_metrics: bool
    endpoint_props: bool
    endpoint_slots: bool
    verbosity: int
    warmup: bool
    fit_params: bool
    n_gpu_layers: int
    n_ctx: int
    n_batch: int
    n_ubatch: int
    n_parallel: int
    kv_unified: bool
    cache_ram_mib: int
    lora_adapters: list[CommonAdapterLoraInfo]
    lora_init_without_apply: bool
    embedding: bool

class Server:
    listening_address: str
    def __init__(self, params: CommonParams) -> None: ...
    def handle_metrics(self) -> str: ...

def get_device_info() -> list[dict[str, object]]: ...

"""wasmtime as it is set up here, the same for compiling and for running; else a compiled module does not load.

Only processes of their own import this: the appliance never does.
"""

import wasmtime
from wasmtime import component

MAX_STACK_BYTES = 2**20
"""Of the calls of a guest; one that goes deeper is ended."""
TABLE_ELEMENTS = 200_000
"""Of one table, 8 bytes each."""
_COMPONENT = b"\0asm\x0d\x00\x01\x00"

Loaded = wasmtime.Module | component.Component


def engine() -> wasmtime.Engine:
    """An engine that ends a guest when its epoch moves, with one plain memory for each module and no threads."""
    config = wasmtime.Config()
    config.epoch_interruption = True
    config.max_wasm_stack = MAX_STACK_BYTES
    config.wasm_threads = False
    config.wasm_memory64 = False
    config.wasm_multi_memory = False
    return wasmtime.Engine(config)


def is_component(module: bytes) -> bool:
    """Whether it is a component rather than a core module."""
    return module[: len(_COMPONENT)] == _COMPONENT


def compiled(module: bytes) -> bytes:
    """A module or component, or the text of one, as machine code. Raises what wasmtime raises."""
    target = engine()
    loaded = component.Component(target, module) if is_component(module) else wasmtime.Module(target, module)
    return bytes(loaded.serialize())


def loaded(target: wasmtime.Engine, path: str, *, is_component: bool) -> Loaded:
    """Machine code that `compiled` made and only we could write. Raises what wasmtime raises."""
    if is_component:
        return component.Component.deserialize_file(target, path)
    return wasmtime.Module.deserialize_file(target, path)

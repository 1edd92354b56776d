"""WebAssembly by wasmtime: compiled once, run in a forked process for each call.

Nothing here runs wasmtime in the appliance's own process.
"""

"""A program of WebAssembly for measuring a start: it doubles the number of its input, as the Python one does."""

TEXT = r"""
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 1024) "{\"answer\": ")
  (func (export "_start") (local $at i32) (local $byte i32) (local $number i32) (local $first i32)
    (i32.store (i32.const 0) (i32.const 64))
    (i32.store (i32.const 4) (i32.const 512))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (local.set $at (i32.const 64))
    (loop $next
      (local.set $byte (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
      (if (i32.lt_u (local.get $byte) (i32.const 10)) (then
        (local.set $number (i32.add (i32.mul (local.get $number) (i32.const 10)) (local.get $byte)))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (i32.add (i32.const 64) (i32.load (i32.const 8))))))
    (local.set $number (i32.mul (local.get $number) (i32.const 2)))
    (local.set $at (i32.const 1100))
    (i32.store16 (local.get $at) (i32.const 0x0a7d))
    (loop $digit
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at) (i32.add (i32.rem_u (local.get $number) (i32.const 10)) (i32.const 48)))
      (local.set $number (i32.div_u (local.get $number) (i32.const 10)))
      (br_if $digit (local.get $number)))
    (i32.store (i32.const 16) (i32.const 1024))
    (i32.store (i32.const 20) (i32.const 11))
    (i32.store (i32.const 24) (local.get $at))
    (i32.store (i32.const 28) (i32.sub (i32.const 1102) (local.get $at)))
    (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 8)))
    (drop (call $write (i32.const 1) (i32.const 24) (i32.const 1) (i32.const 8)))))
"""
"""As text: wasmtime compiles it on the machine that is measured."""

JAVASCRIPT = b"print(JSON.stringify({answer: JSON.parse(std.in.readAsString()).number * 2}).replace(':', ': '))"
"""The same, for QuickJS."""

"""Modules of our own, as text: those that try to get out, for the probe, and what each must come to."""

NOTHING = """
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 4) (i32.const 1))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))))
"""
"""Reads an input that is empty, and nothing else."""

TRIES = r"""
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_send" (func $send (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 2)
  (data (i32.const 64) "etc/passwd")
  (global $out (mut i32) (i32.const 0))
  (func $mark (param $bit i32) (param $errno i32)
    (if (i32.eqz (local.get $errno))
      (then (global.set $out (i32.or (global.get $out) (local.get $bit))))))
  (func $try
    (local $fd i32)
    (loop $next
      (if (i32.gt_u (local.get $fd) (i32.const 2)) (then
        (call $mark (i32.const 1) (call $prestat (local.get $fd) (i32.const 128)))
        (call $mark (i32.const 2) (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 128)))))
      (call $mark (i32.const 1) (call $open (local.get $fd) (i32.const 1) (i32.const 64) (i32.const 10)
        (i32.const 0) (i64.const 2) (i64.const 2) (i32.const 0) (i32.const 128)))
      (call $mark (i32.const 2) (call $open (local.get $fd) (i32.const 1) (i32.const 64) (i32.const 3)
        (i32.const 1) (i64.const 64) (i64.const 64) (i32.const 0) (i32.const 128)))
      (call $mark (i32.const 4) (call $send
        (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 128)))
      (call $mark (i32.const 4) (call $accept (local.get $fd) (i32.const 0) (i32.const 128)))
      (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $fd) (i32.const 32))))
    (if (i32.ne (memory.grow (i32.const 60000)) (i32.const -1))
      (then (global.set $out (i32.or (global.get $out) (i32.const 8))))))
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 256))
    (i32.store (i32.const 4) (i32.const 1))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 128)))
    (if (i32.eq (i32.load8_u (i32.const 256)) (i32.const 108)) (then (loop $ever (br $ever))))
    (i32.store (i32.const 4) (i32.const 65536))
    (if (i32.eq (i32.load8_u (i32.const 256)) (i32.const 102)) (then
      (loop $flood
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 128)))
        (br $flood))))
    (i32.store (i32.const 4) (i32.const 1))
    (call $try)
    (call $exit (global.get $out))))
"""
"""Told by the first byte of its input: `l` loops for ever, `f` floods, anything else tries; the exit code has a bit
set for what it got: 1 a file, 2 a place to write, 4 a socket, 8 too much memory."""

FILE, WRITTEN, SOCKET, MEMORY = 1, 2, 4, 8

THREADS = r"""
(module
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "wasi_thread_start") (param i32 i32))
  (func (export "_start") (drop (call $spawn (i32.const 0)))))
"""
"""Needs what would start a second thread; it must not even be linked."""

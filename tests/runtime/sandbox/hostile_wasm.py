"""Attempts of WebAssembly guests to get out of their sandbox, in JavaScript and in the text format of modules."""

_TRY = """
function tried(attempt) {
    try {
        const got = attempt();
        if (got !== null && got !== undefined && got !== false && !(typeof got === "number" && got < 0)) print("OUT");
    } catch (error) {}
}
function opens(path, mode) { tried(() => std.open(path, mode)); }
function works(call) {
    tried(() => { const answer = call(); return Array.isArray(answer) ? answer[1] === 0 : answer; });
}
const one = new ArrayBuffer(1);
"""
_SCRIPTS = {
    "passwd": "opens('/etc/passwd', 'r')",
    "shadow": "opens('/etc/shadow', 'r')",
    "parents": "opens('../../../../../../etc/passwd', 'r'); opens('./../etc/passwd', 'r')",
    "environ": "tried(() => std.loadFile('/proc/self/environ'))",
    "proc_root": "tried(() => std.loadFile('/proc/1/root/etc/passwd'))",
    "descriptor_paths": "for (let n = 0; n < 64; n++) opens(`/proc/self/fd/${n}`, 'r')",
    "device": "opens('/dev/vda', 'rb'); opens('/dev/mem', 'rb'); opens('/dev/zero', 'rb')",
    "list_root": "works(() => os.readdir('/'))",
    "list_here": "works(() => os.readdir('.'))",
    "list_home": "works(() => os.readdir('/root')); works(() => os.readdir('/home'))",
    "stat": "works(() => os.stat('/etc/passwd')); works(() => os.stat('/'))",
    "realpath": "works(() => os.realpath('/etc'))",
    "write_root": "opens('/x', 'w')",
    "write_tmp": "opens('/tmp/x', 'w'); opens('x', 'w')",
    "write_shm": "opens('/dev/shm/x', 'w')",
    "temporary": "tried(() => std.tmpfile())",
    "make_folder": "tried(() => os.mkdir('/tmp/x') === 0)",
    "remove": "tried(() => os.remove('/etc/passwd') === 0)",
    "rename": "tried(() => os.rename('/etc/passwd', '/etc/x') === 0)",
    "link": "tried(() => os.symlink('/etc/passwd', 'x') === 0)",
    "touch": "tried(() => os.utimes('/etc/passwd', 0, 0) === 0)",
    "raw_open": "for (let flags = 0; flags < 4; flags++) tried(() => os.open('/etc/passwd', flags))",
    "read_descriptors": "for (let n = 3; n < 128; n++) tried(() => os.read(n, one, 0, 1) > 0)",
    "write_descriptors": "for (let n = 3; n < 128; n++) tried(() => os.write(n, one, 0, 1) > 0)",
    "seek_descriptors": "for (let n = 3; n < 128; n++) tried(() => os.seek(n, 0, 0))",
    "import_file": "import('/etc/passwd').then(() => print('OUT'), () => 0)",
    "load_script": "tried(() => { std.loadScript('/etc/passwd'); return true; })",
    "execute": "tried(() => os.exec(['/bin/true']))",
    "pipe": "tried(() => os.pipe())",
    "popen": "tried(() => std.popen('id', 'r'))",
    "signal": "tried(() => os.kill(1, 0) === 0)",
    "duplicate": "tried(() => os.dup2(1, 9))",
    "wait": "tried(() => os.waitpid(-1, 0))",
    "worker": "tried(() => new os.Worker('/etc/passwd'))",
    "fetch": "tried(() => std.urlGet('http://127.0.0.1/')); tried(() => fetch('http://127.0.0.1/'))",
    "environment": "for (const name of ['PATH', 'HOME', 'USER', 'PWD', 'AGENTFLOW_KEY']) tried(() => std.getenv(name))",
    "more_wasm": "tried(() => typeof WebAssembly !== 'undefined')",
    "memory": "tried(() => new ArrayBuffer(2 ** 30))",
    "shared_memory": "tried(() => new SharedArrayBuffer(2 ** 30))",
    "memory_piecemeal": "const held = [];\n"
    "for (let n = 0; n < 400; n++) held.push(new Uint8Array(2 ** 20));\nprint('OUT')",
    "long_string": "let text = 'x'.repeat(2 ** 20);\n"
    "tried(() => { for (let n = 0; n < 12; n++) text += text + '!'; return true; })",
    "load_library": "import('/lib/x86_64-linux-gnu/libc.so.6').then(() => print('OUT'), () => 0)",
}  # fmt: skip

SCRIPTS = {name: f"{_TRY}{source}\n" for name, source in _SCRIPTS.items()}
"""Name → JavaScript that prints OUT when it got what it was not given."""

MODULE = r"""
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_recv" (func $recv (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_shutdown" (func $shutdown (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 2)
  (table $table 4 funcref)
  (type $none (func))
  (func $deep (param i32) (result i32) (i32.add (i32.const 1) (call $deep (i32.add (local.get 0) (i32.const 1)))))
  (func $is (param i32) (result i32) (i32.eq (i32.load8_u (i32.const 256)) (local.get 0)))
  (func $fail_if (param i32) (if (local.get 0) (then (call $exit (i32.const 77)))))
  (func (export "_start")
    (local $n i32)
    (i32.store (i32.const 0) (i32.const 256))
    (i32.store (i32.const 4) (i32.const 1))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 128)))
    (if (call $is (i32.const 117)) (then unreachable))
    (if (call $is (i32.const 111)) (then (drop (i32.load (i32.const 0x7ffffff0)))))
    (if (call $is (i32.const 100)) (then (drop (i32.div_s (i32.const 1) (i32.const 0)))))
    (if (call $is (i32.const 110)) (then (call_indirect (type $none) (i32.const 0))))
    (if (call $is (i32.const 105)) (then (call_indirect (type $none) (i32.const 999))))
    (if (call $is (i32.const 115)) (then (drop (call $deep (i32.const 0)))))
    (if (call $is (i32.const 116)) (then
      (call $fail_if (i32.ne (table.grow $table (ref.null func) (i32.const 100000000)) (i32.const -1)))))
    (if (call $is (i32.const 109)) (then
      (loop $more
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $more (i32.ne (memory.grow (i32.const 256)) (i32.const -1))))
      (call $fail_if (i32.gt_u (local.get $n) (i32.const 17)))))
    (if (call $is (i32.const 112)) (then
      (i64.store (i32.const 512) (i64.const 0))
      (i32.store8 (i32.const 520) (i32.const 0))
      (i32.store (i32.const 528) (i32.const 1))
      (i64.store (i32.const 536) (i64.const 60000000000))
      (drop (call $poll (i32.const 512) (i32.const 1024) (i32.const 1) (i32.const 128)))
      (call $exit (i32.const 77))))
    (if (call $is (i32.const 119)) (then
      (i32.store (i32.const 0) (i32.const 0x7fffff00))
      (i32.store (i32.const 4) (i32.const 0x7fffffff))
      (call $fail_if (i32.eqz (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 128))))))
    (if (call $is (i32.const 118)) (then
      (call $fail_if (i32.eqz (call $write (i32.const 1) (i32.const 0x7ffffff0) (i32.const 99) (i32.const 128))))))
    (if (call $is (i32.const 107)) (then
      (loop $fds
        (call $fail_if (i32.eqz (call $recv (local.get $n) (i32.const 0) (i32.const 1) (i32.const 0)
          (i32.const 128) (i32.const 132))))
        (call $fail_if (i32.eqz (call $shutdown (local.get $n) (i32.const 2))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $fds (i32.lt_u (local.get $n) (i32.const 64))))))
    (if (call $is (i32.const 99)) (then
      (call $fail_if (call $clock (i32.const 0) (i64.const 1) (i32.const 64)))
      (call $fail_if (i64.eqz (i64.load (i32.const 64))))
      (call $fail_if (call $random (i32.const 64) (i32.const 16)))
      (call $exit (i32.const 42))))))
"""
"""What it does is told by the first byte of its input; it exits with 77 when it got what it must not have."""

TRAPS = {
    "u": "unreachable",
    "o": "out of bounds memory",
    "d": "divide by zero",
    "n": "uninitialized element",
    "i": "undefined element",
}
"""Byte → what the trap is called."""
HELD = ("t", "m", "w", "v", "k")
"""Bytes of attempts that must fail quietly: a huge table, all the memory there is, writing from beyond it (the bytes,
and the list of them), sockets."""

UNLINKED = {
    "sockets": '(import "wasi_snapshot_preview1" "sock_open" (func (param i32 i32 i32) (result i32)))',
    "host": '(import "env" "system" (func (param i32) (result i32)))',
}
"""What no guest is given, as an import."""


def needing(imported: str) -> str:
    """A module that asks for something to be linked."""
    return f'(module {imported} (memory (export "memory") 1) (func (export "_start")))'

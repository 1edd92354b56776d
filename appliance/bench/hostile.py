"""Attempts to get out of a sandbox: each prints OUT when it got what it was not given.

Harmless where they are held, and nowhere else: they are never run without a sandbox.
"""

_TRY = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    if libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args]) >= 0:
        print('OUT', flush=True)
def tried(attempt, *args):
    try:
        if attempt(*args) is not False: print('OUT', flush=True)
    except BaseException: pass
"""

_SOURCES = {
    "passwd": "tried(open, '/etc/passwd')",
    "shadow": "tried(open, '/etc/shadow')",
    "root_home": "tried(os.listdir, '/root')",
    "homes": "tried(os.listdir, '/home')",
    "var": "tried(os.listdir, '/var')",
    "work": "tried(os.listdir, '/srv')",
    "through_proc_root": "tried(os.listdir, '/proc/1/root/etc/ssh')",
    "parents_cwd": "tried(os.listdir, '/proc/1/cwd/home')",
    "own_program": "tried(open, '/program', 'a')",
    "write_root": "tried(open, '/x', 'w')",
    "write_usr": "tried(open, '/usr/x', 'w')",
    "write_tmp": "tried(open, '/tmp/x', 'w')",
    "write_dev": "tried(open, '/dev/x', 'w')",
    "write_shm": "tried(open, '/dev/shm/x', 'w')",
    "core_pattern": "tried(open, '/proc/sys/kernel/core_pattern', 'w')",
    "sysrq": "tried(open, '/proc/sysrq-trigger', 'w')",
    "kernel_memory": "tried(open, '/proc/kcore', 'rb')",
    "oom": "tried(lambda: open('/proc/1/oom_score_adj', 'wb', 0).write(b'-1000'))",
    "disk_device": "tried(open, '/dev/vda', 'rb')",
    "tcp": "import socket; tried(socket.socket, 2, 1)",
    "tcp6": "import socket; tried(socket.socket, 10, 1)",
    "udp": "import socket; tried(socket.socket, 2, 2)",
    "raw": "import socket; tried(socket.socket, 2, 3, 1)",
    "unix": "import socket; tried(socket.socket, 1, 1)",
    "vsock": "import socket; tried(socket.socket, 40, 1)",
    "packet": "import socket; tried(socket.socket, 17, 3)",
    "netlink": "import socket; tried(socket.socket, 16, 3)",
    "alg": "import socket; tried(socket.socket, 38, 5)",
    "lookup": "import socket; tried(socket.getaddrinfo, 'x.invalid', 80)",
    "io_uring": "call(425, 8, ctypes.create_string_buffer(120))",
    "inherited": "for n in range(4, 64): tried(os.fstat, n)",
    "fork": "tried(lambda: os.fork() or os._exit(0))",
    "vfork": "tried(os.posix_spawn, '/bin/true', ['true'], {})",
    "clone_user": "call(56, 0x10000000 | 17, 0, 0, 0, 0)",
    "clone_new_pid_thread": "call(56, 0x20000000 | 0x10000, 0, 0, 0, 0)",
    "clone3": "call(435, ctypes.create_string_buffer(88), 88)",
    "unshare": "call(272, 0x10000000)",
    "setns": "tried(lambda: call(308, os.open('/proc/1/ns/net', os.O_RDONLY), 0) or False)",
    "mount": "call(165, b'none', b'/tmp', b'tmpfs', 0, 0)",
    "ptrace": "call(101, 0, 0, 0, 0)",
    "read_memory": "call(310, 1, 0, 0, 0, 0, 0)",
    "memfd": "tried(os.memfd_create, 'x')",
    "shared_memory": "call(29, 1, 1 << 20, 0o1666)",
    "queue": "call(240, b'x', 0o102, 0o600, 0)",
    "keyring": "call(248, b'user', b'x', b'y', 1, -3)",
    "bpf": "call(321, 0, 0, 0)",
    "perf": "call(298, 0, 0, -1, -1, 0)",
    "handle": "call(304, -100, 0, 0)",
    "userfaultfd": "call(323, 1)",
    "kill_others": "for p in range(3, 400):\n    if p != os.getpid(): tried(os.kill, p, 0)",
    "others": "tried(lambda: len([p for p in os.listdir('/proc') if p.isdigit()]) > 3)",
    "environment": "tried(lambda: os.getpid() != 1 and b'PWD=' in open('/proc/1/environ', 'rb').read())",
    "memory": "tried(lambda: bytearray(1 << 30))",
    "threads": "import threading as t, time; t.stack_size(65536)\n"
    "for _ in range(400): t.Thread(target=time.sleep, args=(1,), daemon=True).start()\nprint('OUT')",
    "core_limit": "import resource; tried(resource.setrlimit, resource.RLIMIT_CORE, (4096, 4096))",
    "root": "tried(os.setuid, 0)",
    "terminal": "import fcntl; tried(lambda: fcntl.ioctl(0, 0x5412, b'x'))",
    "clock": "import time; tried(time.clock_settime, time.CLOCK_REALTIME, 0)",
    "hostname": "import socket; tried(socket.sethostname, 'x')",
    "kill_parent": "tried(lambda: os.getppid() > 1 and os.kill(os.getppid(), 0) is None)",
    "kill_everybody": "tried(os.kill, -1, 0)",
    "limit_parent": "import resource\n"
    "tried(lambda: os.getppid() > 1 and resource.prlimit(os.getppid(), resource.RLIMIT_CPU))",
    "prioritise_parent": "tried(lambda: os.getppid() > 1 and os.setpriority(0, os.getppid(), 19) is None)",
    "move_parent": "tried(lambda: os.getppid() > 1 and os.sched_setaffinity(os.getppid(), {0}) is None)",
    "signal_by_owner": "import fcntl\n"
    "tried(lambda: os.getppid() > 1 and fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, os.getppid()) == 0)",
    "personality": "call(135, 0x0040000)",
}  # fmt: skip

ATTEMPTS = {name: f"{_TRY}{source}\n" for name, source in _SOURCES.items()}
"""Name → program; numbers of system calls are those of x86_64."""

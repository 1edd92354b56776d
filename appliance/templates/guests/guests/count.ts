// npx --package assemblyscript asc guests/count.ts -O --runtime stub --use abort= --exportStart _start -o guests/count.wasm
// AssemblyScript: the three functions of WASI that it needs are declared here, and its top level is the program.
@external("wasi_snapshot_preview1", "fd_read")
declare function fd_read(descriptor: i32, buffers: usize, count: i32, done: usize): i32;
@external("wasi_snapshot_preview1", "fd_write")
declare function fd_write(descriptor: i32, buffers: usize, count: i32, done: usize): i32;
@external("wasi_snapshot_preview1", "proc_exit")
declare function proc_exit(code: i32): void;

const ROOM: usize = 65536;
const buffer = memory.data(16);
const given = memory.data(65536);

function say(descriptor: i32, text: string): void {
  const encoded = String.UTF8.encode(text);
  store<usize>(buffer, changetype<usize>(encoded));
  store<usize>(buffer, encoded.byteLength, 4);
  fd_write(descriptor, buffer, 1, buffer + 8);
}

let length: usize = 0;
while (length < ROOM) {
  store<usize>(buffer, given + length);
  store<usize>(buffer, ROOM - length, 4);
  if (fd_read(0, buffer, 1, buffer + 8) != 0 || load<usize>(buffer + 8) == 0) break;
  length += load<usize>(buffer + 8);
}
const text = String.UTF8.decodeUnsafe(given, length);
const place = text.indexOf('"text":');
if (place < 0) {
  say(2, 'expected {"text": "..."}\n');
  proc_exit(2);
}
let words = 0;
let inside = false;
for (let at = text.indexOf('"', place + 7) + 1; at < text.length && text.charAt(at) != '"'; at++) {
  let space = text.charCodeAt(at) <= 32;
  if (text.charAt(at) == "\\") space = "nrt".includes(text.charAt(++at));
  if (!space && !inside) words++;
  inside = !space;
}
say(1, '{"words":' + words.toString() + "}");

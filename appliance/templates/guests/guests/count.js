// Nothing to build: JavaScript is run as it is, by the QuickJS of the sandbox.
const { text } = JSON.parse(std.in.readAsString());
std.out.puts(JSON.stringify({ words: text.split(/\s+/).filter(Boolean).length }));

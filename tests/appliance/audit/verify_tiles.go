// Verifies an export of the audit log by golang.org/x/mod/sumdb alone: verify_tiles VKEY DIR
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// path as C2SP tlog-tiles has it: without the height that Go's own paths begin with
func path(dir string, t tlog.Tile) string {
	level := strconv.Itoa(t.L)
	if t.L < 0 {
		level = "entries"
	}
	parts := strings.SplitN(t.Path(), "/", 4) // tile/8/LEVEL/N…
	return filepath.Join(dir, "tile", level, parts[3])
}

type reader struct{ dir string }

func (r reader) Height() int { return 8 }
func (r reader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, t := range tiles {
		data, err := os.ReadFile(path(r.dir, t))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}
func (r reader) SaveTiles([]tlog.Tile, [][]byte) {}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	verifier, err := note.NewVerifier(os.Args[1])
	check(err)
	dir := os.Args[2]
	signed, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	check(err)
	opened, err := note.Open(signed, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	check(err)
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], root)
	hashes := tlog.TileHashReader(tree, reader{dir})
	for at := int64(0); at < size; {
		width := size - at
		if width > 256 {
			width = 256
		}
		bundle, err := os.ReadFile(path(dir, tlog.Tile{H: 8, L: -1, N: at / 256, W: int(width)}))
		check(err)
		for ; width > 0; width-- {
			length := binary.BigEndian.Uint16(bundle)
			record := bundle[2 : 2+length]
			bundle = bundle[2+length:]
			proof, err := tlog.ProveRecord(size, at, hashes)
			check(err)
			check(tlog.CheckRecord(proof, size, tree.Hash, at, tlog.RecordHash(record)))
			at++
		}
	}
	if size > 1 {
		old, err := tlog.TreeHash(size/2, hashes)
		check(err)
		proof, err := tlog.ProveTree(size, size/2, hashes)
		check(err)
		check(tlog.CheckTree(proof, size, tree.Hash, size/2, old))
	}
	fmt.Println(size, "records")
}

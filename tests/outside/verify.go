// Verify checks a whole log with the packages of the Go checksum database and none of ours.
//
//	verify VKEY WHERE [OLD]
//
// WHERE is the address or the folder of a C2SP tlog-tiles log, OLD a file with an earlier checkpoint.
// It reads the checkpoint, every tile and every entry, and ends with 0 only if all of it is what the
// key VKEY signed: tiles are authenticated from the root down and made anew from the entries up.
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height   = 8
	limit    = 32 << 20
	entryMax = 65535
)

// A source is where a log lies: a web server or a folder.
type source string

func (s source) get(path string) ([]byte, error) {
	if !strings.HasPrefix(string(s), "http") {
		return os.ReadFile(filepath.Join(string(s), filepath.FromSlash(path)))
	}
	answer, err := http.Get(strings.TrimSuffix(string(s), "/") + "/" + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, limit))
}

// tile reads a tile of hashes, or of entries where its level is -1.
func (s source) tile(tile tlog.Tile) ([]byte, error) {
	path := strings.TrimPrefix(tile.Path(), "tile/8/")
	path = strings.Replace(path, "data/", "entries/", 1)
	data, err := s.get("tile/" + path)
	if err == nil && tile.L >= 0 && len(data) != tile.W*tlog.HashSize {
		err = fmt.Errorf("tile/%s has %d bytes", path, len(data))
	}
	return data, err
}

// tiles serves them to package tlog, which authenticates what it is given.
type tiles struct {
	source source
	held   map[tlog.Tile][]byte
}

func (t tiles) Height() int { return height }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range wanted {
		data, ok := t.held[tile]
		if !ok {
			var err error
			if data, err = t.source.tile(tile); err != nil {
				return nil, err
			}
		}
		all = append(all, data)
	}
	return all, nil
}

func (t tiles) SaveTiles(good []tlog.Tile, data [][]byte) {
	for i, tile := range good {
		t.held[tile] = data[i]
	}
}

// open returns the tree that a checkpoint speaks of, if the key signed it for its own log.
func open(data []byte, vkey string) (tree tlog.Tree, err error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tree, err
	}
	opened, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		return tree, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tree, errors.New("this is no checkpoint of that log")
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	if strconv.FormatInt(tree.N, 10) != lines[1] || tree.N < 1 {
		return tree, errors.New("the size is not spelt as it has to be")
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// entries reads all entries of a log, bundle by bundle.
func entries(from source, size int64) (all [][]byte, err error) {
	for n := int64(0); int64(len(all)) < size; n++ {
		width := min(size-n<<height, 1<<height)
		data, err := from.tile(tlog.Tile{H: height, L: -1, N: n, W: int(width)})
		if err != nil {
			return nil, err
		}
		for ; width > 0; width-- {
			if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
				return nil, fmt.Errorf("bundle %d is cut off", n)
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			all = append(all, data[2:end])
			data = data[end:]
		}
		if len(data) != 0 {
			return nil, fmt.Errorf("bundle %d is too long", n)
		}
	}
	return all, nil
}

// rebuilt returns every hash of the tree over some entries.
func rebuilt(all [][]byte) (hashes hashList, err error) {
	for n, entry := range all {
		more, err := tlog.StoredHashes(int64(n), entry, hashes)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, more...)
	}
	return hashes, nil
}

type hashList []tlog.Hash

func (h hashList) ReadHashes(indexes []int64) (found []tlog.Hash, err error) {
	for _, index := range indexes {
		if index >= int64(len(h)) {
			return nil, errors.New("there is no such hash")
		}
		found = append(found, h[index])
	}
	return found, nil
}

func verify(vkey string, from source, old []byte) (tree tlog.Tree, err error) {
	data, err := from.get("checkpoint")
	if err != nil {
		return tree, err
	}
	if tree, err = open(data, vkey); err != nil {
		return tree, err
	}
	all, err := entries(from, tree.N)
	if err != nil {
		return tree, err
	}
	// From the entries up.
	hashes, err := rebuilt(all)
	if err != nil {
		return tree, err
	}
	if root, err := tlog.TreeHash(tree.N, hashes); err != nil || root != tree.Hash {
		return tree, errors.Join(err, errors.New("the entries have another root"))
	}
	for _, tile := range tlog.NewTiles(height, 0, tree.N) {
		want, err := tlog.ReadTileData(tile, hashes)
		if err != nil {
			return tree, err
		}
		if got, err := from.tile(tile); err != nil || !bytes.Equal(got, want) {
			return tree, errors.Join(err, fmt.Errorf("%s is not over the entries", tile.Path()))
		}
	}
	// From the root down, which is all that a reader of few entries does.
	reader := tlog.TileHashReader(tree, tiles{from, map[tlog.Tile][]byte{}})
	for n := int64(0); n < tree.N; n += 1 + tree.N/50 {
		proof, err := tlog.ProveRecord(tree.N, n, reader)
		if err != nil {
			return tree, err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, n, tlog.RecordHash(all[n])); err != nil {
			return tree, err
		}
	}
	if old == nil {
		return tree, nil
	}
	before, err := open(old, vkey)
	if err != nil || before.N > tree.N {
		return tree, errors.Join(err, fmt.Errorf("from %d entries to %d", before.N, tree.N))
	}
	proof, err := tlog.ProveTree(tree.N, before.N, reader)
	if err != nil {
		return tree, err
	}
	return tree, tlog.CheckTree(proof, tree.N, tree.Hash, before.N, before.Hash)
}

func main() {
	var old []byte
	err := errors.New("usage: verify VKEY WHERE [OLD]")
	var tree tlog.Tree
	if len(os.Args) == 4 {
		if old, err = os.ReadFile(os.Args[3]); err == nil {
			tree, err = verify(os.Args[1], source(os.Args[2]), old)
		}
	} else if len(os.Args) == 3 {
		tree, err = verify(os.Args[1], source(os.Args[2]), nil)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	fmt.Println("verified", tree.N, tree.Hash)
}

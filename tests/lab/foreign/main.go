// Command foreign checks a published log with golang.org/x/mod/sumdb/{note,tlog} alone: code that has never seen ours.
//
//	foreign DIR VKEY PROOFS
//
// DIR holds a log as C2SP tlog-tiles publishes it (checkpoint, tile/entries/…), VKEY is its verifier key, and
// PROOFS a file of lines that our ledger made:
//
//	record INDEX HASH…            the inclusion proof of a leaf under the checkpoint
//	tree SIZE ROOT HASH…          the consistency proof from an older tree
//
// All hashes are hex. It exits with 0 if every leaf is there, they make up the checkpoint's root, and every proof holds.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const width = 256

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	fmt.Println("accepted")
}

func run(dir, vkey, proofs string) error {
	size, root, err := checkpoint(dir, vkey)
	if err != nil {
		return err
	}
	leaves, err := entries(dir, size)
	if err != nil {
		return err
	}
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			if index >= int64(len(stored)) {
				return nil, fmt.Errorf("hash %d is not there", index)
			}
			found[i] = stored[index]
		}
		return found, nil
	})
	for i, leaf := range leaves {
		more, err := tlog.StoredHashes(int64(i), leaf, read)
		if err != nil {
			return err
		}
		stored = append(stored, more...)
	}
	made, err := tlog.TreeHash(size, read)
	if err != nil {
		return err
	}
	if made != root {
		return fmt.Errorf("the leaves make another root than the checkpoint's")
	}
	return check(proofs, size, root, leaves)
}

func checkpoint(dir, vkey string) (int64, tlog.Hash, error) {
	var root tlog.Hash
	data, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return 0, root, err
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return 0, root, err
	}
	signed, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		return 0, root, err
	}
	lines := strings.Split(signed.Text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] != verifier.Name() {
		return 0, root, fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return 0, root, err
	}
	root, err = tlog.ParseHash(lines[2])
	return size, root, err
}

// entries reads every leaf from the bundles: uint16 length, bytes, again and again.
func entries(dir string, size int64) ([][]byte, error) {
	var leaves [][]byte
	for n := int64(0); n*width < size; n++ {
		name := path(n)
		if left := size - n*width; left < width {
			name += fmt.Sprintf(".p/%d", left)
		}
		data, err := os.ReadFile(filepath.Join(dir, "tile", "entries", name))
		if err != nil {
			return nil, err
		}
		for len(data) > 0 {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				return nil, fmt.Errorf("a bundle that is cut short: %s", name)
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			leaves = append(leaves, data[2:end])
			data = data[end:]
		}
	}
	if int64(len(leaves)) != size {
		return nil, fmt.Errorf("%d leaves, and the checkpoint says %d", len(leaves), size)
	}
	return leaves, nil
}

func path(n int64) string {
	name := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		name = fmt.Sprintf("x%03d/%s", n%1000, name)
	}
	return name
}

func check(proofs string, size int64, root tlog.Hash, leaves [][]byte) error {
	file, err := os.Open(proofs)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	count := 0
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		number, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil {
			return err
		}
		hashes, err := parse(words[2:])
		if err != nil {
			return err
		}
		switch words[0] {
		case "record":
			err = tlog.CheckRecord(tlog.RecordProof(hashes), size, root, number, tlog.RecordHash(leaves[number]))
		case "tree":
			err = tlog.CheckTree(tlog.TreeProof(hashes[1:]), size, root, number, hashes[0])
		default:
			err = fmt.Errorf("unknown")
		}
		if err != nil {
			return fmt.Errorf("%s %d: %w", words[0], number, err)
		}
		count++
	}
	if count == 0 {
		return fmt.Errorf("there are no proofs")
	}
	return lines.Err()
}

func parse(words []string) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(words))
	for i, word := range words {
		data, err := hex.DecodeString(word)
		if err != nil || len(data) != tlog.HashSize {
			return nil, fmt.Errorf("not a hash: %q", word)
		}
		copy(hashes[i][:], data)
	}
	return hashes, nil
}

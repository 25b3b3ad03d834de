// The peers that are written in Go, each driven by its own client: see ../__main__.py.
//
//	peers immudb ADDRESS ENTRIES BATCH WORKERS indexed|unindexed
//	peers tessera FOLDER ENTRIES
//
// ENTRIES is a file of big-endian uint32 lengths, each followed by so many bytes. What was measured is one JSON
// object on stdout: seconds for all appends to be durable, seconds a proof, seconds to verify it.
package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log"
	mathrand "math/rand"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/codenotary/immudb/pkg/api/schema"
	immudb "github.com/codenotary/immudb/pkg/client"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

const asked = 200 // entries whose proof is asked for

func main() {
	ctx := context.Background()
	switch os.Args[1] {
	case "immudb":
		batch, _ := strconv.Atoi(os.Args[4])
		workers, _ := strconv.Atoi(os.Args[5])
		viaImmudb(ctx, os.Args[2], read(os.Args[3]), batch, workers, os.Args[6] == "indexed")
	case "tessera":
		viaTessera(ctx, os.Args[2], read(os.Args[3]))
	}
}

func read(path string) [][]byte {
	data, err := os.ReadFile(path)
	must(err)
	var entries [][]byte
	for len(data) > 0 {
		size := binary.BigEndian.Uint32(data)
		entries = append(entries, data[4:4+size])
		data = data[4+size:]
	}
	return entries
}

func key(n int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func viaImmudb(ctx context.Context, address string, entries [][]byte, batch, workers int, indexed bool) {
	host, port, _ := strings.Cut(address, ":")
	number, _ := strconv.Atoi(port)
	folder, err := os.MkdirTemp("", "immudb-client")
	must(err)
	defer os.RemoveAll(folder)
	options := immudb.DefaultOptions().WithAddress(host).WithPort(number).WithDir(folder).WithMaxRecvMsgSize(64 << 20)
	c := immudb.NewClient().WithOptions(options)
	must(c.OpenSession(ctx, []byte("immudb"), []byte("immudb"), "defaultdb"))
	defer c.CloseSession(ctx)

	started := time.Now()
	next := make(chan int)
	var done sync.WaitGroup
	for range workers {
		done.Add(1)
		go func() {
			defer done.Done()
			for start := range next {
				request := &schema.SetRequest{NoWait: !indexed}
				for i := start; i < min(start+batch, len(entries)); i++ {
					request.KVs = append(request.KVs, &schema.KeyValue{Key: key(i), Value: entries[i]})
				}
				_, err := c.SetAll(ctx, request)
				must(err)
			}
		}()
	}
	for start := 0; start < len(entries); start += batch {
		next <- start
	}
	close(next)
	done.Wait()
	appended := time.Since(started)

	_, err = c.Get(ctx, key(len(entries)-1)) // waits until all is indexed, which a proof asked for by key needs
	must(err)
	var proving, both time.Duration
	for range asked {
		k := key(mathrand.Intn(len(entries)))
		state, err := c.CurrentState(ctx)
		must(err)
		at := time.Now()
		_, err = c.VerifiableGet(ctx, &schema.VerifiableGetRequest{
			KeyRequest: &schema.KeyRequest{Key: k}, ProveSinceTx: state.TxId,
		})
		must(err)
		proving += time.Since(at)
		at = time.Now()
		_, err = c.VerifiedGet(ctx, k)
		must(err)
		both += time.Since(at)
	}
	say(appended, proving, max(both-proving, 0))
}

func viaTessera(ctx context.Context, folder string, entries [][]byte) {
	secret, public, err := note.GenerateKey(rand.Reader, "example.invalid/peer")
	must(err)
	signer, err := note.NewSigner(secret)
	must(err)
	verifier, err := note.NewVerifier(public)
	must(err)
	driver, err := posix.New(ctx, posix.Config{Path: folder})
	must(err)
	options := tessera.NewAppendOptions().WithCheckpointSigner(signer).
		WithBatching(1000, 250*time.Millisecond).
		WithPushback(8000).
		WithCheckpointInterval(time.Second)
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, options)
	must(err)
	started := time.Now()
	await := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 50*time.Millisecond)
	// At most 4,000 under way, as Tessera pushes back beyond what it was told.
	slots := make(chan struct{}, 4000)
	var last tessera.IndexFuture
	var done sync.WaitGroup
	for _, entry := range entries {
		slots <- struct{}{}
		future := appender.Add(ctx, tessera.NewEntry(entry))
		last = future
		done.Add(1)
		go func() {
			defer done.Done()
			_, err := future()
			must(err)
			<-slots
		}()
	}
	done.Wait()
	sequenced := time.Since(started)
	_, raw, err := await.Await(ctx, last)
	must(err)
	published := time.Since(started)

	checkpoint, _, _, err := client.FetchCheckpoint(
		ctx, func(context.Context) ([]byte, error) { return raw, nil }, verifier, "example.invalid/peer")
	must(err)
	var proving, verifying time.Duration
	for range asked {
		n := uint64(mathrand.Intn(int(checkpoint.Size)))
		at := time.Now()
		builder, err := client.NewProofBuilder(ctx, checkpoint.Size, reader.ReadTile)
		must(err)
		path, err := builder.InclusionProof(ctx, n)
		must(err)
		proving += time.Since(at)
		bundle, err := client.GetEntryBundle(ctx, reader.ReadEntryBundle, n/256, checkpoint.Size)
		must(err)
		at = time.Now()
		leaf := rfc6962.DefaultHasher.HashLeaf(bundle.Entries[n%256])
		must(proof.VerifyInclusion(rfc6962.DefaultHasher, n, checkpoint.Size, leaf, path, checkpoint.Hash))
		verifying += time.Since(at)
	}
	fmt.Fprintf(os.Stderr, "tessera: published after %.2f s\n", published.Seconds())
	must(shutdown(ctx))
	say(sequenced, proving, verifying)
}

func say(appended, proving, verifying time.Duration) {
	must(json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"append": appended.Seconds(), "proof": proving.Seconds() / asked, "verify": verifying.Seconds() / asked,
	}))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

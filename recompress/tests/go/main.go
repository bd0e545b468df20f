// Oracle compresses files with the real encoders, for the test beside it:
//
//	oracle ENCODER LEVEL IN OUT [WRITE...]
//
// writes for each file of the directory IN a file of the same name into OUT: the raw deflate stream. The
// encoder is go, klauspost, or pgzip:BLOCK with the size of its blocks. WRITE are the sizes of the writes,
// over and over; 32768 if there is none.
package main

import (
	"bytes"
	stdflate "compress/flate"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/pgzip"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	level, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	sizes := []int{32768}
	for i, arg := range args[4:] {
		size, err := strconv.Atoi(arg)
		if err != nil {
			return err
		}
		sizes = append(sizes[:i], size)
	}
	names, err := os.ReadDir(args[2])
	if err != nil {
		return err
	}
	for _, name := range names {
		plain, err := os.ReadFile(filepath.Join(args[2], name.Name()))
		if err != nil {
			return err
		}
		packed, err := compress(args[0], level, plain, sizes)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(args[3], name.Name()), packed, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func compress(encoder string, level int, plain []byte, sizes []int) ([]byte, error) {
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	header := 0
	name, block, _ := strings.Cut(encoder, ":")
	switch name {
	case "go":
		w, err = stdflate.NewWriter(&out, level)
	case "klauspost":
		w, err = flate.NewWriter(&out, level)
	case "pgzip":
		size, bad := strconv.Atoi(block)
		if bad != nil {
			return nil, bad
		}
		var z *pgzip.Writer
		z, err = pgzip.NewWriterLevel(&out, level)
		if err == nil {
			err = z.SetConcurrency(size, 2)
		}
		w, header = z, 10
	default:
		err = fmt.Errorf("no encoder %s", name)
	}
	if err != nil {
		return nil, err
	}
	for i := 0; len(plain) > 0; i++ {
		n := sizes[i%len(sizes)]
		if n > len(plain) {
			n = len(plain)
		}
		if _, err := w.Write(plain[:n]); err != nil {
			return nil, err
		}
		plain = plain[n:]
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	packed := out.Bytes()
	if header > 0 {
		packed = packed[header : len(packed)-8]
	}
	return packed, nil
}

// Oracle compresses files with the real encoders, for the test beside it:
//
//	oracle ENCODER LEVEL IN OUT [WRITE...]
//
// writes for each file of the directory IN a file of the same name into OUT: the raw deflate stream. The
// encoder is go, klauspost, or pgzip:BLOCK with the size of its blocks. Or it is zstd:OPTION,… and writes a
// frame: whole (in one call), sized, first=BYTES (given alone), window=BYTES, checksum=false, literals=BOOL,
// entropy=false. WRITE are the sizes of the writes, over and over; 32768 if there is none.
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
	"github.com/klauspost/compress/zstd"
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
	if name == "zstd" {
		return frame(strings.Split(block, ","), zstd.EncoderLevel(level), plain, sizes)
	}
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
	if err := write(w, plain, sizes); err != nil {
		return nil, err
	}
	packed := out.Bytes()
	if header > 0 {
		packed = packed[header : len(packed)-8]
	}
	return packed, nil
}

func write(w io.WriteCloser, plain []byte, sizes []int) error {
	for i := 0; len(plain) > 0; i++ {
		n := sizes[i%len(sizes)]
		if n > len(plain) {
			n = len(plain)
		}
		if _, err := w.Write(plain[:n]); err != nil {
			return err
		}
		plain = plain[n:]
	}
	return w.Close()
}

// frame compresses as a program does that sets options and then the level.
func frame(options []string, level zstd.EncoderLevel, plain []byte, sizes []int) ([]byte, error) {
	var settings []zstd.EOption
	whole, sized, first := false, false, 0
	for _, option := range options {
		name, value, _ := strings.Cut(option, "=")
		number, _ := strconv.Atoi(value)
		switch name {
		case "":
		case "whole":
			whole = true
		case "sized":
			sized = true
		case "first":
			first = number
		case "window":
			settings = append(settings, zstd.WithWindowSize(number))
		case "checksum":
			settings = append(settings, zstd.WithEncoderCRC(value == "true"))
		case "literals":
			settings = append(settings, zstd.WithAllLitEntropyCompression(value == "true"))
		case "entropy":
			settings = append(settings, zstd.WithNoEntropyCompression(value == "false"))
		default:
			return nil, fmt.Errorf("no option %s", option)
		}
	}
	settings = append(settings, zstd.WithEncoderLevel(level), zstd.WithZeroFrames(true))
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, settings...)
	if err != nil {
		return nil, err
	}
	if whole {
		return w.EncodeAll(plain, nil), nil
	}
	if sized {
		w.ResetContentSize(&out, int64(len(plain)))
	}
	if first > 0 && first < len(plain) {
		// As io.Copy does with what a program looked at and the rest.
		if _, err := w.ReadFrom(bytes.NewReader(plain[:first])); err != nil {
			return nil, err
		}
		if _, err := w.ReadFrom(bytes.NewReader(plain[first:])); err != nil {
			return nil, err
		}
		plain = nil
	}
	if err := write(w, plain, sizes); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

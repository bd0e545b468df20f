// Pulls images as K3s does by its registries.yaml: with the module that K3s itself reads the file with. Takes the file
// and the images' names; prints the digest of each, and reads all of its layers.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rancher/wharfie/pkg/registries"
)

func main() {
	if err := pull(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func pull(file string, images []string) error {
	if _, err := os.Stat(file); err != nil {
		return err
	}
	config, err := registries.GetPrivateRegistries(file)
	if err != nil {
		return err
	}
	for _, text := range images {
		reference, err := name.ParseReference(text)
		if err != nil {
			return err
		}
		// Retries would only make a refusal slower.
		image, err := config.Image(reference, remote.WithRetryPredicate(func(error) bool { return false }))
		if err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
		layers, err := image.Layers()
		if err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
		for _, layer := range layers {
			content, err := layer.Compressed()
			if err != nil {
				return fmt.Errorf("%s: %w", text, err)
			}
			// The reader compares the digest at the end.
			if _, err := io.Copy(io.Discard, content); err != nil {
				return fmt.Errorf("%s: %w", text, err)
			}
		}
		digest, err := image.Digest()
		if err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
		fmt.Println(digest)
	}
	return nil
}

package app

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// tokenIn reads the token, or makes one that nobody can guess. The caller holds the lock of the state directory.
func tokenIn(path string) (string, error) {
	data, err := os.ReadFile(path)
	if token := strings.TrimSpace(string(data)); err == nil && token != "" {
		return token, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	token := hex.EncodeToString(random)
	part := path + ".part"
	if err := os.WriteFile(part, []byte(token+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("writing the token: %w", err)
	}
	if err := os.Rename(part, path); err != nil {
		return "", fmt.Errorf("writing the token: %w", err)
	}
	return token, nil
}

package worker

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestProgramIsNamedByItsContent: as Go's own tool reads it.
func TestProgramIsNamedByItsContent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux' programs are read")
	}
	path, err := os.Executable()
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), "go", "tool", "buildid", path).Output()
	require.NoError(t, err)
	whole := strings.TrimSpace(string(out))
	require.Equal(t, 3, strings.Count(whole, "/"), whole)
	require.NotEmpty(t, contentID(path))
	require.Equal(t, whole[strings.LastIndexByte(whole, '/')+1:], contentID(path))

	for name, text := range map[string]string{"none": "#!/bin/sh\n", "cut": "\x7fELF"} {
		other := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(other, []byte(text), 0o600))
		require.Empty(t, contentID(other), name)
	}
	require.Empty(t, contentID(filepath.Join(t.TempDir(), "missing")))
}

// Binaries come from where they should.

package controlplane

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func stub(t *testing.T, dir, name string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"), mode))
	return path
}

func TestLookupGoesBinaryByBinary(t *testing.T) {
	assets, cached := t.TempDir(), t.TempDir()
	here := stub(t, assets, "kubectl", 0o755)
	stub(t, cached, "kubectl", 0o755)
	there := stub(t, cached, "etcd", 0o755)
	stub(t, assets, "kwok", 0o644) // not executable
	require.NoError(t, os.Mkdir(filepath.Join(cached, "kube-scheduler"), 0o755))

	found, missing := lookup([]string{"etcd", "kubectl", "kwok", "kube-scheduler"}, assets, cached)
	require.Equal(t, map[string]string{"kubectl": here, "etcd": there}, found)
	require.Equal(t, []string{"kwok", "kube-scheduler"}, missing)

	t.Chdir(cached)
	found, missing = lookup([]string{"etcd"}, "", "")
	require.Empty(t, found, "an unset variable is not the working directory")
	require.Equal(t, []string{"etcd"}, missing)
}

func TestAssetsVariableIsHonouredBinaryByBinary(t *testing.T) {
	t.Setenv("HOME", t.TempDir())  // where os.UserCacheDir looks,
	t.Setenv("XDG_CACHE_HOME", "") // one way or another
	cache, err := openCache()
	require.NoError(t, err)
	want := map[string]string{}
	for name := range packages {
		want[name] = stub(t, cache.dir, name, 0o755)
	}
	assets := t.TempDir()
	t.Setenv(assetsVariable, assets)
	want["kubectl"] = stub(t, assets, "kubectl", 0o755)

	found, err := Binaries(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, found)
	found, err = Binaries(t.Context(), "kwok", "kubectl")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"kwok": want["kwok"], "kubectl": want["kubectl"]}, found)
	_, err = Binaries(t.Context(), "kubelet")
	require.ErrorContains(t, err, `"kubelet"`)
}

func TestKeyFollowsThePins(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("go.mod", "module x\n\nrequire (\n\tk8s.io/kubernetes v1.2.3 // indirect\n)\n")
	version, before, err := pins(dir)
	require.NoError(t, err)
	require.Equal(t, "v1.2.3", version)
	write("README.md", "words")
	_, same, err := pins(dir)
	require.NoError(t, err)
	require.Equal(t, before, same)
	write("go.sum", "sums")
	_, after, err := pins(dir)
	require.NoError(t, err)
	require.NotEqual(t, before, after)
	write("go.mod", "module x\n")
	_, _, err = pins(dir)
	require.ErrorContains(t, err, "requires no k8s.io/kubernetes")
}

func TestBuildErrorCarriesTheCompilersWords(t *testing.T) {
	source, dir := t.TempDir(), t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(source, "etcd"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(source, "go.mod"), []byte("module x\n\ngo 1.26\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(source, "etcd", "main.go"), []byte("package main\n\nfunc main() { nonsense() }\n"), 0o600))
	c := cache{dir: dir, source: source, version: "v1.2.3"}
	err := c.build(t.Context(), []string{"etcd"})
	require.ErrorContains(t, err, "undefined: nonsense")
	require.ErrorContains(t, err, "build etcd")

	require.NoError(t, os.WriteFile(filepath.Join(source, "etcd", "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o600))
	t.Setenv("GOFLAGS", "-mod=vendor -tags=nonsense")
	require.NoError(t, c.build(t.Context(), []string{"etcd"}))
	_, missing := lookup([]string{"etcd"}, dir)
	require.Empty(t, missing)
	left, err := filepath.Glob(filepath.Join(dir, ".build-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestOnlyOneBuildsAtATime(t *testing.T) {
	c := cache{dir: t.TempDir()}
	unlock, err := c.lock(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = c.lock(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	unlock()
	unlock, err = c.lock(t.Context())
	require.NoError(t, err)
	unlock()
}

func TestOldKeysAreRemoved(t *testing.T) {
	base := t.TempDir()
	for name, age := range map[string]time.Duration{"old": 48 * time.Hour, "mine": 48 * time.Hour, "new": time.Hour} {
		dir := filepath.Join(base, name)
		require.NoError(t, os.Mkdir(dir, 0o755))
		then := time.Now().Add(-age)
		require.NoError(t, os.Chtimes(dir, then, then))
	}
	removeOld(base, filepath.Join(base, "mine"), 24*time.Hour)
	require.NoDirExists(t, filepath.Join(base, "old"))
	require.DirExists(t, filepath.Join(base, "mine"))
	require.DirExists(t, filepath.Join(base, "new"))
}

func TestNamespacePrefix(t *testing.T) {
	for test, want := range map[string]string{
		"TestX/a b":   "testx-a-b-t-",
		"/--":         "t-",
		"TestÄÖ/case": "test",
	} {
		got := namespacePrefix(test)
		require.Regexp(t, `^[a-z0-9][a-z0-9-]*-$`, got)
		require.Contains(t, got, want[:1])
		require.LessOrEqual(t, len(got), 45)
		if test != "TestÄÖ/case" {
			require.Equal(t, want, got)
		}
	}
}

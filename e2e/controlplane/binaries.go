// Where the binaries of a plane come from: given, cached, or built.

package controlplane

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// assetsVariable names a directory of binaries, as it does for envtest.
const assetsVariable = "KUBEBUILDER_ASSETS"

// packages are the main packages of the binaries, as e2e/binaries sees them.
var packages = map[string]string{
	"etcd":                    "./etcd",
	"kube-apiserver":          "k8s.io/kubernetes/cmd/kube-apiserver",
	"kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
	"kube-scheduler":          "k8s.io/kubernetes/cmd/kube-scheduler",
	"kubectl":                 "k8s.io/kubernetes/cmd/kubectl",
	"kwok":                    "sigs.k8s.io/kwok/cmd/kwok",
}

// Binaries returns the paths of the named binaries, or of all six if none is
// named: the components and kubectl. What is neither in $KUBEBUILDER_ASSETS nor
// in the cache is built, with progress on the standard error. That takes
// minutes the first time; ctx can end it, and what was compiled by then is not
// lost. Several processes that want the same binary build it once.
//
// A binary in $KUBEBUILDER_ASSETS is taken as it is, whatever its version.
func Binaries(ctx context.Context, names ...string) (map[string]string, error) {
	if len(names) == 0 {
		for name := range packages {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if packages[name] == "" {
			return nil, fmt.Errorf("controlplane: there is no binary called %q", name)
		}
	}
	assets := os.Getenv(assetsVariable)
	found, missing := lookup(names, assets)
	if len(missing) == 0 {
		return found, nil
	}
	cache, err := openCache()
	if err != nil {
		return nil, fmt.Errorf("controlplane: %s not found in $%s (%q), and they cannot be built: %w",
			strings.Join(missing, ", "), assetsVariable, assets, err)
	}
	found, missing = lookup(names, assets, cache.dir)
	if len(missing) > 0 {
		if err := cache.build(ctx, missing); err != nil {
			return nil, fmt.Errorf("controlplane: %w", err)
		}
		if found, missing = lookup(names, assets, cache.dir); len(missing) > 0 {
			return nil, fmt.Errorf("controlplane: %s built, but no longer in %s: somebody cleans up there",
				strings.Join(missing, ", "), cache.dir)
		}
	}
	return found, nil
}

// lookup finds each name in the first of dirs that has it as an executable
// file. An empty dir is skipped.
func lookup(names []string, dirs ...string) (found map[string]string, missing []string) {
	found = map[string]string{}
	for _, name := range names {
		for _, dir := range dirs {
			path := filepath.Join(dir, name)
			if info, err := os.Stat(path); dir != "" && err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				if abs, err := filepath.Abs(path); err == nil {
					path = abs
				}
				found[name] = path
				break
			}
		}
		if found[name] == "" {
			missing = append(missing, name)
		}
	}
	return found, missing
}

// cache is the folder of the user's cache directory that holds the binaries of
// one key: Kubernetes version, everything in e2e/binaries, platform, compiler.
type cache struct {
	dir     string
	source  string // e2e/binaries
	version string // of Kubernetes
}

func openCache() (cache, error) {
	source, err := sourceDir()
	if err != nil {
		return cache{}, err
	}
	version, hash, err := pins(source)
	if err != nil {
		return cache{}, err
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return cache{}, err
	}
	key := fmt.Sprintf("%s-%s-%s-%s-%s", version, hash, runtime.GOOS, runtime.GOARCH, strings.Fields(runtime.Version())[0])
	c := cache{dir: filepath.Join(base, "cutover", "controlplane", key), source: source, version: version}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return cache{}, err
	}
	now := time.Now()
	return c, os.Chtimes(c.dir, now, now) // in use: see removeOld
}

// modulePath is the module this package is in.
const modulePath = "github.com/cutover-dev/cutover/e2e"

// sourceDir finds e2e/binaries: beside this file, if the compiler left its path
// in the program, else (-trimpath) by asking the go command about this module.
func sourceDir() (string, error) {
	_, file, _, _ := runtime.Caller(0)
	tried := filepath.Join(filepath.Dir(filepath.Dir(file)), "binaries")
	if filepath.IsAbs(file) && isModule(tried) {
		return tried, nil
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", modulePath).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return "", fmt.Errorf("e2e/binaries is not at %s, and go list -m %s failed: %w; "+
			"run inside the e2e module, or put all binaries into $%s", tried, modulePath, err, assetsVariable)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "binaries")
	if !isModule(dir) {
		return "", fmt.Errorf("no go.mod in %s: the pinned binaries are part of the repository only; "+
			"run inside a checkout, or put all binaries into $%s", dir, assetsVariable)
	}
	return dir, nil
}

func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

var kubernetesLine = regexp.MustCompile(`(?m)^\s*(?:require )?k8s\.io/kubernetes (v[0-9][^\s]*)`)

// pins returns the Kubernetes version that the module in source pins, and a
// hash of all that decides what is built from it.
func pins(source string) (version, hash string, err error) {
	mod, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil {
		return "", "", err
	}
	m := kubernetesLine.FindSubmatch(mod)
	if m == nil {
		return "", "", fmt.Errorf("%s requires no k8s.io/kubernetes", filepath.Join(source, "go.mod"))
	}
	sum := sha256.New()
	err = filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !slices.Contains([]string{".go", ".mod", ".sum"}, filepath.Ext(path)) {
			return err
		}
		rel, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		raw, err := os.ReadFile(path)
		fmt.Fprintf(sum, "%s %d\n%s", filepath.ToSlash(rel), len(raw), raw)
		return err
	})
	return string(m[1]), hex.EncodeToString(sum.Sum(nil))[:12], err
}

// Package apiserver_test compares the simulated kube-apiserver with a real one.
package apiserver_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"k8s.io/client-go/rest"

	"github.com/cutover-dev/cutover/e2e/controlplane"
)

// reality is where the real apiserver is, with nothing beside it that writes.
var reality struct {
	host   string
	client *http.Client
}

func TestMain(m *testing.M) {
	code := run(m)
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	plane, err := controlplane.New(context.Background(), controlplane.Options{
		Components: []controlplane.Component{controlplane.APIServer},
		Flags: map[controlplane.Component][]string{
			controlplane.Etcd: {"--unsafe-no-fsync=true"}, // the data die with the test
		},
	})
	if err != nil {
		return fail(err)
	}
	defer func() {
		reality.client.CloseIdleConnections()
		if err := plane.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	cfg := plane.Config()
	if reality.client, err = rest.HTTPClientFor(cfg); err != nil {
		return fail(err)
	}
	reality.host = strings.TrimSuffix(cfg.Host, "/")
	return m.Run()
}

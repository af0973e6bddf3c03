// The README's example, compiled, and the same on a simulated cluster.

package cutover_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/strategy"
)

// The example of the README: an image to an app of a real cluster.
func Example() {
	deploy := func(ctx context.Context, kubeconfig, image, build string) error {
		config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
		if err != nil {
			return err
		}
		shop, err := kube.New(config, kube.Options{Namespace: "shop", Services: []string{"web"}})
		if err != nil {
			return err
		}
		manifest, err := os.ReadFile("web.yaml") // a ReplicaSet, a Deployment or a pod template
		if err != nil {
			return err
		}
		target, err := kube.Target(manifest, "web="+image)
		if err != nil {
			return err
		}
		target.Release = build // running the same build again resumes it
		runner := strategy.Runner{Cluster: shop, Trace: func(e strategy.Event) { fmt.Println(e) }}
		_, err = runner.Run(ctx, "web", target, strategy.RedBlack{Bake: 5 * time.Minute})
		return err // an AbortError says what serves now, and what to do
	}
	_ = deploy
}

// The same on a simulated cluster, in no time.
func Example_simulated() {
	world := fake.New(fake.World{})
	world.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: 3, Enabled: true, Template: []byte("web:1")})

	runner := strategy.Runner{Cluster: world, Clock: world}
	target := cluster.Target{Release: "build-2", Template: []byte("web:2")}
	_, err := runner.Run(context.Background(), "web", target, strategy.RedBlack{Bake: 5 * time.Minute})
	fmt.Println(err)

	for _, r := range world.State("web").Revisions {
		fmt.Println(r.Name, r.Outcome.Result, world.State("web").ReliedOn(r.Name))
	}
	// Output:
	// <nil>
	// web-v001 good 0
	// web-v002 good 3
}

// What the README shows is what compiles here.
func TestReadmeShowsTheExample(t *testing.T) {
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	_, body, _ := strings.Cut(string(source), "deploy := func")
	body, _, found := strings.Cut(body, "\n\t}\n\t_ = deploy")
	require.True(t, found)
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	want := "func deploy" + strings.ReplaceAll(body, "\n\t", "\n") + "\n}\n"
	require.Contains(t, string(readme), want)
}

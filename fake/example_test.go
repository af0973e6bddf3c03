package fake_test

import (
	"context"
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
)

// A revision is put, time passes, and a look shows what has become of it.
func Example() {
	ctx := context.Background()
	c := fake.New(fake.World{})
	err := c.Put(ctx, "web", cluster.Revision{
		Name: "web-v001", Release: "build-17", Seq: 1, Template: []byte("image: web:17"),
		Replicas: 3, Enabled: true,
	})
	if err != nil {
		fmt.Println(err)
	}
	for range 4 {
		s, err := c.Observe(ctx, "web")
		if err != nil {
			fmt.Println(err)
		}
		fmt.Printf("pods %d, ready %d, serving %d\n", s.Revisions[0].Pods, s.Revisions[0].Ready, s.Serving())
		if err := c.Sleep(ctx, 1100*time.Millisecond); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// pods 3, ready 0, serving 0
	// pods 3, ready 0, serving 0
	// pods 3, ready 3, serving 0
	// pods 3, ready 3, serving 3
}

// A dry run begins with what a real cluster showed.
func ExampleFrom() {
	s := cluster.State{
		At:  time.Date(2025, time.March, 1, 12, 0, 0, 0, time.UTC),
		Can: cluster.Can{Select: true},
		Revisions: []cluster.Revision{
			{Name: "web-v007", Seq: 7, Replicas: 2, Pods: 2, Ready: 2},
		},
		Routes: []cluster.Route{{
			Name: "service/web", Weights: map[string]int{"web-v007": 100}, Serving: map[string]int{"web-v007": 2},
		}},
	}
	c := fake.From("web", s, fake.World{})
	fmt.Println(c.Now().Format(time.DateTime), c.State("web").ReliedOn("web-v007"))
	// Output: 2025-03-01 12:00:00 2
}

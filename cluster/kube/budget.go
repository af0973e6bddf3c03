// PodDisruptionBudgets that count the pods of two revisions as one: with as many
// pods dark as live, half of them may be all that serve.

package kube

import (
	"context"
	"fmt"
	"strings"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/cutover-dev/cutover/cluster"
)

// Budgets are for a person to read about, so they are read rarely, and a look
// does not wait for them for long.
const (
	budgetsEvery  = time.Minute
	budgetsWithin = 3 * time.Second
)

// budgets are those of the namespace, as they were last read.
type budgets struct {
	all    []policyv1.PodDisruptionBudget
	read   time.Time
	unread error // why they are not known
}

// readBudgets returns those of the namespace, read anew if that was not done lately.
// It never fails.
func (c *Cluster) readBudgets(ctx context.Context) budgets {
	if !c.options.Budgets {
		return budgets{}
	}
	c.mu.Lock()
	last := c.budgets
	c.mu.Unlock()
	now := c.api.clock.now()
	if !last.read.IsZero() && now.Sub(last.read) < budgetsEvery {
		return last
	}
	soon, done := context.WithTimeout(ctx, budgetsWithin)
	defer done()
	found, err := list[policyv1.PodDisruptionBudget](soon, c.api, disruptionBudgets, "", nil)
	if ctx.Err() != nil {
		return last // the look was ended, and nothing is known of the budgets
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.budgets = budgets{found, now, err}
	return c.budgets
}

// warnOfBudgets says which budgets let more of what serves be evicted because of
// pods that do not.
func (r *roster) warnOfBudgets(b budgets, found census, s cluster.State) (warnings []string) {
	if b.unread != nil {
		return []string{fmt.Sprintf("PodDisruptionBudgets could not be read, so that nobody warns of one over two revisions: %v", b.unread)}
	}
	for i := range b.all {
		if w := r.warnOfBudget(&b.all[i], found, s); w != "" {
			warnings = append(warnings, w)
		}
	}
	return warnings
}

// A share is what a budget counts of some revisions.
type share struct {
	expected int // replicas
	healthy  int // ready pods that it selects
	names    []string
}

func (s *share) add(w *workload, healthy int) {
	s.expected += w.replicas()
	s.healthy += healthy
	s.names = append(s.names, fmt.Sprintf("%s (%d ready)", w.Metadata.Name, healthy))
}

func (r *roster) warnOfBudget(b *policyv1.PodDisruptionBudget, found census, s cluster.State) string {
	selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
	if err != nil {
		return "" // the apiserver takes none such
	}
	var live, dark share
	for _, w := range r.revisions {
		switch healthy := healthyOf(w, selector, found); {
		case healthy == 0:
		case s.HasTraffic(w.Metadata.Name):
			live.add(w, healthy)
		default:
			dark.add(w, healthy)
		}
	}
	both := share{expected: live.expected + dark.expected, healthy: live.healthy + dark.healthy}
	allows, alone := min(both.evictable(b), live.healthy), min(live.evictable(b), live.healthy)
	if allows <= alone {
		return ""
	}
	return fmt.Sprintf("PodDisruptionBudget %q (%s) selects pods of %s, in traffic, and of %s, not in traffic: of the %d that serve it lets %d be evicted at once, "+
		"where it would let %d go if it selected those alone: give it a selector that only pods in traffic have",
		b.Name, figures(b), strings.Join(live.names, ", "), strings.Join(dark.names, ", "), live.healthy, allows, alone)
}

// healthyOf counts the pods of a revision that a budget takes for healthy.
func healthyOf(w *workload, selector labels.Selector, found census) int {
	n := 0
	for _, pod := range found.of[w.uid()] {
		if selector.Matches(labels.Set(pod.Labels)) && ready(pod) && !terminating(pod) {
			n++
		}
	}
	return n
}

// evictable is how many pods a budget allows to be evicted, if it selects these.
func (s share) evictable(b *policyv1.PodDisruptionBudget) int {
	desired := 0
	switch {
	case b.Spec.MaxUnavailable != nil:
		desired = max(0, s.expected-scaled(b.Spec.MaxUnavailable, s.expected))
	case b.Spec.MinAvailable != nil:
		desired = scaled(b.Spec.MinAvailable, s.expected)
	}
	return max(0, s.healthy-desired)
}

// scaled is the figure itself, or so many percent of all, rounded up as
// Kubernetes does for either bound.
func scaled(figure *intstr.IntOrString, all int) int {
	n, err := intstr.GetScaledValueFromIntOrPercent(figure, all, true)
	if err != nil {
		return all
	}
	return n
}

// figures is a budget's bound as a person writes it.
func figures(b *policyv1.PodDisruptionBudget) string {
	switch {
	case b.Spec.MaxUnavailable != nil:
		return "maxUnavailable " + b.Spec.MaxUnavailable.String()
	case b.Spec.MinAvailable != nil:
		return "minAvailable " + b.Spec.MinAvailable.String()
	}
	return "without a bound"
}

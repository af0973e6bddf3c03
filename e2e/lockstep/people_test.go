// People, and what else goes wrong in the world: each is done to the simulated
// cluster, and what a person writes is written to the real one as well.

package lockstep_test

import (
	"context"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/fake/fault"
)

// service makes the app's Service, which selects nothing yet.
func (p *play) service() {
	selector := map[string]string{trafficLabel: "true"}
	if !p.scenario.mode.labels() {
		selector = selecting("")
	}
	p.do("create the Service", func(ctx context.Context, ns string) error {
		_, err := hand.CoreV1().Services(ns).Create(ctx, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: app},
			Spec:       corev1.ServiceSpec{Selector: selector, Ports: []corev1.ServicePort{{Port: 80}}},
		}, metav1.CreateOptions{})
		return err
	})
}

// selecting is a selector for the pods of one found revision; "": of none.
func selecting(revision string) map[string]string {
	if revision == "" {
		return map[string]string{kube.RevisionLabel: app + "-v000"}
	}
	return map[string]string{"app": app, "version": revision}
}

func (p *play) do(what string, request func(ctx context.Context, ns string) error) {
	p.both.mirror.do(what, func(ctx context.Context) error { return request(ctx, p.both.options.Namespace) })
}

// found adds a revision that somebody has deployed long ago.
func (p *play) found(name string, n int, on bool) {
	seq, _ := strconv.ParseInt(name[len(name)-3:], 10, 64)
	p.sim.AddFound(app, cluster.Revision{Name: name, Seq: seq, Replicas: n, Enabled: on, Template: manifest(name, "")})
	p.createFound(name, "", n, on)
	if on && !p.scenario.mode.labels() {
		p.point(selecting(name))
	}
}

// createFound makes the real one: as anybody does or, of a release, as cutover.
func (p *play) createFound(name, release string, n int, on bool) {
	size := int32(n)
	own := map[string]string{"app": app, "version": name}
	set := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.ReplicaSetSpec{Replicas: &size}}
	if release != "" {
		own = map[string]string{"app": app, kube.RevisionLabel: name}
		set.Labels = map[string]string{kube.AppLabel: app, kube.RevisionLabel: name}
		set.Annotations = map[string]string{kube.ReleaseAnnotation: release}
	}
	labels := map[string]string{}
	for k, v := range own {
		labels[k] = v
	}
	if p.scenario.mode.labels() {
		labels[trafficLabel] = strconv.FormatBool(on)
	}
	set.Spec.Selector = &metav1.LabelSelector{MatchLabels: own}
	set.Spec.Template = corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example/web:1"}}},
	}
	p.do("create "+name, func(ctx context.Context, ns string) error {
		_, err := hand.AppsV1().ReplicaSets(ns).Create(ctx, set, metav1.CreateOptions{})
		return err
	})
}

// point exchanges the Service's selector.
func (p *play) point(selector map[string]string) {
	p.do("patch the Service", func(ctx context.Context, ns string) error {
		patch := []map[string]any{{"op": "replace", "path": "/spec/selector", "value": selector}}
		_, err := hand.CoreV1().Services(ns).Patch(ctx, app, types.JSONPatchType, asJSON(patch), metav1.PatchOptions{})
		return err
	})
}

// patch changes a ReplicaSet as a person does.
func (p *play) patch(name string, body map[string]any) {
	p.do("patch "+name, func(ctx context.Context, ns string) error {
		_, err := hand.AppsV1().ReplicaSets(ns).Patch(ctx, name, types.MergePatchType, asJSON(body), metav1.PatchOptions{})
		return err
	})
}

// happens brings about what befalls the world before a call is sent.
func (p *play) happens(e fault.Event, call fault.Call) bool {
	p.both.mirror.sync()
	switch e.Fault {
	case fault.Exists, fault.NotFound, fault.Autoscaler, fault.Person:
		return p.person(e, call)
	}
	return p.lasts(e)
}

// does lets one of some forms happen; others last, and are nobody's here.
func does(form int, forms ...func() bool) bool { return form < len(forms) && forms[form]() }

// person lets somebody write.
func (p *play) person(e fault.Event, call fault.Call) bool {
	newest, ok := p.newest()
	serves := p.serves(newest)
	switch {
	case e.Fault == fault.Exists:
		r := call.Revision
		p.sim.AddFound(app, cluster.Revision{Name: r.Name, Seq: r.Seq, Release: "newer", Template: manifest("newer", ""), Replicas: 1})
		p.createFound(r.Name, "newer", 1, false)
		return true
	case !ok:
		return false
	case e.Fault == fault.NotFound && call.Revision.Name == "":
		return false
	case e.Fault == fault.NotFound && e.Form == 1:
		return p.recreate(call.Revision.Name)
	case e.Fault == fault.NotFound:
		return p.remove(call.Revision.Name)
	case e.Fault == fault.Autoscaler:
		return does(e.Form,
			func() bool { return p.scale(serves, 1) },
			func() bool { return p.scale(serves, -1) },
			func() bool { return p.scale(p.dark(newest), -p.dark(newest).Replicas) },
			func() bool { return p.scale(newest, 1) },
		)
	}
	return does(e.Form,
		func() bool { return p.scale(serves, -1) },
		func() bool { return p.sim.FlipPod(app, serves.Name) && p.scenario.mode.labels() },
		func() bool { return p.turn(serves) },
		func() bool { return p.sim.KillPod(app, serves.Name) }, // in the place of an orphan
		func() bool { return p.remove(newest.Name) },
		func() bool { return p.remove(serves.Name) },
		func() bool { return p.recreate(newest.Name) },
		func() bool { return p.wipe(newest.Name) },
		p.putBack,
	)
}

func (p *play) scale(r cluster.Revision, by int) bool {
	n := r.Replicas + by
	if n < 0 || !p.sim.Edit(app, r.Name, func(r *cluster.Revision) { r.Replicas = n }) {
		return false
	}
	p.patch(r.Name, map[string]any{"spec": map[string]any{"replicas": n}})
	return true
}

// turn edits what pods are born with.
func (p *play) turn(r cluster.Revision) bool {
	if !p.sim.Edit(app, r.Name, func(r *cluster.Revision) { r.Enabled = !r.Enabled }) {
		return false
	}
	labels := map[string]any{trafficLabel: strconv.FormatBool(!r.Enabled)}
	p.patch(r.Name, map[string]any{"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{"labels": labels}}}})
	return true
}

// wipe takes away what is noted on a revision.
func (p *play) wipe(name string) bool {
	if !p.sim.Edit(app, name, func(r *cluster.Revision) { r.Note, r.Fence, r.Outcome = "", "", cluster.Outcome{} }) {
		return false
	}
	p.patch(name, map[string]any{"metadata": map[string]any{"annotations": map[string]any{
		kube.NoteAnnotation: nil, kube.FenceAnnotation: nil, kube.OutcomeAnnotation: nil, kube.WhyAnnotation: nil,
	}}})
	return true
}

func (p *play) remove(name string) bool {
	if !p.sim.Remove(app, name) {
		return false
	}
	p.deleteSet(name)
	return true
}

func (p *play) deleteSet(name string) {
	background := metav1.DeletePropagationBackground
	p.do("delete "+name, func(ctx context.Context, ns string) error {
		return hand.AppsV1().ReplicaSets(ns).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &background})
	})
}

// recreate deletes a revision and makes the same again.
func (p *play) recreate(name string) bool {
	if !p.sim.Recreate(app, name) {
		return false
	}
	p.do("make "+name+" anew", func(ctx context.Context, ns string) error {
		set, err := hand.AppsV1().ReplicaSets(ns).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		p.deleteSet(name)
		again := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: set.Labels, Annotations: set.Annotations}, Spec: set.Spec}
		_, err = hand.AppsV1().ReplicaSets(ns).Create(ctx, again, metav1.CreateOptions{})
		return err
	})
	return true
}

// putBack points the route at the revision below the newest; where pods carry
// what has traffic, it wipes what the route has noted.
func (p *play) putBack() bool {
	rs := p.sim.State(app).Revisions
	if len(rs) < 2 {
		return false
	}
	name := rs[len(rs)-2].Name
	if !p.sim.EditRoute(app, "service/"+app, func(r *cluster.Route) {
		if r.Note, r.Fence = "", ""; r.Weights != nil {
			r.Weights = map[string]int{name: 100}
		}
	}) {
		return false
	}
	p.do("patch the Service", func(ctx context.Context, ns string) error {
		patch := map[string]any{"metadata": map[string]any{"annotations": map[string]any{kube.NoteAnnotation: nil, kube.FenceAnnotation: nil}}}
		_, err := hand.CoreV1().Services(ns).Patch(ctx, app, types.MergePatchType, asJSON(patch), metav1.PatchOptions{})
		return err
	})
	if !p.scenario.mode.labels() {
		p.point(p.both.mirror.latest[name].born)
	}
	return true
}

// lasts is what goes wrong without anybody writing: the mirror follows.
func (p *play) lasts(e fault.Event) bool {
	freeze := func(what fake.Controller) bool {
		p.sim.Freeze(app, what)
		return p.until(time.Minute, func() { p.sim.Thaw(app, what) })
	}
	switch e.Fault {
	case fault.Quota, fault.LimitRange:
		p.sim.Quota(app, 0)
		return p.until(time.Minute, func() { p.sim.Quota(app, -1) })
	case fault.ControllerLag:
		if r, ok := p.newest(); e.Form == 1 {
			return ok && p.sim.OverCreate(app, r.Name, 1)
		}
		return freeze(fake.Replication)
	case fault.StatusLag:
		return freeze(fake.Status)
	case fault.EndpointLag:
		return freeze(fake.Endpoints)
	case fault.CollectorLag:
		return freeze(fake.Collection)
	case fault.SlowStart:
		return freeze(fake.Readiness)
	case fault.SlowStop:
		p.sim.Stick(app)
		return p.until(time.Minute, func() { p.sim.Unstick(app) })
	case fault.PodsFail, fault.PodsFlap:
		r, ok := p.newest()
		if e.Form >= 2 {
			r = p.serves(r)
		}
		back := 5 * time.Second
		if e.Fault == fault.PodsFail {
			back = -1
		}
		return ok && p.sim.Crash(app, r.Name, 1+e.Form%2, back)
	case fault.NodeDrain:
		p.sim.DrainNode(0)
		return p.until(time.Minute, func() { p.sim.MendNode(0) })
	case fault.NodeLost:
		p.sim.LoseNode(0)
		return p.until(time.Minute, func() { p.sim.MendNode(0) })
	}
	return false
}

// until lets something last for a while, at most until all is mended.
func (p *play) until(d time.Duration, end func()) bool {
	over := false
	once := func() {
		if !over {
			over = true
			end()
		}
	}
	p.rest = append(p.rest, once)
	var stop func()
	stop = p.sim.Every(d, func() bool { stop(); once(); return true })
	return true
}

func (p *play) newest() (cluster.Revision, bool) {
	rs := p.sim.State(app).Revisions
	if len(rs) == 0 {
		return cluster.Revision{}, false
	}
	return rs[len(rs)-1], true
}

// serves is the revision that serves with most; the newest, if none does.
func (p *play) serves(newest cluster.Revision) cluster.Revision {
	s, found := p.sim.State(app), newest
	for _, r := range s.Revisions {
		if s.Exposed(r.Name) > s.Exposed(found.Name) {
			found = r
		}
	}
	return found
}

// dark is the newest revision that has no traffic, else the newest.
func (p *play) dark(newest cluster.Revision) cluster.Revision {
	s, found := p.sim.State(app), newest
	for _, r := range s.Revisions {
		if !s.HasTraffic(r.Name) {
			found = r
		}
	}
	return found
}

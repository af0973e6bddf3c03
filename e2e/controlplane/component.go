// The processes of a plane, by name.

package controlplane

import "slices"

// A Component is one process of a plane, named like its binary.
type Component string

// The components, in the order in which they start.
const (
	Etcd              Component = "etcd"
	APIServer         Component = "kube-apiserver"
	ControllerManager Component = "kube-controller-manager"
	Scheduler         Component = "kube-scheduler"
	Kwok              Component = "kwok"
)

// kubectl is no component, but it is pinned, found and built like them.
const kubectl = "kubectl"

func allComponents() []Component {
	return []Component{Etcd, APIServer, ControllerManager, Scheduler, Kwok}
}

// runs reports whether the plane was asked to have c.
func (p *Plane) runs(c Component) bool { return slices.Contains(p.components, c) }

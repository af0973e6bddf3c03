// The pods themselves, for whoever builds something else from this world or
// beside it: a look counts them, this names them.

package fake

// A Pod is one pod as it is now, not as a look shows it.
type Pod struct {
	Name     string   // unique in the Cluster, over time too
	Serial   int      // pods that are born later have higher ones
	Revision string   // the name of the revision that it was born for
	Owner    string   // the UID of the revision whose it is; "": that is deleted, or nobody owns it
	Enabled  bool     // its own; false where only routes move traffic
	Fence    string   // its own
	Ready    bool     // it says so itself
	Leaving  bool     // it was told to go
	Gone     bool     // it is no more there, but some endpoint or proxy has not noticed
	Listed   []string // the routes whose endpoints have it, by name
}

// Pods returns the pods of the app, by revision and age, those of nobody last.
func (c *Cluster) Pods(app string) []Pod {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.app(app)
	var all []Pod
	for _, r := range a.revisions {
		for _, p := range r.pods {
			all = append(all, a.describe(p, r.UID))
		}
	}
	for _, p := range a.orphans {
		all = append(all, a.describe(p, ""))
	}
	return all
}

func (a *application) describe(p *pod, owner string) Pod {
	is := Pod{
		Name: p.name, Serial: p.serial, Revision: p.of, Owner: owner, Enabled: p.enabled, Fence: p.fence,
		Ready: p.ready, Leaving: p.leaving, Gone: p.gone,
	}
	for i := range p.ends {
		if p.ends[i].listed {
			is.Listed = append(is.Listed, a.routes[i].Name)
		}
	}
	return is
}

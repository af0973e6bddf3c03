// Command etcd is the etcd server. It has a main of its own here because
// upstream's lives in a module with replace directives of its own, which keeps
// it from being a tool of this one; the server package has no such limit.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}

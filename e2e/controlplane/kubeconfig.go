// Kubeconfig files for child processes.

package controlplane

import (
	"fmt"
	"net/http"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// WriteKubeconfig writes a kubeconfig file by which a child process becomes the
// client that cfg describes: address, certificates and token. What a kubeconfig
// has no place for, such as QPS and UserAgent, is left out.
func WriteKubeconfig(path string, cfg *rest.Config) error {
	const name = "plane"
	file := api.NewConfig()
	file.Clusters[name] = &api.Cluster{Server: cfg.Host, CertificateAuthorityData: cfg.CAData}
	file.AuthInfos[name] = &api.AuthInfo{
		ClientCertificateData: cfg.CertData,
		ClientKeyData:         cfg.KeyData,
		Token:                 cfg.BearerToken,
	}
	file.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name}
	file.CurrentContext = name
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		return fmt.Errorf("controlplane: write kubeconfig %s: %w", path, err)
	}
	return nil
}

// closeIdle ends the connections a client keeps open for later.
func closeIdle(c *kubernetes.Clientset) {
	if rc, ok := c.Discovery().RESTClient().(*rest.RESTClient); ok && rc.Client != nil {
		(&http.Client{Transport: rc.Client.Transport}).CloseIdleConnections()
	}
}

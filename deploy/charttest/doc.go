// Package charttest holds the tests of the chart, the plain manifests, the image and the commands of docs/kubernetes.md: helm's
// own engine renders, a real API server accepts. It is a module of its own, so that the product does not get helm; nothing else is in it.
package charttest

package kube

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The API that the HPA controller asks, and the metric in it.
const (
	metricsGroup   = "custom.metrics.k8s.io"
	metricsVersion = "v1beta2"
	metricName     = "nexus_pod_gpu_utilization" // percent, the mean over the pod's GPUs
)

// metricValue is how things stand with one pod.
type metricValue struct {
	DescribedObject corev1.ObjectReference `json:"describedObject"`
	Metric          metricIdentifier       `json:"metric"`
	Timestamp       metav1.Time            `json:"timestamp"`
	WindowSeconds   int64                  `json:"windowSeconds"`
	Value           resource.Quantity      `json:"value"`
}

type metricIdentifier struct {
	Name string `json:"name"`
}

type metricValueList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []metricValue `json:"items"`
}

// handler serves discovery and values to the API server, and to nobody else.
func (m *GPUMetrics) handler() http.Handler {
	mux := http.NewServeMux()
	version := metav1.GroupVersionForDiscovery{GroupVersion: metricsGroup + "/" + metricsVersion, Version: metricsVersion}
	group := metav1.APIGroup{TypeMeta: metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}, Name: metricsGroup,
		Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version}
	mux.HandleFunc("GET /apis", func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept"), "apidiscovery.k8s.io") {
			w.WriteHeader(http.StatusNotAcceptable) // the aggregator asks the older way then
			return
		}
		answer(w, http.StatusOK, metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}, Groups: []metav1.APIGroup{group}})
	})
	mux.HandleFunc("GET /apis/"+metricsGroup, func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, group) })
	mux.HandleFunc("GET /apis/"+metricsGroup+"/"+metricsVersion, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: version.GroupVersion,
			APIResources: []metav1.APIResource{{Name: "pods/" + metricName, Namespaced: true, Kind: "MetricValueList", Verbs: metav1.Verbs{"get"}}}})
	})
	mux.HandleFunc("GET /apis/"+metricsGroup+"/"+metricsVersion+"/namespaces/{namespace}/pods/{name}/{metric}", m.values)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := m.gate.admits(r.Context(), r.TLS); err != nil {
			refuse(w, http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "only the API server is answered: "+err.Error())
			return
		}
		m.mu.Lock()
		ours, owner := m.ours, m.said
		m.mu.Unlock()
		if !ours && owner != "" {
			refuse(w, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, metricsGroup+" is served by "+owner)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// values answers for one pod, or for those that a selector means.
func (m *GPUMetrics) values(w http.ResponseWriter, r *http.Request) {
	namespace, name := r.PathValue("namespace"), r.PathValue("name")
	if r.PathValue("metric") != metricName {
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, "there is no metric "+r.PathValue("metric")+" of pods, only "+metricName)
		return
	}
	names := []string{name}
	if name == "*" {
		var pods corev1.PodList
		request := m.clients.core.Get().Namespace(namespace).Resource(resourcePods).Timeout(requestPatience)
		if selector := r.URL.Query().Get("labelSelector"); selector != "" {
			request = request.Param("labelSelector", selector)
		}
		if err := request.Do(r.Context()).Into(&pods); err != nil {
			code := http.StatusInternalServerError
			if apierrors.IsBadRequest(err) {
				code = http.StatusBadRequest
			}
			refuse(w, code, apierrors.ReasonForError(err), "listing pods: "+err.Error())
			return
		}
		names = nil
		for i := range pods.Items {
			names = append(names, pods.Items[i].Name)
		}
		slices.Sort(names)
	}
	list := metricValueList{TypeMeta: metav1.TypeMeta{Kind: "MetricValueList", APIVersion: metricsGroup + "/" + metricsVersion}, Items: []metricValue{}}
	m.mu.Lock()
	for _, name := range names {
		if u, ok := m.use[podName{namespace, name}]; ok {
			list.Items = append(list.Items, metricValue{
				DescribedObject: corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: name, APIVersion: "v1"}, Metric: metricIdentifier{metricName},
				Timestamp: metav1.NewTime(u.at), WindowSeconds: int64(m.opts.Period / time.Second), Value: *resource.NewMilliQuantity(u.milli, resource.DecimalSI),
			})
		}
	}
	m.mu.Unlock()
	if name != "*" && len(list.Items) == 0 {
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, "no agent tells of GPUs of pod "+namespace+"/"+name)
		return
	}
	answer(w, http.StatusOK, list)
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	answer(w, code, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message})
}

func answer(w http.ResponseWriter, code int, what any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(what) // who asked may be gone
}
